"""OpenAI's completions and chat completions by OpenAI's own client on a real server, whole and streamed."""

import asyncio
import json
import subprocess
import threading

import msgspec
import openai
import pytest

from maas.errors import ConfigError, DeadlineError
from maas.runtime.bundle import Bundle
from maas.runtime.generation.settings import generation_settings
from maas.serving.call import GenerationCall, RowList
from maas.serving.entries import LocatedEntry
from maas.serving.protocols.operations import Request
from maas.serving.repository import DeploymentState, Repository
from maas.serving.service import Service
from maas.serving.transports.statuses import http_refusal

MESSAGES = [{"role": "user", "content": "write"}]
SAMPLED = {"temperature": 1.0, "seed": 3}


@pytest.fixture(scope="module")
def bundle(generating_folder):
    return Bundle.open(generating_folder)


@pytest.fixture(scope="module")
def client(generating_server):
    with openai.OpenAI(base_url=f"{generating_server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def repository(asking, generating_folder):
    return asking.repository_of(generating_folder)


@pytest.mark.parametrize("settings", [{"temperature": 0}, SAMPLED, {**SAMPLED, "top_p": 0.8, "presence_penalty": 1.5}])
def test_completion_is_the_bundles_text_when_it_is_whole_or_streamed(client, bundle, settings):
    expected = bundle.generate("the", max_tokens=24, **settings)
    whole = client.completions.create(model="tiny", prompt="the", max_tokens=24, **settings)
    assert whole.choices[0].text == expected.text
    assert whole.choices[0].finish_reason == expected.finish_reason
    assert (whole.object, whole.model) == ("text_completion", "tiny")
    tokens = (expected.prompt_tokens, len(expected.tokens), expected.prompt_tokens + len(expected.tokens))
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.usage.total_tokens) == tokens
    chunks = list(client.completions.create(model="tiny", prompt="the", max_tokens=24, stream=True, **settings))
    assert "".join(chunk.choices[0].text for chunk in chunks) == expected.text
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == expected.finish_reason
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("settings", [{"temperature": 0}, SAMPLED])
def test_answer_is_the_bundles_text_when_it_is_whole_or_streamed(client, bundle, settings):
    expected = bundle.generate(MESSAGES, max_tokens=24, **settings)
    given = {"model": "tiny", "messages": MESSAGES, "max_completion_tokens": 24, **settings}
    whole = client.chat.completions.create(**given)
    assert (whole.choices[0].message.role, whole.choices[0].message.content) == ("assistant", expected.text)
    assert whole.usage.completion_tokens == len(expected.tokens)
    chunks = list(client.chat.completions.create(**given, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(one.choices[0].delta.content or "" for one in chunks[:-1]) == expected.text
    assert chunks[-2].choices[0].finish_reason == expected.finish_reason
    again = whole.usage.model_copy(update={"prompt_tokens_details": chunks[-1].usage.prompt_tokens_details})
    assert (chunks[-1].choices, chunks[-1].usage) == ([], again)
    assert {chunk.usage for chunk in chunks[:-1]} == {None}


def test_own_helper_accumulates_the_stream(client, bundle):
    text = bundle.generate(MESSAGES, max_tokens=40).text
    given = {"model": "tiny", "messages": MESSAGES, "max_tokens": 40, "temperature": 0, "stop": text[9:12]}
    with client.chat.completions.stream(**given) as stream:
        found = stream.get_final_completion()
    assert found.choices[0].message.content == text[: text.index(text[9:12])]


def test_each_prompt_has_its_copies_when_several_are_wanted(client, bundle):
    found = client.completions.create(model="tiny", prompt=["the", "这是"], n=2, max_tokens=8, **SAMPLED)
    seeds = [{**SAMPLED, "seed": seed} for seed in (3, 4)]
    expected = [bundle.generate(prompt, max_tokens=8, **seed).text for prompt in ("the", "这是") for seed in seeds]
    assert [one.text for one in found.choices] == expected
    assert [one.index for one in found.choices] == [0, 1, 2, 3]
    counts = [bundle.generate(prompt, max_tokens=8, **SAMPLED).prompt_tokens for prompt in ("the", "这是")]
    assert found.usage.prompt_tokens == sum(counts)
    streamed = client.completions.create(
        model="tiny", prompt=["the", "这是"], n=2, max_tokens=8, stream=True, **SAMPLED
    )
    texts = [""] * 4
    for chunk in streamed:
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == expected


def test_log_probabilities_are_the_bundles_when_they_are_wanted(client, bundle):
    expected = bundle.generate(MESSAGES, max_tokens=6, logprobs=2)
    given = {"model": "tiny", "messages": MESSAGES, "max_tokens": 6, "temperature": 0, "logprobs": True}
    found = client.chat.completions.create(**given, top_logprobs=2).choices[0].logprobs.content
    assert [one.logprob for one in found] == pytest.approx([one.logprob for one in expected.chosen], abs=1e-5)
    assert [len(one.top_logprobs) for one in found] == [2] * len(expected.tokens)
    streamed = client.chat.completions.create(**given, top_logprobs=2, stream=True)
    parts = [part for chunk in streamed if chunk.choices[0].logprobs for part in chunk.choices[0].logprobs.content]
    assert [part.token for part in parts] == [one.token for one in found]
    texts = client.completions.create(model="tiny", prompt="the", max_tokens=6, temperature=0, logprobs=1)
    record = texts.choices[0].logprobs
    assert len(record.tokens) == len(record.token_logprobs) == len(record.top_logprobs) == len(record.text_offset) == 6
    assert record.text_offset[:2] == [0, len(record.tokens[0])]


def test_text_ends_before_a_stop_and_bias_decides_when_they_are_given(client, bundle):
    text = bundle.generate("the", max_tokens=30, ignore_end=True).text
    stopped = client.completions.create(model="tiny", prompt="the", max_tokens=30, temperature=0, stop=[text[4:7]])
    assert stopped.choices[0].text == text[: text.index(text[4:7])]
    assert stopped.choices[0].finish_reason == "stop"
    ended = client.completions.create(model="tiny", prompt="the", temperature=0, logit_bias={"0": 100})
    assert (ended.choices[0].text, ended.usage.completion_tokens) == ("", 1)


def test_texts_of_many_asynchronous_callers_equal_those_alone(generating_server, bundle):
    prompts = [f"text number {number}" + "x" * (3 * number) for number in range(12)]

    async def text_of(client, number: int) -> str:
        stream = await client.completions.create(
            model="tiny", prompt=prompts[number], max_tokens=20, temperature=1.0, seed=number, stream=True
        )
        return "".join([chunk.choices[0].text async for chunk in stream])

    async def everybody() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{generating_server.url}/v1", api_key="none") as client:
            return await asyncio.gather(*(text_of(client, number) for number in range(len(prompts))))

    expected = [
        bundle.generate(prompt, max_tokens=20, temperature=1.0, seed=number).text
        for number, prompt in enumerate(prompts)
    ]
    assert asyncio.run(everybody()) == expected


def test_curl_shows_events_in_chunks(generating_server):
    body = json.dumps({"prompt": "the", "max_tokens": 5, "temperature": 0, "stream": True})
    command = ["curl", "-sNi", f"{generating_server.url}/v1/completions", "-d", body]
    head, _, events = subprocess.run(command, capture_output=True, text=True, check=True).stdout.partition("\n\n")
    assert head.startswith("HTTP/1.1 200 OK")
    assert "transfer-encoding: chunked" in head
    assert "content-type: text/event-stream; charset=utf-8" in head
    assert "maas-model: tiny" in head
    lines = events.strip().split("\n\n")
    assert all(line.startswith("data: {") for line in lines[:-1])
    assert lines[-1] == "data: [DONE]"


BAD = {
    "no messages": ("chat/completions", {}, 400, "missing required field `messages`"),
    "empty": ("chat/completions", {"messages": []}, 400, "messages"),
    "image": ("chat/completions", {"messages": [{"role": "user", "content": [{"type": "image"}]}]}, 400, "'image'"),
    "unknown field": ("chat/completions", {"messages": MESSAGES, "temprature": 1}, 400, "temprature"),
    "functions": ("chat/completions", {"messages": MESSAGES, "functions": [{}]}, 400, "replaced by tools"),
    "store": ("chat/completions", {"messages": MESSAGES, "store": True}, 400, "store is not done here"),
    "two names": ("chat/completions", {"messages": MESSAGES, "max_tokens": 1, "max_completion_tokens": 2}, 400, "two"),
    "likeliest": ("chat/completions", {"messages": MESSAGES, "top_logprobs": 2}, 400, "set logprobs to true"),
    "heat": ("chat/completions", {"messages": MESSAGES, "temperature": 3}, 400, "temperature"),
    "top_p": ("chat/completions", {"messages": MESSAGES, "top_p": 0}, 400, "top_p"),
    "options": ("chat/completions", {"messages": MESSAGES, "stream_options": {}}, 400, "set stream to true"),
    "tokens": ("completions", {"prompt": [1, 2]}, 400, "send texts"),
    "echo": ("completions", {"prompt": "a", "echo": True}, 400, "echo is not done here"),
    "best of": ("completions", {"prompt": "a", "best_of": 3}, 400, "best_of is not done here"),
    "empty prompt": ("completions", {"prompt": ""}, 400, "The prompt is empty"),
    "no prompts": ("completions", {"prompt": []}, 400, "No rows were given"),
    "bias": ("completions", {"prompt": "a", "logit_bias": {"x": 1}}, 400, "logit_bias has 1 for 'x'"),
    "unknown token": ("completions", {"prompt": "a", "logit_bias": {"9999": 1}}, 400, "logit_bias names token 9999"),
    "context": ("completions", {"prompt": "x" * 200, "max_tokens": 9}, 400, "at most 128, the model's context"),
    "streamed context": ("completions", {"prompt": "x" * 200, "stream": True}, 400, "at most 128"),
    "stops": ("completions", {"prompt": "a", "stop": ["b"] * 17}, 400, "at most 16"),
    "model": ("completions", {"prompt": "a", "model": "none"}, 404, "No model 'none' is served here; there is tiny."),
    "many": ("completions", {"prompt": "a", "n": 5000}, 413, "5000 rows"),
    "size": ("completions", {"prompt": "a" * 2**21}, 400, "prompts may have 1,048,576"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_request_is_refused_in_openais_form_when_it_cannot_be_done(asking, repository, case):
    path, body, status, cause = BAD[case]
    response = asking.ask(repository, "POST", f"/v1/{path}", json=body)
    assert (response.status_code, list(response.json())) == (status, ["error"])
    assert list(response.json()["error"]) == ["message", "type", "param", "code"]
    assert cause in response.json()["error"]["message"]


def test_what_replies_hold_may_be_sent_back(client, bundle):
    answer = client.chat.completions.create(model="tiny", messages=MESSAGES, max_tokens=4, temperature=0)
    parts = [{"type": "text", "text": "on"}, {"type": "text", "text": "ward"}]
    messages = [*MESSAGES, answer.choices[0].message.model_dump(), {"role": "user", "content": parts}]
    found = client.chat.completions.create(model="tiny", messages=messages, max_tokens=4, temperature=0)
    said = {"role": "assistant", "content": answer.choices[0].message.content}
    expected = bundle.generate([*MESSAGES, said, {"role": "user", "content": "onward"}], max_tokens=4)
    assert found.choices[0].message.content == expected.text


def test_models_of_both_kinds_are_told_apart_when_they_share_a_server(asking, generating_folder, array_folder):
    repository = asking.repository_of(array_folder, generating_folder)
    listed = asking.ask(repository, "GET", "/v1/models").json()
    assert [one["id"] for one in listed["data"]] == ["digits", "tiny"]
    text = asking.ask(repository, "POST", "/v1/completions", json={"prompt": "the", "max_tokens": 3})
    assert text.json()["model"] == "tiny"
    assert asking.ask(repository, "POST", "/predict", json={"input_data": [[0] * 64]}).status_code == 200
    wrong = asking.ask(repository, "POST", "/v1/completions", json={"prompt": "the", "model": "digits"})
    assert wrong.json()["error"]["message"] == "Model 'digits' does not generate texts; name one that does: tiny."
    wrong = asking.ask(repository, "POST", "/v2/models/tiny/infer", json={"inputs": []})
    assert wrong.status_code == 400
    assert "generates texts and does not predict" in wrong.text
    document = asking.ask(repository, "GET", "/openapi.json").json()
    assert {"/predict", "/v1/chat/completions", "/v1/completions"} <= document["paths"].keys()
    assert asking.ask(repository, "GET", "/docs").status_code == 200


def test_server_of_texts_alone_describes_what_it_does(generating_server):
    get = generating_server.client.get
    paths = get("/openapi.json").json()["paths"]
    assert {"/v1/chat/completions", "/v1/completions", "/v1/models", "/v2/health/ready"} <= paths.keys()
    assert "/predict" not in paths
    assert get("/v2/health/ready").status_code == 200
    assert get("/v1/models/tiny").json()["task"] == "text-generation"
    assert generating_server.lines[0].endswith(
        "(4 texts at a time of at most 128 tokens each with its prompt, whose cache takes 0 MiB when full)\n"
    )
    assert generating_server.lines[2].startswith(f"curl -sN {generating_server.url}/v1/completions -d ")


def test_tokens_are_counted_when_texts_were_generated(generating_server, client):
    line = 'maas_generated_tokens_total{model="tiny",version="1"}'
    before = generating_server.metric(line)
    client.completions.create(model="tiny", prompt="the", max_tokens=7, extra_body={"top_k": 5})
    assert 0 < generating_server.metric(line) - before <= 7
    assert generating_server.metric('maas_running_texts{model="tiny",version="1"}') == 0


def test_cached_tokens_are_reported_and_counted_when_a_prompt_begins_as_another(generating_server, client):
    line = 'maas_cached_prompt_tokens_total{model="tiny",version="1"}'
    head = [{"role": "system", "content": "numbers 1 2 3 and nothing else that would be a text"}]
    cached = []
    for salt in ("one", "one", "two"):
        before = generating_server.metric(line)
        found = client.chat.completions.create(
            model="tiny", messages=[*head, *MESSAGES], max_tokens=2, extra_body={"cache_salt": salt}
        )
        cached.append(found.usage.prompt_tokens_details.cached_tokens)
        assert generating_server.metric(line) == before + cached[-1]
    assert cached == [0, found.usage.prompt_tokens - 2, 0]


def test_stream_ends_with_an_error_when_its_deadline_passes_in_the_middle(generating_folder, monkeypatch):
    repository, gate = Repository(), threading.Event()
    deployment = repository.open(generating_folder)
    step = deployment.generator.decoder.step
    monkeypatch.setattr(deployment.generator.decoder, "step", lambda *batch: gate.wait() and step(*batch))
    body = json.dumps({"prompt": "the", "max_tokens": 50, "temperature": 0, "logprobs": 1, "stream": True}).encode()

    async def late() -> tuple[bytes, bytes]:
        service = Service(repository)
        operation, _ = service.find("POST", "/v1/completions")
        reply = await service.respond(operation, Request(body=body, timeout=b"500"))
        first = await anext(reply.parts)
        with pytest.raises(DeadlineError) as caught:
            await anext(reply.parts)
        gate.set()
        await service.close()
        _, refusal = http_refusal(caught.value, operation)
        return first, reply.ending(refusal.body)

    first, ending = asyncio.run(late())
    assert first.startswith(b"data: {")
    assert json.loads(ending.removeprefix(b"data: "))["error"]["code"] == "deadline_exceeded"
    assert ending.endswith(b"}\n\n")


def test_events_are_the_same_when_the_server_is_embedded(asking, repository, client):
    given = {"prompt": "the", "max_tokens": 9, "temperature": 0}
    found = asking.ask(repository, "POST", "/v1/completions", json={**given, "stream": True})
    assert found.headers["content-type"] == "text/event-stream; charset=utf-8"
    *events, end = found.text.strip().split("\n\n")
    texts = [json.loads(event.removeprefix("data: "))["choices"][0]["text"] for event in events]
    assert "".join(texts) == client.completions.create(model="tiny", **given).choices[0].text
    assert end == "data: [DONE]"


def test_old_version_finishes_its_texts_when_a_new_one_takes_its_place(generating_folder, bundle):
    settings = generation_settings({"max_tokens": 60, "ignore_end": True})
    call = GenerationCall(model="tiny", inputs=RowList(["the"]), size_bytes=3, settings=settings)

    async def swapped() -> tuple[str, bool, list[str]]:
        repository = Repository()
        slot = repository.add(LocatedEntry.of_folder(generating_folder))
        old = slot.deployment
        stream = old.engine.submit(call)
        text = (await anext(stream)).text
        old.engine.pause()
        new = await repository.swap(slot, LocatedEntry.of_folder(generating_folder, version="2"))
        old.engine.resume()
        text += "".join([chunk.text async for chunk in stream])
        served = [one.version for one in repository.snapshot.generating]
        await repository.close()
        return text, old.state is new.state is DeploymentState.GONE, served

    expected = bundle.generate("the", max_tokens=60, ignore_end=True).text
    assert asyncio.run(swapped()) == (expected, True, ["2"])


def test_generating_model_is_refused_when_it_is_to_be_lazy(generating_folder):
    entry = LocatedEntry.of_folder(generating_folder)
    lazy = entry._replace(entry=msgspec.structs.replace(entry.entry, lazy=True))
    with pytest.raises(
        ConfigError, match="Model tiny generates texts, and such models cannot be lazy. Leave lazy out."
    ):
        Repository().add(lazy)


def test_context_is_shorter_when_the_server_says_so(start, generating_folder):
    with start(f"model={generating_folder}", "context_length=32", "batch_size=2") as server:
        assert "(2 texts at a time of at most 32 tokens" in server.lines[0]
        refused = server.client.post("/v1/completions", json={"prompt": "x" * 30, "max_tokens": 9})
    assert "at most 32, the model's context" in refused.json()["error"]["message"]

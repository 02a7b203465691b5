"""`POST /v1/explanations` for models that generate: what maas.explain gives of a prompt, bounded."""

import asyncio
import threading

import pytest

import maas
from maas.runtime.generation.decoder import Decoder
from maas.serving.call import RowList
from maas.serving.explainer import Explainer, ExplanationCall

PATH = "/v1/explanations"
PROMPT = "the model reads 这是 a prompt"
MESSAGES = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "write a text"}]


@pytest.fixture(scope="module")
def bundle(generating_folder):
    return maas.Bundle.open(generating_folder)


@pytest.fixture(scope="module")
def repository(asking, generating_folder):
    return asking.repository_of(generating_folder)


def parts_of(record):
    return [(one["name"], part["name"]) for one in record["inputs"] for part in one["parts"]]


def numbers_of(record):
    return [part["attribution"] for one in record["inputs"] for part in one["parts"]]


@pytest.mark.parametrize(
    "settings", [{}, {"label": " and writes\na text"}, {"method": "shapley", "orders": 2, "parts": 3}]
)
def test_explanation_is_that_of_the_bundle_when_a_prompt_is_sent(asking, repository, bundle, settings):
    found = asking.ask(repository, "POST", PATH, json={"inputs": PROMPT, **settings})
    assert found.status_code == 200, found.text
    (record,) = found.json()["explanations"]
    expected = maas.explain(bundle, PROMPT, **settings)
    assert (record["quantity"], record["label"]) == ("log-probability", expected.label)
    assert [record["value"], record["baseline"]] == pytest.approx([expected.value, expected.baseline], abs=1e-3)
    assert numbers_of(record) == pytest.approx(expected.attributions, abs=1e-3)
    assert parts_of(record) == [("prompt", part.name) for part in expected.parts]
    assert record["inputs"][0]["kind"] == "words"
    assert found.headers["maas-model"] == found.json()["model"] == "tiny"


def test_conversation_is_one_row_when_messages_are_sent(asking, repository, bundle):
    found = asking.ask(repository, "POST", PATH, json={"inputs": MESSAGES, "model": "tiny", "version": 1})
    (record,) = found.json()["explanations"]
    expected = maas.explain(bundle, MESSAGES)
    assert numbers_of(record) == pytest.approx(expected.attributions, abs=1e-3)
    assert [name for name, _ in parts_of(record)] == ["system"] * 2 + ["user"] * 3
    both = asking.ask(repository, "POST", f"{PATH}?model=tiny", json={"inputs": [MESSAGES, MESSAGES[1:]]}).json()
    alone = maas.explain(bundle, MESSAGES[1:])
    assert numbers_of(both["explanations"][0]) == pytest.approx(expected.attributions, abs=1e-3)
    assert numbers_of(both["explanations"][1]) == pytest.approx(alone.attributions, abs=1e-3)


def test_model_that_generates_is_named_when_one_that_predicts_is_the_first(asking, generating_folder, text_folder):
    repository = asking.repository_of(text_folder, generating_folder)
    asked = {"inputs": [PROMPT, "a text"], "model": "tiny"}
    found = asking.ask(repository, "POST", PATH, json=asked).json()
    assert [one["quantity"] for one in found["explanations"]] == ["log-probability"] * 2
    first = asking.ask(repository, "POST", PATH, json={"inputs": "a good text"}).json()
    assert first["explanations"][0]["quantity"] == "log-odds"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"inputs": " "}, "The prompt has no word that could be left out."),
        ({"inputs": "a b", "label": ""}, "label is an empty text"),
        ({"inputs": 3}, "The prompt is of type int"),
        ({"inputs": "word " * 300}, "both together must be at most"),
        ({"inputs": "word " * 20_000}, "both together must be at most"),
        ({"inputs": "word " * 300_000}, "prompts may have 1,048,576"),
        ({"inputs": []}, "No rows were given"),
        ({"inputs": ["a"] * 5}, "The request has 5 rows; this server takes 4 at a time"),
        ({"inputs": "a b", "model": "none"}, "No model 'none' is served here; there is tiny."),
        ({"prompt": "a b"}, 'Send JSON like {"inputs":'),
    ],
)
def test_request_is_refused_in_one_line_when_there_is_nothing_to_explain(asking, repository, body, message):
    response = asking.ask(repository, "POST", PATH, json=body)
    assert response.status_code in (400, 404, 413)
    assert message in response.json()["error"]
    assert "\n" not in response.json()["error"]


def test_explanation_is_refused_when_it_would_read_too_much(asking, bundles, tmp_path):
    repository = asking.repository_of(bundles.conversing_bundle(tmp_path / "long"))
    prompt = " ".join(f"w{number}" for number in range(100))
    body = {"inputs": prompt, "method": "shapley", "orders": 16, "label": " x"}
    response = asking.ask(repository, "POST", PATH, json=body)
    assert response.status_code == 400
    assert "reads prompt and text 1040 times" in response.json()["error"]
    assert "at most 32,768 are read for one. Send fewer parts" in response.json()["error"]


def test_work_ends_before_the_next_run_when_nobody_waits(repository, monkeypatch):
    runs, left, prefill = [], threading.Event(), Decoder.prefill
    monkeypatch.setattr("maas.explaining.prompts.TOKENS_AT_ONCE", 1)

    async def run():
        explainer, begun = Explainer(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def counted(decoder, *given):
            runs.append(1)
            loop.call_soon_threadsafe(begun.set)
            left.wait(60)
            return prefill(decoder, *given)

        monkeypatch.setattr(Decoder, "prefill", counted)
        deployment = repository.snapshot.generating[0]
        call = ExplanationCall(model="tiny", inputs=RowList([PROMPT]), size_bytes=10, label=" x")
        task = asyncio.ensure_future(explainer.explanations(call, deployment))
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        left.set()
        await asyncio.to_thread(explainer._threads.shutdown)

    asyncio.run(run())
    assert len(runs) == 1, "of nine"


def test_documents_show_it_when_all_models_generate(asking, repository):
    operation = asking.ask(repository, "GET", "/openapi.json").json()["paths"][PATH]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["label"] == {"type": ["string", "null"]}


@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/scores", "/predict", "/invocations"])
def test_large_body_of_rows_is_refused_in_one_line_when_all_models_generate(asking, repository, path):
    response = asking.ask(repository, "POST", path, json={"inputs": ["word " * 20_000]})
    assert 400 <= response.status_code < 500, response.text

"""Texts of a required form by OpenAI's client: valid, the bundle's own, compiled off the event loop, or refused."""

import asyncio
import json
import re
import threading
from typing import Annotated, Literal

import jsonschema
import openai
import pydantic
import pytest

from maas.runtime.bundle import Bundle
from maas.runtime.generation.grammars import Grammars
from maas.runtime.generation.settings import generation_settings
from maas.serving.call import GenerationCall, RowList
from maas.serving.repository import Repository

MESSAGES = [{"role": "user", "content": "write"}]
SAMPLED = {"temperature": 1.0, "seed": 3}


class Owner(pydantic.BaseModel):
    name: Annotated[str, pydantic.Field(max_length=5)]


class Pet(pydantic.BaseModel):
    kind: Literal["cat", "dog"]
    age: Annotated[int, pydantic.Field(ge=0, le=30)]
    owner: Owner | None


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


def test_own_parser_gets_a_value_each_time_when_it_sends_a_model_of_pydantic(client):
    for seed in range(10):
        found = client.chat.completions.parse(
            model="tiny", messages=MESSAGES, response_format=Pet, max_completion_tokens=90, temperature=1.0, seed=seed
        )
        assert isinstance(found.choices[0].message.parsed, Pet)
        assert found.choices[0].finish_reason == "stop"


def test_text_is_the_bundles_when_schema_and_seed_are_the_same(client, bundle):
    schema = Pet.model_json_schema()
    form = {"type": "json_schema", "json_schema": {"name": "pet", "schema": schema, "strict": False}}
    given = {"model": "tiny", "messages": MESSAGES, "max_tokens": 90, "response_format": form, **SAMPLED}
    found = client.chat.completions.create(**given)
    expected = bundle.generate(MESSAGES, max_tokens=90, schema=schema, **SAMPLED)
    assert found.choices[0].message.content == expected.text
    jsonschema.validate(json.loads(expected.text), schema)
    chunks = client.chat.completions.create(**given, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == expected.text


def test_any_object_is_written_when_the_format_is_json(client, bundle):
    close = bundle.generator.tokenizer.encode("}").ids[0]
    found = client.chat.completions.create(
        model="tiny", messages=MESSAGES, max_tokens=9, response_format={"type": "json_object"},
        logit_bias={str(close): 100}, **SAMPLED,
    )  # fmt: skip
    assert found.choices[0].message.content == "{}"


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ({"regex": "[0-9]{3}-[0-9]{4}"}, "[0-9]{3}-[0-9]{4}"),
        ({"choice": ["是", "不是"]}, "是|不是"),
        ({"json": {"enum": [1, "a", None]}}, '1|"a"|null'),
    ],
    ids=str,
)
def test_text_has_the_form_when_the_request_names_it_as_vllm_does(client, form, pattern):
    extra = {"structured_outputs": form}
    text = client.completions.create(model="tiny", prompt="the", max_tokens=30, n=3, extra_body=extra, **SAMPLED)
    answer = client.chat.completions.create(model="tiny", messages=MESSAGES, max_tokens=30, extra_body=extra, **SAMPLED)
    found = [*(one.text for one in text.choices), answer.choices[0].message.content]
    assert all(re.fullmatch(pattern, one) for one in found)


def test_texts_of_a_server_equal_those_alone_when_forms_are_mixed(generating_server, bundle):
    forms = [{}, {"regex": "[a-z]{3,9}"}, {"choice": ["left", "right"]}, {"json": Pet.model_json_schema()}] * 3
    names = {"json": "schema"}

    async def text_of(client, number: int) -> str:
        form = {"structured_outputs": forms[number]} if forms[number] else {}
        found = await client.completions.create(
            model="tiny", prompt="the model", max_tokens=60, temperature=1.0, seed=number, extra_body=form
        )
        return found.choices[0].text

    async def everybody() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{generating_server.url}/v1", api_key="none") as client:
            return await asyncio.gather(*(text_of(client, number) for number in range(len(forms))))

    settings = [{names.get(name, name): value for name, value in form.items()} for form in forms]
    expected = [
        bundle.generate("the model", max_tokens=60, temperature=1.0, seed=seed, **form).text
        for seed, form in enumerate(settings)
    ]
    assert asyncio.run(everybody()) == expected


def test_form_is_compiled_beside_the_event_loop_when_it_is_new(generating_folder, monkeypatch):
    threads = set()
    compiled = Grammars._compiled

    def recorded(self, source):
        threads.add(threading.current_thread())
        return compiled(self, source)

    monkeypatch.setattr(Grammars, "_compiled", recorded)
    settings = generation_settings({"regex": "[ab]{4}", "max_tokens": 9})

    async def generated() -> str:
        repository = Repository()
        engine = repository.open(generating_folder).engine
        call = GenerationCall(model="tiny", inputs=RowList(["the"]), size_bytes=3, settings=settings)
        text = "".join([chunk.text async for chunk in engine.submit(call)])
        await engine.drain()
        await repository.close()
        return text

    assert re.fullmatch("[ab]{4}", asyncio.run(generated()))
    assert threads
    assert threading.main_thread() not in threads


FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
BAD = {
    "unknown type": ({"response_format": {"type": "xml"}}, "Invalid value 'xml'"),
    "no name": ({"response_format": {"type": "json_schema", "json_schema": {}}}, "missing required field `name`"),
    "keyword": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}},
        "The text cannot be given this form: ",
    ),
    "regex": ({"structured_outputs": {"regex": "(?<=a)b"}}, "The text cannot be given this form: "),
    "two": ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "regex and choice are given; give one of them"),
    "both": ({"structured_outputs": {"regex": "a"}, "response_format": FORMAT}, "A text has one form"),
    "none": ({"structured_outputs": {}}, "structured_outputs names no form"),
    "no choice": ({"structured_outputs": {"choice": []}}, "Expected `array` of length >= 1"),
    "grammar": ({"structured_outputs": {"grammar": "a"}}, "unknown field `grammar`"),
}


@pytest.mark.parametrize("case", BAD)
def test_form_is_refused_in_one_line_when_it_cannot_be_done(asking, repository, case):
    wrong, cause = BAD[case]
    response = asking.ask(repository, "POST", "/v1/chat/completions", json={"messages": MESSAGES, **wrong})
    assert response.status_code == 400
    assert cause in response.json()["error"]["message"]
    assert "\n" not in response.json()["error"]["message"]


def test_first_text_of_a_form_reads_no_tokens_since_they_were_read_when_the_model_was_loaded(
    generating_folder, monkeypatch
):
    generator = Repository().open(generating_folder).generator
    monkeypatch.setattr("maas.runtime.generation.grammars.LLTokenizer", None)  # would fail
    begun = generator.begin("write", generation_settings({"choice": ["yes"]}))
    assert begun.prompt.size

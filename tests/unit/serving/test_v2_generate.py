"""Triton's generate extension: a text for a text, whole or as events, and what the protocol says of such a model."""

import json

import pytest

from maas.runtime.bundle import Bundle

SAMPLED = {"temperature": 1.0, "seed": 3, "max_tokens": 20}


@pytest.fixture(scope="module")
def bundle(generating_folder):
    return Bundle.open(generating_folder)


@pytest.fixture(scope="module")
def repository(asking, generating_folder):
    return asking.repository_of(generating_folder)


def events_of(text: str) -> list[dict]:
    return [json.loads(event.removeprefix("data: ")) for event in text.strip().split("\n\n")]


@pytest.mark.parametrize("path", ["/v2/models/tiny", "/v2/models/tiny/versions/1"])
@pytest.mark.parametrize("settings", [{"max_tokens": 12}, SAMPLED, {"regex": "[ab]{5}", **SAMPLED}], ids=str)
def test_text_is_the_bundles_when_it_is_whole_or_streamed(generating_server, bundle, path, settings):
    body = {"text_input": "the", "parameters": settings, "id": "seven"}
    expected = bundle.generate("the", **settings).text
    whole = generating_server.client.post(f"{path}/generate", json=body)
    record = {"id": "seven", "model_name": "tiny", "model_version": "1", "text_output": expected}
    assert whole.json() == record
    streamed = generating_server.client.post(f"{path}/generate_stream", json=body)
    assert streamed.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = events_of(streamed.text)
    assert "".join(event["text_output"] for event in events) == expected
    assert {**events[-1], "text_output": expected} == record


def test_likeliest_text_is_given_when_nothing_is_set(asking, repository, bundle):
    found = asking.ask(repository, "POST", "/v2/models/tiny/generate", json={"text_input": "the"}).json()
    assert found == {"model_name": "tiny", "model_version": "1", "text_output": bundle.generate("the").text}


def test_biases_are_those_of_the_bundle_when_json_names_tokens(asking, repository, bundle):
    body = {"text_input": "the", "parameters": {"max_tokens": 3, "logit_bias": {"70": 1e4}}}
    found = asking.ask(repository, "POST", "/v2/models/tiny/generate", json=body).json()
    assert found["text_output"] == bundle.generator.tokenizer.decode([70] * 3)
    assert found["text_output"] == bundle.generate("the", max_tokens=3, logit_bias={70: 1e4}).text


BAD = {
    "no text": ("generate", {"text": "a"}, 400, "text_input"),
    "unknown setting": ("generate", {"text_input": "a", "parameters": {"heat": 1}}, 400, "heat"),
    "stream": ("generate", {"text_input": "a", "parameters": {"stream": True}}, 400, "to generate_stream"),
    "no stream": ("generate_stream", {"text_input": "a", "parameters": {"stream": False}}, 400, "to generate"),
    "penalty": ("generate", {"text_input": "a", "parameters": {"repetition_penalty": 1e-40}}, 400, "penalty"),
    "form": ("generate", {"text_input": "a", "parameters": {"regex": "("}}, 400, "cannot be given this form"),
    "context": ("generate_stream", {"text_input": "x" * 200}, 400, "at most 128"),
    "logprobs": ("generate", {"text_input": "x", "parameters": {"logprobs": 2}}, 400, "logprobs are not reported here"),
    "size": ("generate", {"text_input": "x" * 2**20}, 400, "prompts may have 1,048,576"),
    "version": ("versions/9/generate", {"text_input": "a"}, 404, "is served in version 1, not 9"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_request_is_refused_in_the_protocols_form_when_it_cannot_be_done(asking, repository, case):
    path, body, status, cause = BAD[case]
    response = asking.ask(repository, "POST", f"/v2/models/tiny/{path}", json=body)
    assert response.status_code == status
    assert cause in response.json()["error"]


def test_model_is_described_as_text_in_and_out(generating_server):
    found = generating_server.client.get("/v2/models/tiny").json()
    assert found["inputs"] == [{"name": "text_input", "datatype": "BYTES", "shape": [1]}]
    assert found["outputs"] == [{"name": "text_output", "datatype": "BYTES", "shape": [1]}]
    assert generating_server.client.get("/v2/models/tiny/ready").json() == {"name": "tiny", "ready": True}
    assert generating_server.client.get("/v2/models/tiny/versions/2").status_code == 404
    assert "generate" in generating_server.client.get("/v2").json()["extensions"]


def test_predicting_model_generates_nothing_beside_one_that_does(asking, array_folder, generating_folder):
    repository = asking.repository_of(array_folder, generating_folder)
    wrong = asking.ask(repository, "POST", "/v2/models/digits/generate", json={"text_input": "a"})
    assert wrong.json()["error"] == "Model 'digits' does not generate texts; name one that does: tiny."
    assert asking.ask(repository, "GET", "/v2/models/tiny").json()["versions"] == ["1"]
    assert asking.ask(repository, "GET", "/v2/models/digits").json()["inputs"][0]["name"] == "input"
    assert asking.ask(repository, "GET", "/v2/models/nobody").status_code == 404

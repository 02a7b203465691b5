"""A model that fails in the middle of a text, served: the caller gets the reason, others their texts."""

import json

import pytest

from maas.exporting.generation_bundling import build_generation_bundle
from maas.records.manifest import Lineage, ServingSettings
from maas.runtime.generation.settings import generation_settings

REASON = "tokens of the text are not finite numbers"


@pytest.fixture(scope="module")
def server(failing, tiny_llama, start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("failing") / "bundle"
    folder.mkdir()
    build_generation_bundle(
        folder,
        model=failing.decoder,
        name="tiny",
        serving=ServingSettings(batch_size=4, threads=1),
        lineage=Lineage("none", (), "0" * 64, 0, "0" * 64, None, "0" * 64, "0.1.0"),
        golden_prompts=[prompt for prompt in tiny_llama.PROMPTS if prompt != failing.prompt],
        opset=20,
    )
    with start(f"model={folder}") as server:
        yield server


def body_of(prompt: str, **more: object) -> dict[str, object]:
    return {"prompt": prompt, "max_tokens": 24, "temperature": 0, **more}


def test_reason_has_openais_form_and_is_counted_when_a_text_fails(server, failing):
    counted = 'maas_failed_texts_total{model="tiny",version="1"}'
    before = server.metric(counted)
    reply = server.client.post("/v1/completions", json=body_of(failing.prompt))
    error = reply.json()["error"]
    assert (reply.status_code, error["type"], error["code"]) == (500, "server_error", "generation_failed")
    assert REASON in error["message"]
    assert server.metric(counted) == before + 1
    status = server.client.get("/metrics").text
    assert 'route="/v1/completions",status="500",version="1"} 1.0' in status


def test_stream_ends_with_the_reason_when_its_text_fails_in_the_middle(server, failing):
    with server.client.stream("POST", "/v1/completions", json=body_of(failing.prompt, stream=True)) as reply:
        assert reply.status_code == 200
        events = [json.loads(line.removeprefix("data: ")) for line in reply.iter_lines() if line]
    assert REASON in events[-1]["error"]["message"]
    assert all("choices" in event for event in events[:-1])


def test_others_get_their_texts_when_one_call_fails(server, failing, tiny_llama):
    prompts = [prompt for prompt in tiny_llama.PROMPTS if prompt != failing.prompt]
    failed = server.client.post("/v1/completions", json=body_of([*prompts, failing.prompt]))
    assert failed.status_code == 500
    found = server.client.post("/v1/completions", json=body_of(prompts)).json()["choices"]
    expected = failing.whole.generate(prompts, generation_settings({"max_tokens": 24}))
    assert [one["text"] for one in found] == [one.text for one in expected]
    assert server.metric('maas_running_texts{model="tiny",version="1"}') == 0

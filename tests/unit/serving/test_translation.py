"""A model that translates is served as those that predict; no text depends on the others of its batch."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgspec
import pytest

from maas.errors import ConfigError
from maas.runtime.bundle import Bundle
from maas.serving.entries import LocatedEntry
from maas.serving.executors import INLINE_BELOW_S
from maas.serving.repository import Repository

TEXTS = ["the meeting", "这是一个很棒的文本", "x", "1984, 🙂", "no", "yes", "she is coming", "a b c d"]


@pytest.fixture(scope="module")
def bundle(translating_folder):
    return Bundle.open(translating_folder)


@pytest.mark.parametrize("path", ["/v1/translate", "/v1/translation"])
def test_text_is_that_of_predict_when_it_is_translated(translating_server, bundle, path):
    response = translating_server.client.post(path, json={"text": TEXTS[0]})
    assert response.status_code == 200
    assert response.json() == bundle.predict(TEXTS[:1])[0]
    assert set(response.json()) == {"translation", "log_probability"}


def test_list_of_texts_gets_a_list_in_their_order_when_lengths_differ(translating_server, bundle):
    found = translating_server.client.post("/v1/translate", json={"text": TEXTS}).json()
    assert [one["translation"] for one in found] == bundle.translate(TEXTS)


def test_texts_are_those_of_each_alone_when_many_callers_come_at_once(translating_server, bundle):
    expected = {text: bundle.translate([text])[0] for text in TEXTS}

    def asked(number):
        text = TEXTS[number % len(TEXTS)]
        found = httpx.post(f"{translating_server.url}/v1/translate", json={"text": text}, timeout=60)
        return text, found.json()["translation"]

    with ThreadPoolExecutor(16) as pool:
        for text, found in pool.map(asked, range(64)):
            assert found == expected[text]


def test_tensors_hold_the_texts_when_the_open_inference_protocol_is_spoken(translating_server, bundle):
    inputs = [{"name": "text", "datatype": "BYTES", "shape": [3], "data": TEXTS[:3]}]
    found = translating_server.client.post("/v2/models/tiny/infer", json={"inputs": inputs}).json()
    tensors = {one["name"]: one for one in found["outputs"]}
    assert tensors["translation"]["data"] == bundle.translate(TEXTS[:3])
    assert tensors["translation"]["datatype"] == "BYTES"
    assert tensors["log_probability"]["shape"] == [3]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"text": "x " * 40}, "Row 0 has 81 tokens; the model takes 24 tokens"),
        ({"text": ""}, "Row 0 is an empty text"),
        ({"text": 3}, "Row 0 is of type int; the model takes a text"),
        ({"words": "x"}, 'Send JSON like {"text":"'),
    ],
)
def test_request_is_refused_in_one_line_when_it_holds_no_text_to_translate(translating_server, body, message):
    response = translating_server.client.post("/v1/translate", json=body)
    assert response.status_code == 400
    assert message in response.json()["error"]


def test_explanation_says_how_near_translations_stay_when_words_are_left_out(translating_server):
    response = translating_server.client.post("/v1/explanations", json={"inputs": "the meeting ends"})
    (found,) = response.json()["explanations"]
    assert found["quantity"] == "similarity"


def test_documents_show_both_paths_when_a_model_translates(translating_server):
    paths = json.loads(translating_server.client.get("/openapi.json").content)["paths"]
    assert {"/v1/translate", "/v1/translation"} <= set(paths)


def test_path_is_not_there_when_no_model_translates(text_server):
    assert text_server.client.post("/v1/translate", json={"text": "x"}).status_code == 404


def test_model_is_refused_when_it_is_to_be_lazy(translating_folder):
    entry = LocatedEntry.of_folder(translating_folder)
    lazy = entry._replace(entry=msgspec.structs.replace(entry.entry, lazy=True))
    with pytest.raises(
        ConfigError, match="Model tiny writes texts of what it reads, and such models cannot be lazy. Leave lazy out."
    ):
        Repository().add(lazy)


def test_event_loop_runs_nothing_when_a_model_translates(translating_folder):
    engine = Repository().open(translating_folder).engine
    assert not engine.costs.is_inline
    assert engine.costs.run_s(1) > INLINE_BELOW_S

"""A model that translates is served as those that predict; no text depends on the others of its batch."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgspec
import pytest

from maas.errors import ConfigError
from maas.runtime.bundle import Bundle
from maas.runtime.translation.graphs import TranslationGraphs
from maas.serving.call import Call, RowList
from maas.serving.entries import LocatedEntry
from maas.serving.executors import INLINE_BELOW_S
from maas.serving.faults import TooManyRowsError
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


@pytest.mark.parametrize("beams", [1, 2, 4])
def test_text_is_that_of_the_bundles_beams_when_a_request_wants_some(translating_server, bundle, beams):
    expected = bundle.translate(TEXTS, num_beams=beams)
    many = translating_server.client.post("/v1/translate", json={"text": TEXTS, "beams": beams}).json()
    assert [one["translation"] for one in many] == expected
    one = translating_server.client.post(f"/v1/translation?beams={beams}", json={"text": TEXTS[0]}).json()
    assert one["translation"] == expected[0]
    assert bundle.predict([{"text": TEXTS[0], "beams": beams}])[0]["translation"] == expected[0]


def test_beams_change_some_text_when_more_are_followed(bundle):
    assert bundle.translate(TEXTS, num_beams=4) != bundle.translate(TEXTS)


def test_rows_of_several_beams_share_runs_when_many_callers_come_at_once(translating_server, bundle):
    expected = {beams: bundle.translate(TEXTS, num_beams=beams) for beams in (1, 2, 3)}

    def asked(number):
        place, beams = number % len(TEXTS), 1 + number % 3
        body = {"text": TEXTS[place], "beams": beams}
        found = httpx.post(f"{translating_server.url}/v1/translate", json=body, timeout=60)
        return expected[beams][place], found.json()["translation"]

    with ThreadPoolExecutor(16) as pool:
        for text, found in pool.map(asked, range(48)):
            assert found == text


@pytest.mark.parametrize("beams", [0, 5, -1, "two", True, 1.5])
def test_beams_are_refused_in_one_line_when_they_exceed_the_slots_of_a_run(translating_server, beams):
    response = translating_server.client.post("/v1/translate", json={"text": "x", "beams": beams})
    assert response.status_code == 400
    assert response.json()["error"] == (
        f"Row 0 has beams '{beams}'; it is a whole number from 1 to 4, the most that are followed here."
    )


def test_beams_are_bounded_by_the_servers_setting(translating_folder, start):
    with start(f"model={translating_folder}", "max_beams=2") as server:
        assert server.client.post("/v1/translate", json={"text": "x", "beams": 2}).status_code == 200
        response = server.client.post("/v1/translate", json={"text": "x", "beams": 3})
        assert "from 1 to 2, the most" in response.json()["error"]
        schema = server.client.get("/openapi.json").json()["paths"]["/v1/translate"]["post"]["requestBody"]
        assert schema["content"]["application/json"]["schema"]["properties"]["beams"]["maximum"] == 2


def submitted(engine, *rows):
    async def found():
        call = Call(model="tiny", inputs=RowList(rows), size_bytes=10)
        return (await anext(engine.submit(call))).outputs

    return asyncio.ensure_future(found())


def test_beams_count_as_rows_when_a_run_is_filled(translating_folder, monkeypatch):
    steps, step = [], TranslationGraphs.step
    monkeypatch.setattr(
        TranslationGraphs, "step", lambda graphs, *given: (steps.append(len(given[1])), step(graphs, *given))[1]
    )

    async def run():
        engine = Repository().open(translating_folder).engine
        steps.clear()
        rows = [{"text": text, "beams": 2} for text in ("one", "two", "six", "ten", "x", "y")]
        await asyncio.gather(*(submitted(engine, row) for row in rows))
        assert max(steps) == 4, "the rows of a run"
        assert engine.queued_rows == 0
        engine.max_rows = 6
        with pytest.raises(TooManyRowsError, match="8 rows, each counted as often as it has beams; this server takes"):
            await submitted(engine, *({"text": text, "beams": 4} for text in ("one", "two")))
        assert engine.queued_rows == 0
        await engine.drain()

    asyncio.run(run())


def test_search_ends_after_its_step_when_the_client_has_left(translating_folder, monkeypatch):
    steps, begun, left, step = [], threading.Event(), threading.Event(), TranslationGraphs.step

    def held(graphs, progress, tokens):
        steps.append(len(tokens))
        if len(steps) == 3:
            begun.set()
            left.wait(60)
        return step(graphs, progress, tokens)

    async def run():
        monkeypatch.setattr(TranslationGraphs, "step", step)
        engine = Repository().open(translating_folder).engine
        monkeypatch.setattr(TranslationGraphs, "step", held)
        text = TEXTS[1]  # whose tokens are many
        staying = asyncio.ensure_future(asyncio.sleep(0)) if is_alone else submitted(engine, text)
        leaving = submitted(engine, {"text": text, "beams": 2})
        await asyncio.to_thread(begun.wait, 60)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        left.set()
        found = await staying
        await engine.drain()
        return found

    is_alone = True
    asyncio.run(run())
    assert len(steps) == 3, "none is taken for nobody"
    is_alone = False
    steps.clear(), begun.clear(), left.clear()
    found = asyncio.run(run())
    assert steps[:3] == [2, 3, 3]
    assert set(steps[3:]) == {1}, "the other text goes on alone"
    assert found["translation"].tolist() == Bundle.open(translating_folder).translate([TEXTS[1]])

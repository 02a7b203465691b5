"""`POST /v1/explanations`: what maas.explain gives, over HTTP, beside other work."""

import asyncio
import base64
import io

import httpx
import numpy as np
import pytest
from PIL import Image

import maas
from maas.serving.call import RowList
from maas.serving.entries import LocatedEntry
from maas.serving.explainer import Explainer, ExplanationCall
from maas.serving.repository import Repository
from maas.serving.transports.http import HttpApp

PATH = "/v1/explanations"
KINDS = ("array", "table", "text", "combined", "image", "audio", "embedding")
SHOWN = {"array": "columns", "table": "columns", "image": "patches", "audio": "windows"}


@pytest.fixture(scope="module", params=KINDS)
def served(request, asking, bundles, tmp_path_factory):
    """A bundle of each kind, and a repository that serves it."""
    folder = tmp_path_factory.mktemp("explained") / request.param
    getattr(bundles, f"{request.param}_bundle")(folder)
    return request.param, maas.Bundle.open(folder), asking.repository_of(folder)


def parts_of(record: dict) -> list[dict]:
    return [part for one in record["inputs"] for part in one["parts"]]


def test_explanation_is_that_of_the_bundle_when_any_kind_of_row_is_sent(served, asking):
    kind, bundle, repository = served
    row = bundle.golden.inputs[0]
    found = asking.ask(repository, "POST", PATH, json={"inputs": row, "orders": 3.0})
    assert found.status_code == 200, found.text
    (record,) = found.json()["explanations"]
    expected = maas.explain(bundle, row, orders=3)
    assert record["quantity"] == expected.quantity
    assert record["label"] == expected.label
    assert [record["value"], record["baseline"]] == pytest.approx([expected.value, expected.baseline], abs=1e-5)
    assert [part["attribution"] for part in parts_of(record)] == pytest.approx(expected.attributions, abs=1e-5)
    assert [tuple(part["place"]) for part in parts_of(record)] == [part.place for part in expected.parts]
    assert record["inputs"][0]["kind"] == SHOWN.get(kind, "words")
    assert found.headers["maas-version"] == found.json()["version"] == "1"


def test_inputs_of_a_combined_row_are_told_apart(bundles, asking, tmp_path):
    folder = bundles.combined_bundle(tmp_path / "combined")
    row = maas.Bundle.open(folder).golden.inputs[0]
    reply = asking.ask(asking.repository_of(folder), "POST", PATH, json={"inputs": row}).json()
    words, columns = reply["explanations"][0]["inputs"]
    assert [(one["name"], one["kind"]) for one in (words, columns)] == [("review", "words"), ("columns", "columns")]
    assert [row["review"][slice(*part["place"])] for part in words["parts"]] == list(row["review"])
    assert [part["name"] for part in columns["parts"]] == ["price", "size"]


def test_several_rows_are_explained_in_their_order(text, asking):
    bundle, repository = text
    rows = bundle.golden.inputs[:2]
    found = asking.ask(repository, "POST", PATH, json={"inputs": rows, "method": "occlusion"}).json()["explanations"]
    for record, row in zip(found, rows, strict=True):
        expected = maas.explain(bundle, row, method="occlusion")
        assert [part["attribution"] for part in parts_of(record)] == pytest.approx(expected.attributions, abs=1e-5)


@pytest.fixture(scope="module")
def image(asking, bundles, tmp_path_factory):
    folder = bundles.image_bundle(tmp_path_factory.mktemp("explained") / "image")
    return maas.Bundle.open(folder), asking.repository_of(folder)


def png(width: int, height: int) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("size", [9, 1100])
def test_file_is_explained_when_it_is_the_body_whether_small_or_large(image, asking, size):
    bundle, repository = image
    file = png(size, size)
    query = {"label": "dark", "orders": 2, "parts": 4}
    found = asking.ask(repository, "POST", PATH, content=file, params=query, headers={"content-type": "image/png"})
    assert found.status_code == 200, found.text
    (record,) = found.json()["explanations"]
    expected = maas.explain(bundle, file, label="dark", orders=2, parts=4)
    assert record["label"] == "dark"
    assert [part["attribution"] for part in parts_of(record)] == pytest.approx(expected.attributions, abs=1e-5)
    seen = Image.open(io.BytesIO(base64.b64decode(record["inputs"][0]["seen"].partition(",")[2])))
    assert np.array_equal(np.asarray(seen.convert("L")), bundle.predictor.processor.arrays([file])[0][..., 0])


@pytest.fixture(scope="module")
def text(asking, text_folder):
    return maas.Bundle.open(text_folder), asking.repository_of(text_folder)


@pytest.mark.parametrize(
    ("body", "query", "status", "message"),
    [
        ({"inputs": ["bad"] * 5}, {}, 413, "The request has 5 rows; this server takes 4 at a time"),
        ({"inputs": []}, {}, 400, "No rows were given"),
        ({"inputs": ["bad", " "]}, {}, 400, "Row 1 is"),
        ({"inputs": "bad", "label": "funny"}, {}, 400, "label is 'funny'; the model knows 2 labels"),
        ({"inputs": "bad", "orders": 0}, {}, 400, "Expected `int` >= 1"),
        ({"inputs": "bad", "parts": 65}, {}, 400, "Expected `int` <= 64"),
        ({"inputs": "bad", "parts": 1.5}, {}, 400, "The body's parts is 1.5; it is a whole number"),
        ({"inputs": "bad", "method": "guess"}, {}, 400, "Invalid enum value 'guess'"),
        ({"inputs": "bad"}, {"orders": "many"}, 400, "The parameter orders of the query: Expected `int`, got `str`"),
        ({"inputs": "bad"}, {"parts": "null"}, 400, "The parameter parts of the query: Expected `int`, got `str`"),
        ({"inputs": "bad"}, {"label": ""}, 400, "label is ''; the model knows 2 labels"),
        ({"inputs": "bad", "model": "other"}, {}, 404, "No model 'other' is served here"),
        ({"inputs": "bad " * 5000}, {}, 413, "The body is too large for an explanation"),
        ({"input": "bad"}, {}, 400, "Object contains unknown field `input`"),
        ({}, {}, 400, "Object missing required field `inputs`"),
    ],
)
def test_request_is_refused_in_one_line_when_it_is_wrong(text, asking, body, query, status, message):
    found = asking.ask(text[1], "POST", PATH, json=body, params=query)
    assert found.status_code == status, found.text
    assert message in found.json()["error"]


def test_file_is_refused_when_the_model_reads_none(text, asking):
    found = asking.ask(text[1], "POST", PATH, content=b"x", headers={"content-type": "image/png"})
    assert found.status_code == 415


def test_runs_of_an_explanation_wait_in_the_queue_a_few_at_a_time(text):
    bundle, repository = text
    sizes = []
    deployment = repository.snapshot.first
    submit = deployment.engine.submit

    def counted(call):
        sizes.append(len(call.inputs))
        return submit(call)

    async def explained():
        call = ExplanationCall(model="sentiment", inputs=RowList([TEXT]), size_bytes=100)
        return await Explainer().explanations(call, deployment)

    deployment.engine.submit = counted
    try:
        (record,) = asyncio.run(explained())
    finally:
        deployment.engine.submit = submit
    assert max(sizes) <= 16
    assert sum(sizes) > 50
    assert record["label"] == bundle.predict([TEXT])[0]["label"]


TEXT = "a very good film with a long and winding plot that never loses its way, from the first scene to the last one"


async def until(condition) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


def test_work_ends_when_the_client_leaves_and_others_go_on(text):
    """The engine is paused, so that the first runs of the explanation wait for certain."""
    _, repository = text
    engine = repository.snapshot.first.engine

    async def leave() -> tuple[int, int, int]:
        app = HttpApp(repository)
        request = httpx.Request("POST", "http://test", json={"inputs": TEXT})
        engine.pause()
        gone = asyncio.Event()
        messages = [{"type": "http.request", "body": request.content}]

        async def receive():
            if messages:
                return messages.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            raise AssertionError(message)

        scope = {"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": []}
        task = asyncio.create_task(app(scope, receive, send))
        await until(lambda: engine.queued_rows)
        waiting = engine.queued_rows
        gone.set()
        await task
        await until(lambda: not engine.queued_rows)
        engine.resume()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            reply = await client.post("/v1/predictions", json={"inputs": [TEXT]})
        return waiting, engine.queued_rows, reply.status_code

    waiting, left, status = asyncio.run(leave())
    assert 1 <= waiting <= 16
    assert (left, status) == (0, 200)


def test_explanation_ends_on_the_version_that_began_it_when_another_takes_its_place(bundles, tmp_path):
    repository = Repository()
    slot = repository.add(LocatedEntry.of_folder(bundles.text_bundle(tmp_path / "old"), name="sentiment", version="1"))
    new = LocatedEntry.of_folder(bundles.text_bundle(tmp_path / "new"), name="sentiment", version="2")

    async def swapped() -> list[str]:
        app = HttpApp(repository)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            engine = repository.snapshot.first.engine
            engine.pause()
            explained = asyncio.create_task(client.post(PATH, json={"inputs": TEXT}))
            await until(lambda: engine.queued_rows)
            await repository.swap(slot, new)
            after = await client.post("/v1/predictions", json={"inputs": [TEXT]})
            engine.resume()
            replies = [await explained, after]
        await app.close()
        return [reply.json()["version"] for reply in replies]

    assert asyncio.run(swapped()) == ["1", "2"]


def test_calls_are_refused_when_as_many_as_allowed_are_explained(text):
    bundle, repository = text
    deployment = repository.snapshot.first

    async def overload() -> list[object]:
        explainer = Explainer(max_calls=2)
        call = ExplanationCall(model="sentiment", inputs=RowList([TEXT]), size_bytes=100)
        calls = [explainer.explanations(call, deployment) for _ in range(3)]
        return await asyncio.gather(*calls, return_exceptions=True)

    first, second, third = asyncio.run(overload())
    parts = maas.explain(bundle, TEXT).parts
    assert [len(parts_of(one)) for one in (*first, *second)] == [len(parts), len(parts)]
    assert isinstance(third, maas.errors.OverloadError)
    assert str(third) == "2 requests of at most 2 are being explained. Try again in a second."


def test_row_is_refused_when_the_model_needs_what_is_left_out(asking, bundles, tmp_path):
    """The graph has nothing to fill in where the price is missing."""
    folder = bundles.combined_bundle(tmp_path / "combined", fills=False)
    row = maas.Bundle.open(folder).golden.inputs[0]
    found = asking.ask(asking.repository_of(folder), "POST", PATH, json={"inputs": row})
    assert found.status_code == 400
    assert found.json()["error"] == (
        "Row 0 cannot be explained: with some of its parts left out, the model gives no finite number."
    )

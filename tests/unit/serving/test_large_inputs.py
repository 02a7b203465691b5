"""Large bodies are read by another process: the same predictions and faults, bounded, and no trouble for others."""

import asyncio
import base64
import io
import json
import shutil
import signal
import socket
import threading
import time

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from maas.errors import OverloadError
from maas.serving.call import PreprocessedInputs
from maas.serving.entries import LocatedEntry
from maas.serving.preprocessing.frames import ReadRequest, features_frames, features_of_frame, head_of
from maas.serving.preprocessing.reader import InputReader
from maas.serving.protocols.operations import Request
from maas.serving.protocols.rest import PredictOperation
from maas.serving.protocols.schemas import largest_value, most_lists
from maas.serving.repository import Repository

LONG = "a very good film " * 5000


def png(height: int, width: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.full((height, width), 200, np.uint8)).save(content, "PNG")
    return content.getvalue()


def worker_of(server) -> psutil.Process:
    (worker,) = psutil.Process(server.process.pid).children()
    return worker


@pytest.fixture(scope="module")
def image_server(bundles, start, tmp_path_factory):
    folder = bundles.image_bundle(tmp_path_factory.mktemp("large") / "image")
    with start(f"model={folder}", "max_pixels=1000000") as server:
        yield server


def test_large_text_is_answered_like_its_beginning_when_the_model_reads_no_more(text_server):
    ask = text_server.client.post
    short = ask("/v1/text-classification", json={"text": LONG[: 32 * 64]}).json()
    assert ask("/v1/text-classification", json={"text": LONG}).json() == short
    assert ask("/v1/text-classification", json={"text": [LONG, "bad"]}).json()[0] == pytest.approx(short)


def test_large_request_is_answered_like_its_parts(array_server):
    rows = np.random.default_rng(0).integers(0, 17, (700, 64)).tolist()
    ask = array_server.client.post
    whole = ask("/predict", json={"input_data": rows}).json()["predictions"]
    parts = [ask("/predict", json={"input_data": rows[at : at + 50]}).json()["predictions"] for at in range(0, 700, 50)]
    np.testing.assert_allclose(whole, np.concatenate(parts), atol=1e-6)
    many = ask("/v1/tabular-classification", json={"input": rows}).json()
    assert [int(one["label"]) for one in many] == np.argmax(whole, axis=1).tolist()
    data = {"name": "input", "shape": [700, 64], "datatype": "FP32", "data": rows}
    body = {"id": "x", "inputs": [data], "outputs": [{"name": "probabilities"}]}
    found = ask("/v2/models/digits/infer", json=body).json()
    assert (found["id"], [one["name"] for one in found["outputs"]]) == ("x", ["probabilities"])
    np.testing.assert_allclose(np.reshape(found["outputs"][0]["data"], (700, 10)), whole, atol=1e-6)


def test_picture_is_answered_alike_when_it_is_a_file_or_base64(image_server):
    content = png(900, 1000) + b" " * 300_000
    ask = image_server.client.post
    file = ask("/v1/image-classification", content=content, headers={"content-type": "image/png"})
    assert file.json()["label"] == "bright"
    assert ask("/v1/image-classification", json={"image": base64.b64encode(content).decode()}).json() == file.json()


@pytest.mark.parametrize("padding", [b"", b" " * 300_000])
def test_picture_is_refused_when_it_has_more_pixels_than_the_setting(image_server, padding):
    content = png(1001, 1000) + padding
    response = image_server.client.post(
        "/v1/image-classification", content=content, headers={"content-type": "image/png"}
    )
    assert response.status_code == 400
    assert response.json()["error"].startswith("Row 0 is a PNG image of 1000 × 1001 pixels; at most 1 million are read")


def test_small_picture_is_answered_while_large_ones_wait(image_server):
    route, headers = f"{image_server.url}/v1/image-classification", {"content-type": "image/png"}
    large = png(900, 1000) + b" " * 300_000
    assert httpx.post(route, content=large, headers=headers).status_code == 200
    worker, found = worker_of(image_server), []
    worker.suspend()
    threads = [
        threading.Thread(target=lambda: found.append(httpx.post(route, content=large, headers=headers).status_code))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    while image_server.metric("maas_reading_rows") < 3:
        time.sleep(0.01)
    small = [httpx.post(route, content=png(4, 4), headers=headers).json()["label"] for _ in range(5)]
    assert (small, found) == (["bright"] * 5, [])
    worker.resume()
    for thread in threads:
        thread.join()
    assert found == [200] * 3


def test_memory_of_pictures_is_given_back_when_they_were_read(bundles, start, tmp_path):
    pixels, headers = 6000 * 6000, {"content-type": "image/png"}
    with start(f"model={bundles.image_bundle(tmp_path / 'image')}") as server:

        def ask(side: int) -> int:
            content = png(side, side)
            return server.client.post("/v1/image-classification", content=content, headers=headers).status_code

        assert ask(1500) == 200
        worker = worker_of(server)
        before = worker.memory_info().rss
        assert [ask(6000) for _ in range(4)] == [200] * 4
        assert worker.memory_info().rss - before < pixels // 2


FAULTS = {
    "bad row": ({"input_data": [[0] * 64] * 600 + [[0] * 63]}, "/predict", 400, "Row 600 has shape [63]"),
    "no input": ({"x": "x" * 20_000}, "/predict", 400, "`x`"),
    "too many rows": ({"input_data": [[0] * 64] * 1025}, "/predict", 413, "has 1025 rows; this server takes 1024"),
    "unknown model": ({"input_data": [[0] * 64] * 600, "model": "x" * 20_000}, "/predict", 404, "xxx … xxx"),
    "empty lists": ({"input_data": [[]] * 100_000}, "/predict", 413, "holds 100,002 lists and objects; 1,024 rows"),
    "wide row": ({"input_data": [[0] * 2_500_000]}, "/predict", 413, "1,024 rows of this model have at most"),
    "texts": (
        {"inputs": [{"name": "input", "shape": [1, 64], "datatype": "FP32", "data": ["a"] * 9000 + ["b" * 9000]}]},
        "/v2/models/digits/infer",
        400,
        "Input 'input' holds 9001 values; its shape [1, 64] needs 64.",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_large_request_is_refused_with_the_cause(array_server, case):
    body, path, status, cause = FAULTS[case]
    response = array_server.client.post(path, json=body)
    assert response.status_code == status, response.text
    assert cause in response.json()["error"]
    assert len(response.content) < 1500


def test_next_request_is_answered_when_the_worker_was_killed(start, array_folder):
    rows = {"input_data": [[0] * 64] * 600}
    with start(f"model={array_folder}") as server:
        assert server.client.post("/predict", json=rows).status_code == 200
        worker = worker_of(server)
        worker.suspend()
        found = []
        thread = threading.Thread(
            target=lambda: found.append(httpx.post(f"{server.url}/predict", json=rows, timeout=60))
        )
        thread.start()
        while server.metric("maas_reading_rows") == 0:  # until its request has arrived
            time.sleep(0.01)
        worker.send_signal(signal.SIGKILL)
        thread.join()
        assert (found[0].status_code, found[0].json()["code"]) == (503, "overloaded")
        assert server.client.post("/predict", json=rows).status_code == 200
        assert worker_of(server).pid != worker.pid


def test_worker_ends_with_the_server_after_it_answered(start, array_folder):
    with start(f"model={array_folder}") as server:
        body = json.dumps({"input_data": [[0] * 64] * 600}).encode()
        assert server.client.post("/predict", content=body).status_code == 200
        worker = worker_of(server)
        worker.suspend()
        found = []
        thread = threading.Thread(target=lambda: found.append(httpx.post(f"{server.url}/predict", content=body)))
        thread.start()
        while server.metric("maas_reading_rows") == 0:  # until its request has arrived
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        worker.resume()
        thread.join()
        assert found[0].status_code == 200
        assert server.process.wait() == 0
        psutil.wait_procs([worker], timeout=10)
        assert not worker.is_running()


def test_small_requests_are_all_answered_beside_large_ones(text_server):
    body = json.dumps({"text": [LONG] * 32}).encode()
    statuses = []

    def ask() -> None:
        statuses.extend(
            httpx.post(f"{text_server.url}/v1/text-classification", content=body, timeout=60).status_code
            for _ in range(2)
        )

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    small = [text_server.client.post("/v1/text-classification", json={"text": "bad"}).status_code for _ in range(100)]
    for thread in threads:
        thread.join()
    assert small == [200] * 100
    assert statuses == [200] * 6


def test_bodies_in_memory_are_bounded_together(start, array_folder):
    with start(f"model={array_folder}", "max_body_bytes=1000000", "max_total_bytes=1500000") as server:
        head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port)) as slow:
            slow.sendall(head + b"[")
            time.sleep(0.2)
            response = server.client.post("/predict", content=b" " * 900_000)
            assert response.status_code == 503
            assert "hold 1,000,000 bytes of at most 1,500,000; 900,000 more do not fit" in response.json()["error"]
            assert server.client.post("/predict", json={"input_data": [[0] * 64]}).status_code == 200
        time.sleep(0.2)
        assert server.client.post("/predict", content=b" " * 900_000).status_code == 400


def reading(folder, scenario, **settings):
    async def run():
        repository = Repository()
        repository.open(folder)
        reader = InputReader(**settings)
        try:
            return await scenario(reader, repository.snapshot)
        finally:
            await reader.close()
            await repository.close()

    return asyncio.run(run())


def test_rows_that_wait_to_be_read_are_counted(text_folder):
    request = json.dumps({"input_data": [LONG] * 3}).encode()

    async def scenario(reader, snapshot):
        calls = [reader.read(PredictOperation(), Request(request), snapshot) for _ in range(60)]
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert reader.waiting_rows == 0
        return found

    found = reading(text_folder, scenario, max_waiting_rows=6)
    answered = [one for one in found if not isinstance(one, Exception)]
    refused = [one for one in found if isinstance(one, OverloadError)]
    assert len(answered) + len(refused) == 60
    assert 1 <= len(answered) <= 6
    assert "wait to be read" in str(refused[0])
    assert all(isinstance(one.inputs, PreprocessedInputs) and len(one.inputs) == 3 for one in answered)


def test_reading_ends_when_its_caller_left(text_folder):
    request = json.dumps({"input_data": [LONG] * 1000}).encode()

    async def scenario(reader, snapshot):
        gone = asyncio.create_task(reader.read(PredictOperation(), Request(request), snapshot))
        while reader.waiting_rows != 1000:  # noqa: ASYNC110  it has no event for that
            await asyncio.sleep(0.01)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert reader.waiting_rows == 0
        start = time.perf_counter()
        await reader.read(PredictOperation(), Request(json.dumps({"input_data": ["a"]}).encode()), snapshot)
        return time.perf_counter() - start

    assert reading(text_folder, scenario, max_waiting_rows=1024) < 60


def test_other_requests_are_read_when_callers_leave_while_theirs_are_sent(text_folder):
    large = json.dumps({"input_data": [LONG] * 100}).encode()  # more than the pipe holds
    small = json.dumps({"input_data": [LONG]}).encode()

    async def scenario(reader, snapshot):
        def read(body):
            return asyncio.create_task(reader.read(PredictOperation(), Request(body), snapshot))

        await read(small)
        process = reader._process
        for turns in range(6):  # of the event loop, until the caller leaves
            gone = [read(large) for _ in range(3)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for one in gone:
                one.cancel()
            assert len((await read(small)).inputs) == 1
        await asyncio.wait(gone)
        return process is reader._process

    assert reading(text_folder, scenario, max_waiting_rows=1024)


def test_rows_keep_their_values_and_shapes_in_frames():
    arrays = [np.arange(3), np.arange(3) + 5, np.arange(4, dtype=np.float32), np.zeros((2, 2), np.uint8)]
    both = [{"ids": np.arange(length), "columns": np.array([length, np.nan])} for length in (3, 3, 5)]
    rows = [*({"values": array} for array in arrays), *both]
    found = [row for frame, content in features_frames(1, rows) for row in features_of_frame(frame, content)]
    for one, other in zip(found, rows, strict=True):
        assert list(one) == list(other)
        for name, array in other.items():
            assert one[name].dtype == array.dtype
            np.testing.assert_array_equal(one[name], array)
    large = [{"values": np.zeros(50_000)}] * 5
    assert [len(frame.runs) for frame, _ in features_frames(1, large)] == [1] * 5


def test_head_of_a_frame_is_small_when_its_body_is_large():
    request = ReadRequest(1, (), (), "/predict", {}, [], {}, 2**23)
    assert len(head_of(request)) < 100


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "number"}, 64),
        ({"type": ["number", "null"]}, 64),
        ({"type": "array", "items": {"type": "number"}, "maxItems": 10}, 64 + 10 * 64),
        ({"type": "array", "items": {"type": "number"}}, None),
        ({"type": "string"}, None),
        ({"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "integer"}, "maxItems": 2}]}, 192),
        ({"anyOf": [{"type": "number"}, {"type": "string"}]}, None),
        ({"type": "object", "properties": {"ab": {"type": "number"}}, "additionalProperties": False}, 64 + 12 + 64),
        ({"type": "object", "properties": {"ab": {"type": "number"}}}, None),
        ({"type": "object", "properties": {"ab": {"type": "string"}}, "additionalProperties": False}, None),
    ],
)
def test_largest_value_is_what_the_schema_bounds(schema, expected):
    assert largest_value(schema) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "number"}, 0),
        ({"type": "array", "items": {"type": "number"}, "maxItems": 64}, 1),
        ({"type": "array", "maxItems": 8, "items": {"type": "array", "maxItems": 8, "items": {"type": "number"}}}, 9),
        ({"type": "object", "properties": {"a": {"type": "number"}, "b [m]": {"type": "number"}}}, 1 + 1 + 2),
        ({"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "integer"}, "maxItems": 2}]}, 1),
    ],
)
def test_most_lists_are_those_of_the_largest_value(schema, expected):
    assert most_lists(schema) == expected


def test_large_request_opens_no_other_model_than_the_one_that_it_names(start, bundles, tmp_path):
    folders = [bundles.text_bundle(tmp_path / "text"), bundles.array_bundle(tmp_path / "array")]
    with start(*(f"model={folder}" for folder in folders)) as server:
        (folders[1] / "model.onnx").unlink()  # a bundle that is not whole cannot be opened any more
        for route, more in (("/v1/text-classification", {}), ("/predict", {"model": "sentiment"})):
            key = "input_data" if more else "text"
            assert server.client.post(route, json={key: [LONG, "bad"], **more}).status_code == 200
        rows = np.zeros((700, 64)).tolist()
        assert server.client.post("/predict", json={"input_data": rows, "model": "digits"}).status_code == 500
        assert server.client.post("/predict", json={"input_data": [LONG]}).status_code == 200


def test_rows_are_preprocessed_as_the_served_bundle_does_when_its_folder_was_exchanged(bundles, tmp_path):
    folder = bundles.text_bundle(tmp_path / "served", max_tokens=64)
    request = json.dumps({"input_data": [LONG]}).encode()

    async def run() -> tuple[int, int]:
        repository = Repository()
        slot = repository.add(LocatedEntry.of_folder(folder))
        reader = InputReader(1024)

        async def tokens() -> int:
            call = await reader.read(PredictOperation(), Request(request), repository.snapshot)
            return len(call.inputs.features[0]["token_ids"])

        try:
            before = await tokens()
            shutil.rmtree(folder)
            bundles.text_bundle(folder, max_tokens=8)
            assert await tokens() == before  # what is served is the bundle of before
            await repository.refresh(slot, LocatedEntry.of_folder(folder))
            return before, await tokens()
        finally:
            await reader.close()
            await repository.close()

    assert asyncio.run(run()) == (64, 8)


def test_request_fails_when_the_files_that_it_needs_are_another_bundles(bundles, tmp_path):
    folder = bundles.text_bundle(tmp_path / "served", max_tokens=64)

    async def scenario(reader, snapshot):
        shutil.rmtree(folder)
        bundles.text_bundle(folder, max_tokens=8)
        request = json.dumps({"input_data": [LONG]}).encode()
        with pytest.raises(RuntimeError, match="holds another bundle than the one that is served from there"):
            await reader.read(PredictOperation(), Request(request), snapshot)

    reading(folder, scenario, max_waiting_rows=8)

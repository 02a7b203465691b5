"""Arrays that go as binary tensors give what the same arrays give as JSON, and as the bundle gives."""

import json
import re

import numpy as np
import pytest

import maas
from maas.client.tensors import TensorForm, TensorRecord, stacked_array
from maas.errors import InputError

NAMES = {"array": "digits", "value": "price", "image": "shades", "audio": "offsets", "text": "sentiment"}


def arrays_of(kind: str) -> list[np.ndarray]:
    """Returns arrays that can go as tensors."""
    random = np.random.default_rng(8)
    if kind == "image":
        return [random.integers(0, 256, (3, 4, 4, 1), dtype=np.uint8)]
    if kind == "audio":
        return [random.uniform(-0.1, 0.3, (3, samples)).astype(np.float32) for samples in (1000, 300)]
    width = {"array": 64, "value": 4}[kind]
    found = [random.uniform(0, 16, (3, width)).astype(dtype) for dtype in (np.float32, np.float64, np.float16, ">f4")]
    return [*found, np.asfortranarray(found[0]), found[0][::-1, ::-1]]


def v2_requests(client: maas.Client) -> float:
    """Returns how many requests the server has answered in the protocol of tensors."""
    text = client._http.get(f"{client._connection.url}/metrics").text
    return sum(
        map(
            float,
            re.findall(r'^maas_requests_total\{.*protocol="v2",route="[^"]+/infer".*\} (\S+)$', text, re.MULTILINE),
        )
    )


@pytest.mark.parametrize("kind", ["array", "value", "image", "audio"])
def test_array_gives_the_bundles_predictions_when_it_goes_as_a_tensor(kind, served):
    folder, url = served(kind)
    bundle = maas.Bundle.open(folder)
    with maas.Client(url) as client:
        before = v2_requests(client)
        for array in arrays_of(kind):
            expected = bundle.predict(list(array))
            for inputs in (array, list(array)):
                found = client.predict(inputs, NAMES[kind])
                assert found == expected
                assert [list(map(type, one.values())) for one in found] == [
                    list(map(type, one.values())) for one in expected
                ]
            scores, own = client.scores(array, NAMES[kind], 1), bundle.predictor.scores(list(array))
            assert scores.dtype == own.dtype
            assert np.array_equal(scores, own)
        assert v2_requests(client) - before == 3 * len(arrays_of(kind))


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("array", np.ones((2, 64), np.int64)),
        ("array", np.ones((2, 64), np.uint8)),
        ("image", np.zeros((2, 4, 4), np.uint8)),
        ("image", np.zeros((2, 9, 7, 3), np.uint8)),
        ("audio", np.ones((2, 1000), np.int16)),
        ("text", ["好"]),
    ],
)
def test_rows_go_as_json_when_a_tensor_would_be_read_otherwise(kind, inputs, served):
    folder, url = served(kind)
    with maas.Client(url) as client:
        before = v2_requests(client)
        assert client.predict(inputs, NAMES[kind]) == maas.Bundle.open(folder).predict(list(inputs))
        assert v2_requests(client) == before


def test_row_is_named_by_its_number_when_a_tensor_of_many_is_refused(serving_bundles, start, tmp_path):
    folder = serving_bundles.array_bundle(tmp_path / "array")
    rows = np.random.default_rng(7).uniform(0, 16, (300, 64)).astype(np.float32)
    with start(f"model={folder}", "max_queue=60", "max_body_bytes=20000") as url, maas.Client(url) as client:
        assert np.allclose(
            client.scores(rows, "digits"), maas.Bundle.open(folder).predictor.scores(list(rows)), atol=1e-6
        )
        assert v2_requests(client) > 300 / 30
        rows[222, 3] = 99
        with pytest.raises(InputError, match=r"^Row 222 holds values from .* to 99; they must lie in \[0, 16\].$"):
            client.predict(rows, "digits")
        with pytest.raises(InputError, match="'other'"):
            client.predict(rows, "other")


@pytest.mark.parametrize(("status", "body"), [(200, b'{"extensions": []}'), (404, b"")])
def test_rows_go_as_json_when_the_server_takes_no_tensors(status, body, scripted, reply):
    def respond(handler, *_):
        if handler.path == "/v2":
            reply(handler, status, body)
        else:
            reply(handler, 200, b'{"predictions": [{"value": 1.0}]}')

    with scripted(respond) as server, maas.Client(server.url) as client:
        for _ in range(2):
            assert client.predict(np.ones((1, 2)), "m") == [{"value": 1.0}]
    assert [path for path, _ in server.seen] == ["/v2", "/v1/predictions", "/v1/predictions"]
    assert json.loads(server.seen[1][1]) == {"inputs": [[1.0, 1.0]], "model": "m"}


@pytest.mark.parametrize(
    "inputs",
    [[], ["x"], np.float64(1), np.ones(3), np.zeros((0, 3)), [np.ones(2), np.ones(3)], [np.ones(2), np.ones(2, "f4")],
     [np.ones(2), [1.0, 1.0]], np.array([["a"]]), np.ones((2, 2), bool), np.ones((2, 2), complex)],
)  # fmt: skip
def test_rows_are_no_array_when_their_shapes_or_types_differ_or_are_no_numbers(inputs):
    assert stacked_array(inputs) is None


def test_model_of_several_inputs_takes_no_single_tensor():
    column = TensorRecord("a", "FP64", (-1,))
    assert TensorForm((column, column), ()).taken(np.ones((2, 2))) is None
    assert TensorForm((), (TensorRecord("own", "FP32", (-1, 2)),)).predicted() == ()

"""Binary tensors of the Open Inference Protocol: its independent client with its defaults, and what it never sends."""

import asyncio
import json

import ml_dtypes
import numpy as np
import pytest

from maas.runtime.bundle import Bundle

http = pytest.importorskip("tritonclient.http")
PATH = "/v2/models/digits/infer"


@pytest.fixture
def connect():
    """`connect(server)`: tritonclient for a server."""
    clients = []

    def client_of(server):
        clients.append(http.InferenceServerClient(server.url.removeprefix("http://")))
        return clients[-1]

    yield client_of
    for client in clients:
        client.close()


def made(name: str, array: np.ndarray, datatype: str):
    tensor = http.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    return tensor


def posted(server, path: str, head: object, content: bytes, length: str | None = None):
    text = json.dumps(head).encode()
    headers = {"Inference-Header-Content-Length": str(len(text)) if length is None else length}
    return server.client.post(path, content=text + content, headers=headers)


def described(**changes) -> dict:
    shape = changes.pop("shape", [1, 64])
    size = changes.pop("size", 256)
    return {"inputs": [{"name": "input", "shape": shape, "datatype": "FP32", "parameters": {"binary_data_size": size}}]}


@pytest.mark.parametrize("rows", [1, 5, 200])
def test_tritonclient_gets_what_the_bundle_predicts_with_its_defaults(connect, array_server, array_folder, rows):
    sent = np.random.default_rng(3).integers(0, 17, (rows, 64)).astype(np.float32)
    result = connect(array_server).infer("digits", [made("input", sent, "FP32")])
    expected = Bundle.open(array_folder).predictor.outputs(sent)["probabilities"]
    np.testing.assert_array_equal(result.as_numpy("probabilities"), expected)
    np.testing.assert_array_equal(result.as_numpy("score"), expected.max(axis=1))
    assert result.as_numpy("label").tolist() == [str(label).encode() for label in expected.argmax(axis=1)]
    assert result.get_output("probabilities")["parameters"] == {"binary_data_size": 40 * rows}


def test_asynchronous_tritonclient_gets_the_same(array_server, array_folder):
    aio = pytest.importorskip("tritonclient.http.aio")
    sent = np.random.default_rng(3).integers(0, 17, (3, 64)).astype(np.float32)

    async def asked():
        async with aio.InferenceServerClient(array_server.url.removeprefix("http://")) as client:
            return await client.infer("digits", [made("input", sent, "FP32")])

    expected = Bundle.open(array_folder).predictor.outputs(sent)["probabilities"]
    np.testing.assert_array_equal(asyncio.run(asked()).as_numpy("probabilities"), expected)


def test_tritonclient_infers_texts_in_several_languages(connect, text_server, text_folder):
    texts = ["这是一个很棒的文本", "bad", "a", "x" * 20_000]
    sent = np.array([text.encode() for text in texts], dtype=object)
    result = connect(text_server).infer("sentiment", [made("text", sent, "BYTES")])
    expected = Bundle.open(text_folder).predict(texts)
    assert result.as_numpy("label").tolist() == [answer["label"].encode() for answer in expected]
    np.testing.assert_allclose(result.as_numpy("score"), [answer["score"] for answer in expected], rtol=1e-6)


def test_tritonclient_infers_columns_with_missing_numbers(connect, table_server):
    columns = {"price": np.array([1.5, np.nan, 2.0]), "area": np.array([20.0, 1.0, 3.0])}
    sent = [made(name, values, "FP64") for name, values in columns.items()]
    sent.append(made("size", np.array([b"S", b"M", b"XL"], dtype=object), "BYTES"))
    result = connect(table_server).infer("sums", sent)
    np.testing.assert_array_equal(result.as_numpy("value"), [1.5 + 20 + 1, 0 + 1 + 2, 2 + 3 + 0])


def test_reply_mixes_forms_when_outputs_are_wanted_in_both(connect, array_server):
    sent = made("input", np.zeros((2, 64), dtype=np.float32), "FP32")
    wanted = [http.InferRequestedOutput("score", binary_data=False), http.InferRequestedOutput("probabilities")]
    result = connect(array_server).infer("digits", [sent], outputs=wanted)
    assert [sorted(output) for output in result.get_response()["outputs"]] == [
        ["data", "datatype", "name", "shape"],
        ["datatype", "name", "parameters", "shape"],
    ]
    np.testing.assert_array_equal(result.as_numpy("score"), result.as_numpy("probabilities").max(axis=1))


def test_reply_is_json_when_the_request_is_binary_and_says_nothing_else(array_server):
    response = posted(array_server, PATH, described(), bytes(256))
    assert response.headers["content-type"] == "application/json"
    assert "inference-header-content-length" not in response.headers
    assert len(response.json()["outputs"][2]["data"]) == 10


def test_forms_of_inputs_mix_in_one_request(table_server):
    head = {
        "inputs": [
            {"name": "price", "shape": [2], "datatype": "FP64", "parameters": {"binary_data_size": 16}},
            {"name": "area", "shape": [2], "datatype": "FP64", "data": [1, 2]},
            {"name": "size", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 10}},
        ]
    }
    content = np.array([10.0, 20.0]).tobytes() + b"\1\0\0\0S" + b"\1\0\0\0L"
    response = posted(table_server, "/v2/models/sums/infer", head, content)
    assert response.json()["outputs"][0]["data"] == [10 + 1 + 1, 20 + 2 + 3]


@pytest.mark.parametrize(
    ("datatype", "kind"),
    [("UINT8", np.uint8), ("INT16", np.int16), ("FP16", np.float16), ("BF16", ml_dtypes.bfloat16)],
)
def test_smaller_datatype_is_taken_when_nothing_is_lost(connect, array_server, datatype, kind):
    numbers = np.random.default_rng(4).integers(0, 17, (3, 64))
    client = connect(array_server)
    expected = client.infer("digits", [made("input", numbers.astype(np.float32), "FP32")]).as_numpy("probabilities")
    found = client.infer("digits", [made("input", numbers.astype(kind), datatype)]).as_numpy("probabilities")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("datatype", "kind"), [("FP64", np.float64), ("INT32", np.int32), ("BOOL", np.bool_)])
def test_larger_datatype_is_refused_when_numbers_could_be_lost(connect, array_server, datatype, kind):
    sent = made("input", np.zeros((1, 64), dtype=kind), datatype)
    with pytest.raises(http.InferenceServerException, match=f"has datatype '{datatype}'; the model takes FP32"):
        connect(array_server).infer("digits", [sent])


def test_whole_number_is_refused_when_a_float_does_not_hold_it(connect, table_server):
    rest = [made("area", np.array([1.0]), "FP64"), made("size", np.array([b"S"], dtype=object), "BYTES")]
    near, far = (made("price", np.array([number]), "INT64") for number in (2**53, -(2**53) - 1))
    client = connect(table_server)
    assert client.infer("sums", [near, *rest]).as_numpy("value").item() == pytest.approx(2**53, rel=1e-7)
    with pytest.raises(http.InferenceServerException, match="'price' holds a whole number that datatype FP64 does not"):
        client.infer("sums", [far, *rest])


BAD = {
    "few bytes": (described(), bytes(255), None, "The body has 255 bytes after its JSON; the inputs' binary_data_size"),
    "many bytes": (described(), bytes(257), None, "The body has 257 bytes after its JSON"),
    "other shape": (
        described(shape=[2, 64]),
        bytes(256),
        None,
        "has 256 bytes of binary data; its shape [2, 64] of FP32",
    ),
    "huge shape": (described(shape=[512, 64]), bytes(256), None, "of FP32 needs 131072"),
    "negative size": (described(size=-1), b"", None, "binary_data_size is -1; it is a number of bytes"),
    "not a number": (described(), np.full(64, np.nan, np.float32).tobytes(), None, "not a finite number"),
    "no rows": (described(shape=[0, 64], size=0), b"", None, "No rows were given"),
    "no length": (described(), bytes(256), "", "Inference-Header-Content-Length is ''; it is the length of the JSON"),
    "zero length": (described(), bytes(256), "0", "Inference-Header-Content-Length is '0'"),
    "long length": (described(), bytes(256), "9999", "Inference-Header-Content-Length is '9999'"),
    "endless length": (described(), bytes(256), "9" * 5000, "Inference-Header-Content-Length is '999"),
    "cut JSON": (described(), bytes(256), "20", "The body is not JSON"),
}


@pytest.mark.parametrize("case", BAD)
def test_binary_request_is_refused_with_the_cause(array_server, case):
    head, content, length, cause = BAD[case]
    response = posted(array_server, PATH, head, content, length)
    assert response.status_code == 400, response.text
    assert cause in response.json()["error"]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"\1\0\0\0a", "has 5 bytes of binary data, which are not 2 texts"),
        (b"\1\0\0\0a\1\0\0\0b\1\0\0\0c", "has 15 bytes of binary data, which are not 2 texts"),
        (b"\1\0\0\0a\xff\xff\xff\xffb", "which are not 2 texts"),
        (b"\1\0\0\0a\2\0\0\0b", "which are not 2 texts"),
        (b"\1\0\0\0a\1\0\0\0\xff", "'text' holds bytes at 1 that are not UTF-8"),
        (b"\1\0\0\0a\1\0", "which are not 2 texts"),
    ],
)
def test_binary_texts_are_refused_with_the_cause(text_server, content, cause):
    head = {
        "inputs": [
            {"name": "text", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(content)}}
        ]
    }
    response = posted(text_server, "/v2/models/sentiment/infer", head, content)
    assert response.status_code == 400
    assert cause in response.json()["error"]


def test_tritonclient_gets_the_largest_values_with_labels_when_it_wants_classes(connect, array_server, array_folder):
    sent = np.random.default_rng(5).integers(0, 17, (2, 64)).astype(np.float32)
    expected = Bundle.open(array_folder).predictor.outputs(sent)["probabilities"]
    for is_binary in (True, False):
        wanted = [http.InferRequestedOutput("probabilities", binary_data=is_binary, class_count=3)]
        result = connect(array_server).infer("digits", [made("input", sent, "FP32")], outputs=wanted)
        found = result.as_numpy("probabilities")
        assert found.shape == (2, 3)
        for row, texts in zip(expected, found, strict=True):
            parts = [(text.decode() if is_binary else text).split(":") for text in texts]
            best = sorted(range(10), key=lambda place: -row[place])[:3]
            assert [(int(place), label) for _, place, label in parts] == [(place, str(place)) for place in best]
            np.testing.assert_array_equal(np.float32([value for value, *_ in parts]), row[best])


def test_classes_are_refused_when_an_output_is_no_number(connect, array_server):
    sent = made("input", np.zeros((1, 64), dtype=np.float32), "FP32")
    wanted = [http.InferRequestedOutput("label", class_count=3)]
    with pytest.raises(http.InferenceServerException, match="'label' has no numbers to find the largest of"):
        connect(array_server).infer("digits", [sent], outputs=wanted)


def test_values_have_positions_alone_when_they_have_no_labels(table_server):
    body = {
        "inputs": [
            {"name": "price", "shape": [1], "datatype": "FP64", "data": [1.5]},
            {"name": "area", "shape": [1], "datatype": "FP64", "data": [0.5]},
            {"name": "size", "shape": [1], "datatype": "BYTES", "data": ["S"]},
        ],
        "outputs": [{"name": "value", "parameters": {"classification": 5}}],
    }
    (output,) = table_server.client.post("/v2/models/sums/infer", json=body).json()["outputs"]
    assert output == {"name": "value", "datatype": "BYTES", "shape": [1, 1], "data": ["3.0:0"]}

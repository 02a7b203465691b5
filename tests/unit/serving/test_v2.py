"""Open Inference Protocol v2: its independent client, and what that client never sends."""

import gzip

import numpy as np
import pytest

from maas.runtime.bundle import Bundle

ZEROS = [0.0] * 64


def tensor(**changes):
    content = {"name": "input", "shape": [1, 64], "datatype": "FP32", "data": ZEROS, **changes}
    return {"inputs": [{key: value for key, value in content.items() if value is not None}]}


@pytest.fixture
def triton(array_server):
    http = pytest.importorskip("tritonclient.http")
    client = http.InferenceServerClient(array_server.url.removeprefix("http://"))
    yield http, client
    client.close()


@pytest.fixture
def triton_text(text_server):
    http = pytest.importorskip("tritonclient.http")
    client = http.InferenceServerClient(text_server.url.removeprefix("http://"))
    yield http, client
    client.close()


def test_tritonclient_reads_health_and_metadata(triton):
    _, client = triton
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    assert client.is_model_ready("digits", "1")
    assert not client.is_model_ready("unknown")
    assert client.get_server_metadata()["name"] == "maas"
    metadata = client.get_model_metadata("digits")
    assert metadata["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 64]}]
    assert {output["name"]: output["datatype"] for output in metadata["outputs"]} == {
        "label": "BYTES",
        "score": "FP32",
        "probabilities": "FP32",
    }


@pytest.mark.parametrize("version", ["", "1"])
def test_tritonclient_infers_numbers(triton, array_folder, version):
    http, client = triton
    rows = np.random.default_rng(3).integers(0, 17, (5, 64)).astype(np.float32)
    sent = http.InferInput("input", [5, 64], "FP32")
    sent.set_data_from_numpy(rows, binary_data=False)
    wanted = [http.InferRequestedOutput(name, binary_data=False) for name in ("probabilities", "label")]
    result = client.infer("digits", [sent], model_version=version, outputs=wanted, request_id="seven")
    expected = Bundle.open(array_folder).predictor.outputs(rows)["probabilities"]
    np.testing.assert_array_equal(result.as_numpy("probabilities"), expected)
    assert result.as_numpy("label").tolist() == [str(label) for label in expected.argmax(axis=1)]
    assert result.as_numpy("score") is None
    assert result.get_response()["id"] == "seven"


def test_tritonclient_infers_texts(triton_text, text_folder):
    http, client = triton_text
    texts = ["这是一个很棒的文本", "bad"]
    sent = http.InferInput("text", [2], "BYTES")
    sent.set_data_from_numpy(np.array([text.encode() for text in texts], dtype=object), binary_data=False)
    result = client.infer("sentiment", [sent], outputs=[http.InferRequestedOutput("score", binary_data=False)])
    expected = [answer["score"] for answer in Bundle.open(text_folder).predict(texts)]
    np.testing.assert_allclose(result.as_numpy("score"), expected, rtol=1e-6)


def test_nested_and_flat_data_mean_the_same(array_server):
    rows = [[1.0] * 64, [2.0] * 64]
    nested = array_server.client.post("/v2/models/digits/infer", json=tensor(shape=[2, 64], data=rows)).json()
    flat = array_server.client.post(
        "/v2/models/digits/infer", json=tensor(shape=[2, 64], data=rows[0] + rows[1])
    ).json()
    assert nested == flat
    assert nested["outputs"][2]["shape"] == [2, 10]
    assert len(nested["outputs"][2]["data"]) == 20


@pytest.mark.parametrize(
    ("body", "known"),
    [
        ({**tensor(), "parameters": {"seed": 1}}, "there is binary_data_output, content_type, priority, timeout"),
        (tensor(parameters={"seed": 1}), "there is binary_data, binary_data_size, content_type"),
        (
            {**tensor(), "outputs": [{"name": "score", "parameters": {"seed": 1}}]},
            "there is binary_data, classification, content_type",
        ),
    ],
)
def test_parameter_is_refused_when_it_would_be_ignored(array_server, body, known):
    response = array_server.client.post("/v2/models/digits/infer", json=body)
    assert response.status_code == 400
    assert response.json()["error"] == f"The parameter 'seed' is not known here; {known}. Leave it out."


@pytest.mark.parametrize(
    ("parameters", "cause"),
    [
        ({"priority": "high"}, "The parameter priority is 'high'; it is 1 (high), 2 (normal) or 3 (low)."),
        ({"priority": -1}, "The parameter priority is -1"),
        ({"sequence_id": 7}, "requests do not depend on each other here"),
        ({"timeout": "1"}, "The parameter timeout is '1'; it is a number of microseconds."),
        ({"timeout": -1}, "The parameter timeout is -1"),
        (
            {"content_type": "pickle"},
            "The parameter content_type is 'pickle'; np, str, pd, base64, pd_json are known here.",
        ),
    ],
)
def test_parameter_of_a_request_is_refused_when_it_cannot_be_kept(array_server, parameters, cause):
    response = array_server.client.post("/v2/models/digits/infer", json={**tensor(), "parameters": parameters})
    assert response.status_code == 400
    assert cause in response.json()["error"]


def test_request_is_given_up_when_its_timeout_is_over(start, array_folder, slow_module):
    body = {**tensor(), "parameters": {"timeout": 20_000}}
    with start(f"model={array_folder}", module=slow_module) as server:
        response = server.client.post("/v2/models/digits/infer", json=body)
    assert response.status_code == 504
    assert response.json()["code"] == "deadline_exceeded"


def test_request_is_answered_when_its_timeout_is_far_and_it_has_a_priority(array_server):
    for timeout in (60_000_000, 10**18, 10**400, 0):
        for priority in (0, 1, 2, 3, 2**63):
            body = {**tensor(), "parameters": {"timeout": timeout, "priority": priority}}
            assert array_server.client.post("/v2/models/digits/infer", json=body).status_code == 200


BAD = {
    "other input": (tensor(name="x"), 400, "inputs are ['x']; the model takes one input, 'input'"),
    "no inputs": ({"inputs": []}, 400, "inputs are []"),
    "two inputs": ({"inputs": tensor()["inputs"] * 2}, 400, "inputs are ['input', 'input']"),
    "other datatype": (tensor(datatype="FP64"), 400, "has datatype 'FP64'; the model takes FP32"),
    "narrow": (tensor(shape=[1, 2], data=[1, 2]), 400, "has shape [1, 2]; the model takes [-1, 64]"),
    "other rank": (tensor(shape=[64]), 400, "has shape [64]"),
    "negative": (tensor(shape=[-1, 64]), 400, "has shape [-1, 64]"),
    "too few values": (tensor(shape=[2, 64]), 400, "holds 64 values; its shape [2, 64] needs 128"),
    "strings": (tensor(data=["1"] * 64), 400, "something else than numbers of datatype FP32"),
    "null": (tensor(data=[None] * 64), 400, "something else than numbers"),
    "uneven": (tensor(data=[[1], [1, 2]]), 400, "unequal length"),
    "infinite": (tensor(data=[1e39] * 64), 400, "not a finite number"),
    "no rows": (tensor(shape=[0, 64], data=[]), 400, "No rows were given"),
    "no data": (tensor(data=None), 400, "has no data; send `data`, or `binary_data_size`."),
    "binary without bytes": (
        tensor(data=None, parameters={"binary_data_size": 256}),
        400,
        "The body has 0 bytes after its JSON; the inputs' binary_data_size is 256 together.",
    ),
    "data twice": (tensor(parameters={"binary_data_size": 256}), 400, "has data as JSON and as binary data"),
    "binary size": (tensor(data=None, parameters={"binary_data_size": "1"}), 400, "binary_data_size is '1'; it is"),
    "bits of BF16": (tensor(datatype="BF16"), 400, "has datatype BF16, which JSON has no numbers of"),
    "no shape": (tensor(shape=None), 400, "missing required field `shape`"),
    "shape of floats": (tensor(shape=[1.5, 64]), 400, "$.inputs[0].shape[0]"),
    "repeated output": (
        {**tensor(), "outputs": [{"name": "score"}] * 9},
        400,
        "The output 'score' is wanted 9 times; name each output once.",
    ),
    "truth values": (tensor(data=[True] * 64), 400, "something else than numbers of datatype FP32"),
    "uneven in the second row": (tensor(shape=[2, 64], data=[[0] * 64, [0] * 63]), 400, "unequal length"),
    "nested too deeply for its shape": (tensor(data=[[[0] * 64]]), 400, "nested as [1, 1, 64]; its shape is [1, 64]"),
    "long name": (tensor(name="x" * 100_000), 400, "xxx … xxx"),
    "many names": ({"inputs": tensor()["inputs"] * 5000}, 400, "and 4992 more; the model takes one input"),
    "unknown output": ({**tensor(), "outputs": [{"name": "x"}]}, 400, "outputs ['x'] are wanted; the model has label"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tensor_is_refused_with_the_cause(array_server, case):
    body, status, cause = BAD[case]
    response = array_server.client.post("/v2/models/digits/infer", json=body)
    assert response.status_code == status, response.text
    assert cause in response.json()["error"]


@pytest.mark.parametrize("path", ["/v2/models/x", "/v2/models/x/ready", "/v2/models/digits/versions/2"])
def test_unknown_model_or_version_is_not_found(array_server, path):
    response = array_server.client.get(path)
    assert response.status_code == 404
    assert response.json()["code"] == "unknown_model"
    assert array_server.client.post(f"{path.removesuffix('/ready')}/infer", json=tensor()).status_code == 404


def test_too_many_texts_for_their_shape_are_refused(text_server):
    body = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a", "b"]}]}
    response = text_server.client.post("/v2/models/sentiment/infer", json=body)
    assert response.status_code == 400
    assert "holds 2 values; its shape [1] needs 1" in response.json()["error"]


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
@pytest.mark.parametrize("is_binary", [True, False])
def test_tritonclient_infers_when_it_compresses_its_requests(triton, array_folder, algorithm, is_binary):
    http, client = triton
    rows = np.array(Bundle.open(array_folder).golden.inputs, dtype=np.float32)
    sent = http.InferInput("input", list(rows.shape), "FP32")
    sent.set_data_from_numpy(rows, binary_data=is_binary)
    expected = Bundle.open(array_folder).predictor.outputs(rows)["probabilities"]
    packed = client.infer("digits", [sent], request_compression_algorithm=algorithm)
    np.testing.assert_array_equal(packed.as_numpy("probabilities"), expected)


def test_compressed_body_is_refused_when_it_is_damaged_or_stands_for_too_much(array_server):
    path, headers = "/v2/models/digits/infer", {"content-encoding": "gzip"}
    bomb = gzip.compress(b" " * (8 * 2**20 + 1))
    assert len(bomb) < 10_000
    response = array_server.client.post(path, content=bomb, headers=headers)
    assert response.status_code == 413
    assert "stands for more than 8,388,608 bytes" in response.json()["error"]
    for content, found in ((gzip.compress(b"{}")[:-9], "ends too early"), (b"{}", "incorrect header check")):
        response = array_server.client.post(path, content=content, headers=headers)
        assert response.status_code == 400
        assert found in response.json()["error"]

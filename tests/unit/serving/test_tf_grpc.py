"""TensorFlow Serving over gRPC: how models are named, forms of tensors and examples, and what is refused."""

import io
import re

import grpc
import numpy as np
import pytest
from google.protobuf.message_factory import GetMessageClass
from PIL import Image

from maas.errors import InputError
from maas.records.signature import TensorSpec
from maas.runtime.bundle import Bundle
from maas.serving.protocols.grpc_methods import POOL, GrpcMethod
from maas.serving.protocols.tensorflow_serving.grpc_calls import MODEL_SERVICE, PREDICTION_SERVICE
from maas.serving.protocols.tensorflow_serving.grpc_tensors import declared_tensor, tensor_values

NUMBERS = POOL.FindEnumTypeByName("tensorflow.DataType").values_by_name
FORMS = [
    ("FP16", "DT_HALF", "half_val", np.float16),
    ("FP32", "DT_FLOAT", "float_val", np.float32),
    ("UINT8", "DT_UINT8", "int_val", np.uint8),
    ("INT8", "DT_INT8", "int_val", np.int8),
    ("INT16", "DT_INT16", "int_val", np.int16),
    ("UINT16", "DT_UINT16", "int_val", np.uint16),
]
MODELS = """
models:
  - {{model: {array}, version: 2, labels: [trial, 试]}}
  - {{model: {array}, version: 1}}
  - {{model: {array}, name: named, version: nightly}}
  - {{model: {value}}}
  - {{model: {image}}}
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory, bundles):
    folder = tmp_path_factory.mktemp("bundles")
    return {name: getattr(bundles, f"{name}_bundle")(folder / name) for name in ("array", "value", "image")}


@pytest.fixture(scope="module")
def channel(start, folders, tmp_path_factory):
    file = tmp_path_factory.mktemp("models") / "models.yaml"
    file.write_text(MODELS.format(**folders), encoding="utf-8")
    with start(f"models={file}", "grpc_port=0") as server:
        address = re.fullmatch(r"gRPC: (\S+:\d+)\n", server.process.stdout.readline())[1]
        with grpc.insecure_channel(address) as channel:
            yield channel


def asked(channel, name: str, *, spec: dict | None = None, service: str = PREDICTION_SERVICE, **fields):
    method = GrpcMethod(service, name)
    call = channel.unary_unary(
        method.path,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=method.reply_type.FromString,
    )
    return call(method.request_type(model_spec=spec or {"name": "digits"}, **fields))


def tensor(shape: list[int], kind: str = "DT_FLOAT", **values) -> dict:
    return {"dtype": NUMBERS[kind].number, "tensor_shape": {"dim": [{"size": size} for size in shape]}, **values}


def example(**features) -> dict:
    return {"features": {"feature": {name: {kind: {"value": value}} for name, (kind, value) in features.items()}}}


ZEROS = {"input": tensor([1, 64], tensor_content=bytes(256))}


@pytest.mark.parametrize(
    ("spec", "version"),
    [
        ({"name": "digits"}, 2),
        ({"name": "digits", "version": {"value": 1}}, 1),
        ({"name": "digits", "version_label": "trial"}, 2),
        ({"name": "digits", "version_label": "试"}, 2),
    ],
)
def test_version_is_named_by_number_or_label(channel, spec, version):
    reply = asked(channel, "Predict", spec=spec, inputs=ZEROS)
    assert (reply.model_spec.name, reply.model_spec.version.value) == ("digits", version)
    assert reply.model_spec.signature_name == "serving_default"


def test_version_that_is_no_number_is_left_out(channel):
    spec = {"name": "named", "version_label": "nightly"}
    reply = asked(channel, "Predict", spec=spec, inputs=ZEROS)
    assert (reply.model_spec.name, reply.model_spec.HasField("version")) == ("named", False)
    metadata = asked(channel, "GetModelMetadata", spec=spec, metadata_field=["signature_def"])
    assert not metadata.model_spec.HasField("version")
    (state,) = asked(channel, "GetModelStatus", service=MODEL_SERVICE, spec=spec).model_version_status
    assert state.version == 0


def test_states_of_all_versions_are_given_when_none_is_named(channel):
    states = asked(channel, "GetModelStatus", service=MODEL_SERVICE).model_version_status
    assert [(one.version, one.state) for one in states] == [(2, 30), (1, 30)]


@pytest.mark.parametrize(("datatype", "kind", "field", "numpy_type"), FORMS)
def test_bytes_and_values_mean_the_same(channel, folders, datatype, kind, field, numpy_type):
    rows = np.random.default_rng(0).integers(0, 17, (3, 64)).astype(numpy_type)
    listed = (rows.view(np.uint16) if datatype == "FP16" else rows).ravel().tolist()
    expected = Bundle.open(folders["array"]).predictor.outputs(rows.astype(np.float32))["probabilities"]
    for values in ({field: listed}, {"tensor_content": rows.tobytes()}):
        reply = asked(channel, "Predict", inputs={"input": tensor([3, 64], kind, **values)})
        assert np.array_equal(np.reshape(reply.outputs["probabilities"].float_val, (3, 10)), expected)


def test_last_value_is_repeated_when_a_tensor_has_fewer_than_its_shape(channel):
    def probabilities(**values):
        return asked(channel, "Predict", inputs={"input": tensor([1, 64], **values)}).outputs["probabilities"]

    assert probabilities(float_val=[3] * 60 + [5]) == probabilities(float_val=[3] * 60 + [5] * 4)
    assert probabilities() == probabilities(float_val=[0] * 64)


def test_picture_is_a_files_bytes_or_its_pixels(channel, folders):
    bundle = Bundle.open(folders["image"])
    (tensor_spec,) = bundle.manifest.signature.inputs
    pixels = np.random.default_rng(0).integers(0, 256, tensor_spec.shape[1:], np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "PNG")
    examples = [
        example(**{tensor_spec.name: ("int64_list", pixels.ravel().tolist())}),
        example(**{tensor_spec.name: ("bytes_list", [file.getvalue()])}),
    ]
    spec = {"name": bundle.manifest.name, "signature_name": "classification"}
    reply = asked(channel, "Classify", spec=spec, input={"example_list": {"examples": examples}})
    assert reply.model_spec.signature_name == "classification"
    found = [[one.score for one in row.classes] for row in reply.result.classifications]
    assert found == pytest.approx(bundle.predictor.scores([pixels, pixels]))


def digits(**features):
    return {"input": {"example_list": {"examples": [example(**features)]}}}


REFUSED = {
    "other model": ("Predict", {"spec": {"name": "other"}}, "NOT_FOUND", "No model 'other' is served here"),
    "no model": ("Predict", {"spec": {"name": ""}}, "NOT_FOUND", "No model '' is served here"),
    "other version": (
        "Predict",
        {"spec": {"name": "digits", "version": {"value": 9}}},
        "NOT_FOUND",
        "Model 'digits' is served in versions 2 (trial, 试) and 1, not 9.",
    ),
    "other label": ("Predict", {"spec": {"name": "digits", "version_label": "x"}}, "NOT_FOUND", "not x."),
    "other signature": (
        "Predict",
        {"spec": {"name": "digits", "signature_name": "x"}},
        "INVALID_ARGUMENT",
        "The signature 'x' is not there for predict",
    ),
    "no inputs": ("Predict", {"inputs": {}}, "INVALID_ARGUMENT", "The request's inputs are []; the model takes one"),
    "other datatype": (
        "Predict",
        {"inputs": {"input": tensor([1, 64], "DT_COMPLEX64")}},
        "INVALID_ARGUMENT",
        "Input 'input' has datatype 'DT_COMPLEX64'; the model takes FP32.",
    ),
    "more values": (
        "Predict",
        {"inputs": {"input": tensor([1, 64], float_val=[0] * 65)}},
        "INVALID_ARGUMENT",
        "Input 'input' holds 65 values in float_val; its shape [1, 64] needs 64.",
    ),
    "few bytes": (
        "Predict",
        {"inputs": {"input": tensor([1, 64], tensor_content=b"1234")}},
        "INVALID_ARGUMENT",
        "has 4 bytes of binary data; its shape [1, 64] of FP32 needs 256.",
    ),
    "large number": (
        "Predict",
        {"inputs": {"input": tensor([1, 64], "DT_UINT8", int_val=[256])}},
        "INVALID_ARGUMENT",
        "Input 'input' holds a number that DT_UINT8 does not.",
    ),
    "too many rows": (
        "Predict",
        {"inputs": {"input": tensor([5000, 64])}},
        "RESOURCE_EXHAUSTED",
        "The request has 5000 rows; this server takes 1024 at a time.",
    ),
    "other output": (
        "Predict",
        {"inputs": ZEROS, "output_filter": ["x"]},
        "INVALID_ARGUMENT",
        "The outputs ['x'] are wanted; the model has label, score, probabilities.",
    ),
    "no examples": ("Classify", {}, "INVALID_ARGUMENT", "The input is empty; send example_list"),
    "no rows": ("Classify", {"input": {"example_list": {}}}, "INVALID_ARGUMENT", "No rows were given"),
    "empty feature": (
        "Classify",
        digits(input=("float_list", [])),
        "INVALID_ARGUMENT",
        "Row 0 has []; the model takes one input, 'input'.",
    ),
    "other feature": ("Classify", digits(x=("float_list", [1])), "INVALID_ARGUMENT", "Row 0 has ['x']"),
    "narrow feature": (
        "Classify",
        digits(input=("float_list", [1, 2])),
        "INVALID_ARGUMENT",
        "Row 0 has shape [2]; the model takes [64].",
    ),
    "other task": ("Regress", digits(input=("float_list", [1])), "INVALID_ARGUMENT", "has no single value a row"),
    "feature in both": (
        "Classify",
        {
            "input": {
                "example_list_with_context": {
                    "examples": [example(input=("float_list", [1] * 64))],
                    "context": example(input=("float_list", [1] * 64)),
                }
            }
        },
        "INVALID_ARGUMENT",
        "Row 0 has input, which the context has as well",
    ),
    "no metadata": ("GetModelMetadata", {}, "INVALID_ARGUMENT", "metadata_field is empty; send signature_def, once"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_message_is_refused_with_its_status_and_the_cause(channel, case):
    method, fields, status, cause = REFUSED[case]
    with pytest.raises(grpc.RpcError) as caught:
        asked(channel, method, **fields)
    assert caught.value.code() is grpc.StatusCode[status]
    assert cause in caught.value.details()
    assert "\n" not in caught.value.details()


def test_small_message_stands_for_no_large_tensor():
    message = GetMessageClass(POOL.FindMessageTypeByName("tensorflow.TensorProto"))(**tensor([1, 2**40], float_val=[1]))
    with pytest.raises(InputError, match=r"holds 1 values in float_val; its shape \[1, 1099511627776\] needs 1099511"):
        tensor_values(declared_tensor("sound", message), TensorSpec("sound", "FP32", (-1, -1)))

"""Sends rows with TensorFlow Serving's own stubs, and compares what it reads: `tf_serving_grpc.py URL FILE ADDRESS`."""

import json
import sys
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

known = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
numbers, texts, table = known["numbers"], known["texts"], known["table"]
channel = grpc.insecure_channel(sys.argv[3])
predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
models = model_service_pb2_grpc.ModelServiceStub(channel)


def predict(model: str, filtered: tuple[str, ...] = (), **inputs: TensorProto) -> dict[str, np.ndarray]:
    request = predict_pb2.PredictRequest(output_filter=filtered)
    request.model_spec.name = model
    request.model_spec.signature_name = "serving_default"
    for name, tensor in inputs.items():
        request.inputs[name].CopyFrom(tensor)
    reply = predictions.Predict(request)
    spec = reply.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == (model, 1, "serving_default")
    return {name: tf.make_ndarray(tensor) for name, tensor in reply.outputs.items()}


def example(**features: object) -> tf.train.Example:
    made = {}
    for name, value in features.items():
        if isinstance(value, str):
            made[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
        elif isinstance(value, int):
            made[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        elif value is not None:
            made[name] = tf.train.Feature(float_list=tf.train.FloatList(value=np.ravel(value)))
    return tf.train.Example(features=tf.train.Features(feature=made))


def refused(call: object, request: object) -> tuple[str, str]:
    try:
        call(request)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    raise AssertionError(f"{request} was answered")


as_array = np.asarray(numbers["rows"], np.float32)
for tensor in (tf.make_tensor_proto(as_array), tf.make_tensor_proto(as_array.astype(np.uint8))):
    found = predict("digits", input=tensor)
    np.testing.assert_allclose(found["probabilities"], numbers["scores"], rtol=1e-6, atol=1e-6)
    assert [label.decode() for label in found["label"]] == numbers["labels"]
one = tf.make_tensor_proto(np.full((3, 64), 7, np.float32))
assert len(one.tensor_content) > 0
repeated = TensorProto(dtype=tf.float32.as_datatype_enum, tensor_shape=one.tensor_shape, float_val=[7])
for kept in (predict("digits", ("score",), input=one), predict("digits", ("score",), input=repeated)):
    assert list(kept) == ["score"]
    np.testing.assert_array_equal(kept["score"], predict("digits", input=one)["score"])

rows = tf.make_tensor_proto(texts["rows"])
np.testing.assert_allclose(predict("sentiment", text=rows)["probabilities"], texts["scores"], rtol=1e-6, atol=1e-6)
columns = {
    "price": tf.make_tensor_proto(np.asarray([row["price"] for row in table["rows"]], np.float64)),
    "area": tf.make_tensor_proto(np.asarray([row["area"] for row in table["rows"]], np.int64)),
    "size": tf.make_tensor_proto([row["size"] for row in table["rows"]]),
}
np.testing.assert_allclose(predict("sums", **columns)["value"], table["values"], rtol=1e-6)

request = classification_pb2.ClassificationRequest()
request.model_spec.name = "sentiment"
request.input.example_list.examples.extend(example(text=row) for row in texts["rows"])
result = predictions.Classify(request).result.classifications
np.testing.assert_allclose([[one.score for one in row.classes] for row in result], texts["scores"], 1e-6, 1e-6)
assert {tuple(one.label for one in row.classes) for row in result} == {("negative", "positive")}
request = classification_pb2.ClassificationRequest()
request.model_spec.name = "digits"
request.input.example_list.examples.extend(example(input=row) for row in as_array)
result = predictions.Classify(request).result.classifications
np.testing.assert_allclose([[one.score for one in row.classes] for row in result], numbers["scores"], 1e-6, 1e-6)
request = regression_pb2.RegressionRequest()
request.model_spec.name = "sums"
request.model_spec.version.value = 1
request.input.example_list_with_context.context.CopyFrom(example(size="S"))
in_context = [(row, value) for row, value in zip(table["rows"], table["values"], strict=True) if row["size"] == "S"]
request.input.example_list_with_context.examples.extend(
    example(price=row["price"], area=row["area"]) for row, _ in in_context
)
result = predictions.Regress(request).result.regressions
np.testing.assert_allclose([one.value for one in result], [value for _, value in in_context], rtol=1e-6)

request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
request.model_spec.name = "digits"
metadata = predictions.GetModelMetadata(request)
signatures = get_model_metadata_pb2.SignatureDefMap()
assert metadata.metadata["signature_def"].Unpack(signatures)
signature = signatures.signature_def["serving_default"]
assert signature.inputs["input"].dtype == tf.float32.as_datatype_enum
assert [one.size for one in signature.inputs["input"].tensor_shape.dim] == [-1, 64]
assert set(signatures.signature_def) == {"serving_default", "classification"}

request = get_model_status_pb2.GetModelStatusRequest()
request.model_spec.name = "digits"
(state,) = models.GetModelStatus(request).model_version_status
assert (state.version, state.state, state.status.error_code) == (1, state.AVAILABLE, 0)
request.model_spec.version.value = 9
assert refused(models.GetModelStatus, request) == ("NOT_FOUND", "Model 'digits' is served in version 1, not 9.")
request = predict_pb2.PredictRequest()
request.model_spec.name = "digits"
request.inputs["input"].CopyFrom(tf.make_tensor_proto([[1.0, 2.0]]))
status, details = refused(predictions.Predict, request)
assert (status, details) == ("INVALID_ARGUMENT", "Input 'input' has shape [1, 2]; the model takes [-1, 64].")
request.predict_streamed_options.return_single_response = True
assert "number 5" in refused(predictions.Predict, request)[1]
print(*(len(one["rows"]) for one in (numbers, texts, table)))

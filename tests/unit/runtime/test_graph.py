"""A file that is newer than ONNX Runtime is told from one that is broken: by its own messages, of this version."""

import tracemalloc

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from maas.errors import BundleError
from maas.runtime.graph import Graph, too_new
from maas.runtime.model import Predictor
from maas.runtime.postprocessors import load_postprocessor
from maas.runtime.processors.array import ArrayProcessor


def saved(path, domain: str = "", opset: int = 20, ir_version: int = 9) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in ("features", "probabilities")]
    node = helper.make_node("Softmax", ["features"], ["probabilities"], axis=1)
    graph = helper.make_graph([node], "main", ends[:1], ends[1:])
    opsets = {"": 20, domain: opset}
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(*one) for one in opsets.items()])
    model.ir_version = ir_version
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("newer", "beginning", "advice"),
    [
        ({"opset": 99}, "is of opset 99, newer than ONNX Runtime", "Export it with opset "),
        ({"domain": "ai.onnx.ml", "opset": 98}, "is of ai.onnx.ml opset 98, newer than", "Export it with opset "),
        ({"ir_version": 97}, "is of IR version 97, newer than ONNX Runtime", "Save it with ir_version "),
    ],
)
def test_message_begins_with_what_is_newer_when_a_bundle_is_opened(newer, beginning, advice, tmp_path):
    saved(tmp_path / "model.onnx", **newer)
    with pytest.raises(BundleError) as caught:
        Predictor(
            tmp_path / "model.onnx",
            ArrayProcessor([2]),
            load_postprocessor({"kind": "classification", "labels": ["a", "b"]}),
        )
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'model.onnx'} {beginning}")
    assert advice in message
    assert ort.__version__ in message
    assert "\n" not in message


def test_nothing_is_said_of_age_when_a_file_is_broken(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(Exception, match="INVALID_PROTOBUF") as caught:
        ort.InferenceSession(tmp_path / "model.onnx")
    assert too_new(caught.value) is None


@pytest.mark.parametrize("rows", [1, 8])
def test_int8_is_exact_when_products_are_as_large_as_they_get(rows, tmp_path):
    """16 bits do not hold the sum of two of them, which processors without VNNI would add by themselves."""
    weights = np.where(np.arange(64 * 8).reshape(64, 8) % 3, 127, -127).astype(np.int8)
    parameters = {"x_scale": np.float32(1), "x_zero": np.uint8(0), "w": weights, "w_scale": np.float32(1)}
    parameters |= {"w_zero": np.int8(0), "y_scale": np.float32(2**14), "y_zero": np.uint8(128)}
    nodes = [
        helper.make_node("QuantizeLinear", ["features", "x_scale", "x_zero"], ["x"]),
        helper.make_node("DequantizeLinear", ["x", "x_scale", "x_zero"], ["x_again"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_again"]),
        helper.make_node("MatMul", ["x_again", "w_again"], ["sums"]),
        helper.make_node("QuantizeLinear", ["sums", "y_scale", "y_zero"], ["y"]),
        helper.make_node("DequantizeLinear", ["y", "y_scale", "y_zero"], ["scores"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", k])
        for name, k in (("features", 64), ("scores", 8))
    ]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in parameters.items()]
    graph = helper.make_graph(nodes, "main", ends[:1], ends[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), tmp_path / "m.onnx")
    features = np.full((rows, 64), 255, dtype=np.uint8)
    expected = np.rint(features.astype(np.int64) @ weights / 2**14) * 2**14
    found = Graph(tmp_path / "m.onnx").run({"features": features.astype(np.float32)})["scores"]
    np.testing.assert_array_equal(found, expected)


def test_bytes_of_the_file_are_not_kept_when_the_graph_is_open(tmp_path):
    """ONNX Runtime 1.31 holds them beside its own weights (`TODO` of onnxruntime_inference_collection.py)."""
    weight = np.zeros((1000, 1000), np.float32)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 1000]) for name in ("features", "product")]
    node = helper.make_node("MatMul", ["features", "weight"], ["product"])
    graph = helper.make_graph([node], "main", ends[:1], ends[1:], [numpy_helper.from_array(weight, "weight")])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
    tracemalloc.start()
    opened = Graph(path)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < path.stat().st_size / 10
    assert opened.run({"features": np.ones((1, 1000), np.float32)})["product"].shape == (1, 1000)

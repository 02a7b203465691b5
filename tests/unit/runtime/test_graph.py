"""A file that is newer than ONNX Runtime is told from one that is broken: by its own messages, of this version."""

import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from maas.errors import BundleError
from maas.runtime.graph import too_new
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

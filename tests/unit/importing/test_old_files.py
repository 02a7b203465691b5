"""Files of old opsets compute the same once they are imported, and what does not is named."""

import numpy as np
import onnx
import pytest

from maas.errors import ConfigError, ExportError
from maas.importing.onnx_file import OnnxFile
from maas.importing.plain_graph import PlainGraph
from maas.importing.records import Records
from maas.onnx_graphs import opsets as opset_room
from tests.unit.onnx_graphs.old_graphs import floats, model_of, node


@pytest.fixture
def unmended(monkeypatch):
    """The converter alone, as if an operator's old meaning were not known here."""
    monkeypatch.setattr(opset_room, "write_out_meanings_", lambda *_: None)


def hardened(weights: np.ndarray) -> onnx.ModelProto:
    nodes = [
        node("MatMul", ["x", "w"], ["scores"]),
        node("Reshape", ["scores", "shape"], ["apart"]),
        node("Hardmax", ["apart"], ["hard"], name="choose"),
        node("Flatten", ["hard"], ["y"]),
    ]
    return model_of(11, nodes, ("N", 4), w=weights, shape=np.array([0, 3, 1]))


def test_refusal_names_file_and_operator_when_import_would_change_it(
    unmended, iris, four, model_inputs_of, written, tmp_path
):
    onnx.save(hardened(floats(4, 3)), tmp_path / "theirs.onnx")
    model = OnnxFile(str(tmp_path / "theirs.onnx")).fit(iris, four)
    with pytest.raises(ExportError) as caught:
        written(model, tmp_path, model_inputs_of(four, iris.test.inputs))
    assert str(caught.value) == (
        "theirs.onnx cannot be imported. Hardmax of opset 11 (node choose) would give other numbers once it is "
        "converted, by up to 1. Export the file again with a newer opset."
    )


def test_one_label_is_chosen_when_a_hardmax_of_opset_11_is_imported(iris, four, model_inputs_of, written, tmp_path):
    weights = floats(4, 3)
    onnx.save(hardened(weights), tmp_path / "theirs.onnx")
    model_inputs = model_inputs_of(four, iris.test.inputs)
    expected = np.eye(3)[(model_inputs["features"] @ weights).argmax(axis=1)]
    model = OnnxFile(str(tmp_path / "theirs.onnx")).fit(iris, four)
    np.testing.assert_array_equal(model.outputs(model_inputs), expected)
    np.testing.assert_array_equal(written(model, tmp_path, model_inputs).run(None, model_inputs)[0], expected)


def test_refusal_names_file_and_operator_when_compression_would_change_it(unmended, tmp_path):
    old = hardened(floats(4, 3))
    graph = PlainGraph.of(old, "theirs.onnx")
    records = graph.records({"x": floats(5, 4)}, tmp_path / "rows.npz")
    with pytest.raises(
        ConfigError, match=r"^theirs\.onnx cannot be made smaller as it is\. Hardmax of opset 11 \(node"
    ):
        graph.require_convertible(old, Records(records.dtype), records)


@pytest.mark.parametrize(
    ("change", "beginning"),
    [
        (
            lambda model: setattr(model.opset_import[0], "version", 99),
            "theirs.onnx is of opset 99, newer than ONNX Run",
        ),
        (lambda model: setattr(model, "ir_version", 99), "theirs.onnx is of IR version 99, newer than ONNX Runtime"),
    ],
)
def test_message_begins_with_the_age_when_a_file_is_newer_than_the_runtime(
    linear, iris, four, tmp_path, change, beginning
):
    source = linear(floats(4, 3))
    change(source)
    path = tmp_path / "theirs.onnx"
    path.write_bytes(source.SerializeToString())
    with pytest.raises(ConfigError) as caught:
        OnnxFile(str(path), gives="logits").fit(iris, four)
    assert str(caught.value).startswith(beginning)
    graph = PlainGraph.of(source, "theirs.onnx")
    records = graph.records({"x": floats(5, 4)}, path)
    with pytest.raises(ConfigError) as caught:
        graph.answered(path, Records(records.dtype), records)
    assert str(caught.value).startswith(beginning)

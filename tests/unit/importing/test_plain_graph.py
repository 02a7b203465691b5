"""A plain file says what it takes; rows that do not fit are refused with both types or shapes."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from maas.errors import ConfigError, DataError
from maas.importing.plain_graph import PlainGraph, meaning_of_numbers
from maas.importing.records import Reading, Records

PATH = Path("rows.npz")


def model(*, batch="n", outputs=("sum",), kind=TensorProto.FLOAT, nodes=None) -> onnx.ModelProto:
    """Adds `numbers` (n, 3) to what `words` counts (n, 1)."""
    graph = helper.make_graph(
        nodes
        or [helper.make_node("Cast", ["words"], ["counts"], to=1)]
        + [helper.make_node("Add", ["numbers", "counts"], [output]) for output in outputs],
        "plain",
        [
            helper.make_tensor_value_info("numbers", kind, [batch, 3]),
            helper.make_tensor_value_info("words", TensorProto.INT64, [batch, 1]),
        ],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None) for output in outputs],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def arrays(rows: int = 4) -> dict[str, np.ndarray]:
    numbers = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    return {"numbers": numbers, "words": np.arange(rows).reshape(rows, 1)}


def test_graph_is_fed_with_the_arrays_as_they_were_when_rows_are_collated(tmp_path):
    onnx.save(model(), tmp_path / "m.onnx")
    graph = PlainGraph.of(model(), "m.onnx")
    records = graph.records(arrays(), PATH)
    processor = Records(records.dtype)
    again = Records.load(processor.settings(), tmp_path)
    model_inputs = again.batch(again.preprocess([one.tobytes() for one in records]))
    for name, array in arrays().items():
        np.testing.assert_array_equal(model_inputs[name], array)
        assert model_inputs[name].dtype == array.dtype
    found = graph.answered(tmp_path / "m.onnx", processor, records)
    np.testing.assert_array_equal(found, arrays()["numbers"] + arrays()["words"])


def test_texts_reach_the_graph_as_objects_when_an_array_holds_them():
    records = np.array([("ab",), ("äö",)], dtype=[("words", "<U4")])
    processor = Records(records.dtype)
    model_input = processor.batch(processor.preprocess([one.tobytes() for one in records]))["words"]
    assert (model_input.dtype, model_input.tolist()) == (np.dtype(object), ["ab", "äö"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"words": None}, "rows.npz holds numbers; m.onnx takes numbers, words."),
        ({"labels": np.zeros(4)}, "rows.npz holds numbers, words, labels; m.onnx takes numbers, words."),
        ({"numbers": np.zeros((4, 3))}, "numbers of rows.npz holds float64; the graph takes float32."),
        ({"numbers": np.zeros((4, 2), np.float32)}, "numbers of rows.npz has shape [4, 2]; the graph takes [any, 3]"),
        ({"words": np.zeros(4, np.int64)}, "words of rows.npz has shape [4]; the graph takes [any, 1]"),
    ],
)
def test_arrays_are_refused_when_they_do_not_fit_the_inputs(changed, message):
    given = {name: array for name, array in {**arrays(), **changed}.items() if array is not None}
    with pytest.raises(DataError, match=re.escape(message)):
        PlainGraph.of(model(), "m.onnx").records(given, PATH)


def test_file_is_refused_when_its_batch_is_fixed_or_several_outputs_may_be_meant():
    assert PlainGraph.of(model(batch=1), "m.onnx").batch == 1
    with pytest.raises(ConfigError, match="m.onnx takes 8 rows at once, no more and no less. Export it again"):
        PlainGraph.of(model(batch=8), "m.onnx")
    two = model(outputs=("sum", "other"))
    with pytest.raises(
        ConfigError, match="m.onnx gives sum, other; 2 of them hold such numbers as answers. Set output"
    ):
        PlainGraph.of(two, "m.onnx")
    assert PlainGraph.of(two, "m.onnx", "other").result == "other"
    with pytest.raises(ConfigError, match="gives sum, other; output=third is none of them"):
        PlainGraph.of(two, "m.onnx", "third")


def test_file_is_refused_when_its_output_is_not_of_rows(tmp_path):
    cast = helper.make_node("Cast", ["words"], ["counts"], to=1)
    add = helper.make_node("Add", ["numbers", "counts"], ["added"])
    whole = model(nodes=[cast, add, helper.make_node("ReduceSum", ["added"], ["sum"], keepdims=1)][:3], outputs=())
    whole.graph.output.append(helper.make_tensor_value_info("sum", TensorProto.FLOAT, None))
    onnx.save(whole, tmp_path / "m.onnx")
    graph = PlainGraph.of(whole, "m.onnx")
    records = graph.records(arrays(), PATH)
    with pytest.raises(ConfigError, match=re.escape("m.onnx gives sum of shape [1, 1] for 4 rows; rows come first")):
        graph.answered(tmp_path / "m.onnx", Records(records.dtype), records)


@pytest.mark.parametrize(
    ("found", "targets", "gives"),
    [
        ([[0.2, 0.8], [0.5, 0.5]], None, "probabilities"),
        ([[2.0, 8.0], [5.0, -5.0]], np.array([0, 1]), "logits"),
        ([[2.0, 8.0], [5.0, -5.0]], None, "embedding"),
        ([[0.2], [0.9]], np.array([0, 1]), "probability"),
        ([-3.0, 4.0], np.array([0, 1]), "logit"),
        ([-3.0, 4.0], np.array([0.5, 1]), "value"),
        ([-3.0, 4.0], np.array([20, 30]), "value"),
        ([{"a": 0.2, "b": 0.8}, {"a": 0.5, "b": 0.5}], None, "probabilities"),
    ],
)
def test_numbers_are_read_as_they_look_when_no_kind_is_given(found, targets, gives):
    read = found if isinstance(found[0], dict) else np.array(found)
    meaning = meaning_of_numbers(read, targets, None)
    assert meaning.gives == gives
    numbers = Reading("out", meaning).scores({"out": read})
    assert numbers.shape == (2, 2 if gives != "value" else 1)
    if meaning.order:
        np.testing.assert_allclose(numbers.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("width", "targets", "gives", "message"),
    [
        (2, None, "value", "The output gives 2 numbers a row; gives=value is of one"),
        (1, None, "logits", "The output gives one number a row; gives=logits is of two or more"),
        (2, np.array([0, 1]), "embedding", "Vectors have no targets to be evaluated with"),
    ],
)
def test_given_kind_is_refused_when_the_numbers_are_others(width, targets, gives, message):
    with pytest.raises(ConfigError, match=message):
        meaning_of_numbers(np.ones((2, width)), targets, gives)

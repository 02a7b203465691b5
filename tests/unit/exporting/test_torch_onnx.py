"""One ONNX file, dynamic axes, the same bytes from every process. Each export costs seconds, so they are few."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import helper, numpy_helper

from maas.errors import ExportError
from maas.exporting.conversion import to_onnx
from maas.exporting.torch_onnx import UNTAKEN, name_output_
from maas.onnx_graphs.cleaning import stripped
from maas.onnx_graphs.files import require_dynamic
from maas.runtime.processors.array import ArrayProcessor
from maas.training.evaluation import scores_of

OUTPUT = "probabilities"


def dims(model: onnx.ModelProto) -> dict[str, list[str | int]]:
    return {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*model.graph.input, *model.graph.output]
    }


def test_axes_are_dynamic_and_nothing_of_the_exporter_is_left_when_a_text_net_is_exported(token_model):
    model = onnx.load(token_model)
    onnx.checker.check_model(model, full_check=True)
    assert dims(model)["input_ids"] == ["batch", "tokens"]
    assert dims(model)[OUTPUT] == ["batch", 2]
    assert [path.name for path in token_model.parent.iterdir()] == ["model.onnx"]
    assert (model.producer_name, model.producer_version, model.graph.name) == ("maas", "", "main")
    assert not any(part.metadata_props or part.doc_string for part in [model, *model.graph.node])
    assert [one.version for one in model.opset_import if one.domain == ""] == [20]


def test_axes_are_dynamic_when_a_net_over_numbers_is_exported(line):
    assert dims(onnx.load(line.bundle.model_path)) == {"features": ["batch", 64], OUTPUT: ["batch", 10]}


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("tokens", [1, 8, 40])
def test_graph_answers_as_the_net_when_sizes_are_not_those_of_the_examples(token_model, token_checkpoint, rows, tokens):
    known = token_checkpoint.record.net.arguments["vocabulary_size"]
    ids = np.random.default_rng(0).integers(1, known, (rows, tokens))
    session = ort.InferenceSession(token_model, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = token_checkpoint.model()(torch.from_numpy(ids)).softmax(dim=1).numpy()
    np.testing.assert_allclose(session.run(None, {"input_ids": ids})[0], expected, atol=1e-5)


def test_bytes_are_equal_when_two_processes_export_the_same_checkpoint(
    token_model, token_checkpoint, text_processor, tmp_path
):
    examples = text_processor.batch(text_processor.preprocess(["other", "examples of the same size 好"]))
    again = to_onnx(token_checkpoint, examples, tmp_path / "again.onnx", 20)
    assert again.read_bytes() == token_model.read_bytes()


def test_probabilities_are_softmaxed_when_the_net_gives_logits(line, digits):
    rows = digits.test.inputs[:40]
    found = line.bundle.predictor.outputs(rows)[OUTPUT]
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    checkpoint = line.checkpoint
    trained = scores_of(checkpoint.run(), checkpoint.postprocessor(), checkpoint.processor(), rows)
    np.testing.assert_allclose(found, trained, atol=1e-5)


def test_refusal_names_the_net_when_it_freezes_the_batch(save, nets, tmp_path):
    arguments = {"in_features": 3, "outputs": 2}
    checkpoint = save(
        tmp_path / "train",
        nets.FrozenBatch(**arguments),
        ArrayProcessor([3]),
        "small_nets.FrozenBatch",
        ("a", "b"),
        **arguments,
    )
    examples = {"features": np.ones((2, 3), dtype=np.float32)}
    with pytest.raises(ExportError, match=r"^small_nets\.FrozenBatch cannot be exported: ") as caught:
        to_onnx(checkpoint, examples, tmp_path / "out.onnx", 20)
    assert "batch" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 9
    assert not (tmp_path / "out.onnx").exists()


def test_frozen_axis_is_named_with_its_size_when_a_graph_has_one(token_model):
    model = onnx.load(token_model)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 7
    with pytest.raises(ExportError) as caught:
        require_dynamic(model, {"input_ids": {0: "batch", 1: "tokens"}})
    assert str(caught.value).startswith("Axis 1 (tokens) of input input_ids was frozen at 7; it must be dynamic.")


def test_graph_answers_alike_when_it_is_stripped_again(token_model):
    model = onnx.load(token_model)
    assert stripped(model).SerializeToString(deterministic=True) == token_model.read_bytes()


def test_output_is_named_and_an_inner_value_makes_room_when_both_would_be_called_alike():
    rows, width = helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["batch"]), 3
    table = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, width), "table")
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["embedding"]),  # as an exporter calls it
        helper.make_node("Add", ["embedding", "embedding"], [UNTAKEN]),
    ]
    output = helper.make_tensor_value_info(UNTAKEN, onnx.TensorProto.FLOAT, ["batch", width])
    graph = helper.make_graph(nodes, "main", [rows], [output], [table])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    name_output_(model.graph, "embedding")
    onnx.checker.check_model(model, full_check=True)
    model.ir_version = 10
    found = ort.InferenceSession(model.SerializeToString()).run(["embedding"], {"ids": np.array([3, 0])})[0]
    assert found.tolist() == [[18, 20, 22], [0, 2, 4]]

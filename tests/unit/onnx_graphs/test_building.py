"""Surgery on graphs: pruned, renamed, converted, freed; what comes out answers as what went in."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from maas.errors import ExportError, innermost_cause, one_line
from maas.onnx_graphs.building import GraphBuilder, assembled, assembled_name, declared, with_free_batch
from maas.onnx_graphs.files import write_checked
from maas.onnx_graphs.reading import real_inputs

FLOAT = TensorProto.FLOAT
ROWS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
AXES = {"features": {0: "batch"}}


def model_of(nodes, inputs, outputs, constants=(), opset=17, domains=(), ir_version=8) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "imported",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in dict(constants).items()],
    )
    imports = [helper.make_opsetid("", opset), *[helper.make_opsetid(*one) for one in domains]]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir_version)


def joined(source: onnx.ModelProto, result: str, width: int | None = None, opset: int = 20) -> onnx.ModelProto:
    after = GraphBuilder("answer")
    after.add("Identity", assembled_name(source, result), result="answer")
    model = assembled(source, GraphBuilder("model_inputs"), {"x": "features"}, result, after, opset=opset)
    return declared(model, {"features": ROWS}, AXES, "answer", (width,))


def run(model: onnx.ModelProto, rows: np.ndarray = ROWS) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"features": rows})[0]


def test_only_what_leads_to_the_result_stays_when_a_graph_has_several_outputs():
    source = model_of(
        [
            helper.make_node("Add", ["x", "one"], ["sum"]),
            helper.make_node("Mul", ["sum", "two"], ["double"]),
            helper.make_node("ArgMax", ["sum"], ["label"], axis=1),
        ],
        {"x": ["N", 3]},
        {"double": ["N", 3], "label": ["N", 1]},
        {"one": np.float32(1), "two": np.float32(2), "unused": np.float32(3)},
    )
    model = joined(source, "double", 3)
    assert [node.op_type for node in model.graph.node] == ["Add", "Mul", "Identity"]
    assert {one.name for one in model.graph.initializer} == {"source/one", "source/two"}
    assert [one.name for one in model.graph.output] == ["answer"]
    np.testing.assert_array_equal(run(model), (ROWS + 1) * 2)
    assert len(source.graph.node) == 3, "the source is left as it is"


def test_names_do_not_meet_when_the_source_uses_those_of_model_inputs_and_answer():
    source = model_of(
        [helper.make_node("Neg", ["x"], ["features"]), helper.make_node("Exp", ["features"], ["answer"])],
        {"x": ["N", 3]},
        {"answer": ["N", 3]},
    )
    np.testing.assert_allclose(run(joined(source, "answer")), np.exp(-ROWS), rtol=1e-6)


def test_names_of_the_graph_outside_are_kept_up_when_a_graph_inside_reads_them():
    def branch(operator: str) -> onnx.GraphProto:
        node = helper.make_node(operator, ["x", "shift"], ["inner"])
        return helper.make_graph([node], operator, [], [helper.make_tensor_value_info("inner", FLOAT, ["N", 3])])

    source = model_of(
        [
            helper.make_node("ReduceMax", ["x"], ["largest"], keepdims=0),
            helper.make_node("Greater", ["largest", "limit"], ["is_large"]),
            helper.make_node("If", ["is_large"], ["y"], then_branch=branch("Sub"), else_branch=branch("Add")),
        ],
        {"x": ["N", 3]},
        {"y": ["N", 3]},
        {"shift": np.float32(10), "limit": np.float32(100)},
    )
    model = joined(source, "y", 3)
    np.testing.assert_allclose(run(model), ROWS + 10)
    np.testing.assert_allclose(run(model, ROWS + 1000), ROWS + 990, atol=1e-3)


def test_tensor_is_taken_when_a_zipmap_makes_dictionaries_of_it():
    source = model_of(
        [
            helper.make_node("Neg", ["x"], ["tensor"]),
            helper.make_node("ZipMap", ["tensor"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2]),
        ],
        {"x": ["N", 3]},
        {"y": ["N", 3]},
        domains=[("ai.onnx.ml", 3)],
    )
    model = joined(source, "y", 3)
    assert [node.op_type for node in model.graph.node] == ["Neg", "Identity"]
    np.testing.assert_array_equal(run(model), -ROWS)


def test_weights_are_no_inputs_when_an_old_file_lists_them_so():
    source = model_of(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        {"x": ["N", 3], "w": [3]},
        {"y": ["N", 3]},
        {"w": np.ones(3, np.float32)},
        ir_version=3,
    )
    assert list(real_inputs(source.graph)) == ["x"]
    model = joined(source, "y", 3)
    assert [one.name for one in model.graph.input] == ["features"]
    assert model.ir_version >= 8
    np.testing.assert_array_equal(run(model), ROWS + 1)


@pytest.mark.parametrize(("opset", "expected"), [(9, 20), (12, 20), (13, 13), (17, 17), (21, 21)])
def test_opset_is_converted_when_it_is_old_and_kept_when_it_is_not(opset, expected):
    source = model_of(
        [helper.make_node("Softmax", ["x"], ["y"], axis=1)], {"x": ["N", 3]}, {"y": ["N", 3]}, opset=opset
    )
    model = joined(source, "y", 3)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", expected)]
    exponents = np.exp(ROWS)
    np.testing.assert_allclose(run(model), exponents / exponents.sum(axis=1, keepdims=True), atol=1e-6)


def test_domains_are_named_once_and_in_order_when_a_converter_repeats_them():
    source = model_of([helper.make_node("Neg", ["x"], ["y"])], {"x": ["N", 3]}, {"y": ["N", 3]})
    source.opset_import.extend([helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 18)])
    assert [(one.domain, one.version) for one in joined(source, "y").opset_import] == [("", 18), ("ai.onnx.ml", 3)]


def test_opset_is_added_when_a_graph_has_only_another_domain():
    scaler = helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[1.0] * 3, scale=[2.0] * 3)
    source = model_of([scaler], {"x": ["N", 3]}, {"y": ["N", 3]}, domains=[("ai.onnx.ml", 1)])
    del source.opset_import[0]
    np.testing.assert_allclose(run(joined(source, "y")), (ROWS - 1) * 2, rtol=1e-6)


def test_refusal_names_the_opset_when_it_cannot_be_converted():
    source = model_of([helper.make_node("Neg", ["x"], ["y"])], {"x": ["N", 3]}, {"y": ["N", 3]})
    source.opset_import[0].version = 0
    with pytest.raises(ExportError) as caught:
        joined(source, "y")
    assert str(caught.value).startswith("The file is of opset 0 and cannot be brought to 20: ")
    assert str(caught.value).endswith(" Export it again with opset 13 or later.")


@pytest.mark.parametrize("batch", [1, 4])
def test_reshape_takes_any_batch_when_it_wrote_out_a_fixed_one(batch):
    source = model_of(
        [
            helper.make_node("Reshape", ["x", "shape"], ["turned"]),
            helper.make_node("Transpose", ["turned"], ["y"], perm=[0, 2, 1]),
        ],
        {"x": [batch, 3]},
        {"y": [batch, 1, 3]},
        {"shape": np.array([batch, 3, 1], dtype=np.int64)},
    )
    model = joined(with_free_batch(source, batch), "y")
    model.graph.output[0].type.tensor_type.ClearField("shape")
    np.testing.assert_array_equal(run(model), ROWS[:, None, :])
    assert source.graph.node[0].input[1] == "shape"


def test_refusal_gives_the_reason_when_a_graph_does_not_run(tmp_path):
    source = model_of(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": ["N", 3]},
        {"y": ["N", 2]},
        {"w": np.ones((4, 2), np.float32)},
    )
    with pytest.raises(ExportError, match=r"^The graph does not run: .*") as caught:
        write_checked(joined(source, "y", 2), tmp_path / "out.onnx", {"features": ROWS}, AXES)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "out.onnx").exists()


def test_reason_is_one_short_line_when_an_error_is_endless():
    assert one_line(ValueError("\n  Got 4\n expected \x1b[31m7\x1b[0m")) == "Got 4 expected 7"
    assert one_line(ValueError("x" * 5000)) == f"{'x' * 300}…"
    assert one_line(KeyError()) == "KeyError"


def test_reason_is_what_an_exporter_wraps_when_its_own_words_are_long():
    wrapping = RuntimeError("Failed to export the model. " * 40)
    wrapping.__cause__ = KeyError("no operator for /opt/site-packages/torch/ops.py::svd")
    assert innermost_cause(wrapping) == "'no operator for ops.py::svd'"


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("Load /tmp/tmpx1/model.onnx failed:\n\x1b[31mType Error\x1b[0m", "Load model.onnx failed: Type Error"),
        ("see https://example.org/a/b for 1/3 of it", "see https://example.org/a/b for 1/3 of it"),
        ("", "ValueError"),
    ],
)
def test_line_holds_no_path_and_no_colour_when_another_library_says_them(said, line):
    assert one_line(ValueError(said)) == line

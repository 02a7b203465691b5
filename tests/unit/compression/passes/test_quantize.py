"""The ways of quantising to int8: what becomes int8, what stays, and what is refused."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from maas.compression.passes import Calibration
from maas.compression.passes.quantize_dynamic import QuantizeDynamic
from maas.compression.passes.quantize_mixed import Gauge, QuantizeMixed
from maas.compression.passes.quantize_static import QuantizeStatic
from maas.errors import ExportError
from maas.runtime.graph import session_options

PASSES = {"dynamic": QuantizeDynamic, "static": QuantizeStatic, "mixed": QuantizeMixed}


def head_of(model: onnx.ModelProto) -> str:
    """Returns the name of the node whose weights give ten logits."""
    weights = {one.name for one in model.graph.initializer if sorted(one.dims) == [10, 256]}
    return next(node.name for node in model.graph.node if weights & set(node.input))


def weights_of(path, node_name: str) -> list[int]:
    """Returns the element types of the tensors of two axes that a node is fed with, through any DequantizeLinear."""
    graph = onnx.load(path).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    producers = {name: node for node in graph.node for name in node.output}
    node = next(node for node in graph.node if node.name.startswith(node_name) and node.op_type in ("Gemm", "MatMul"))
    names = [producers[name].input[0] if name in producers else name for name in node.input]
    return [tensors[name].data_type for name in names if name in tensors and len(tensors[name].dims) == 2]


def written(folder, nodes, weights, shapes) -> Path:
    """Writes a graph from `features` to `out`, of the shapes of a row; returns its path.

    Weights of floating-point numbers become float32, others stay as they are.
    """
    ends = [
        helper.make_tensor_value_info(end, TensorProto.FLOAT, ["batch", *shape])
        for end, shape in zip(("features", "out"), shapes, strict=True)
    ]
    tensors = [
        onnx.numpy_helper.from_array(one.astype(np.float32) if one.dtype.kind == "f" else one, name)
        for name, one in weights.items()
    ]
    graph = helper.make_graph(nodes, "main", ends[:1], ends[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), folder / "in.onnx")
    return folder / "in.onnx"


def answers(rows, *paths):
    """Returns what graphs answer to the same rows."""
    return [onnxruntime.InferenceSession(path, session_options()).run(None, {"features": rows})[0] for path in paths]


def of_rows(rows) -> Calibration:
    """Returns a calibration of one batch."""
    return Calibration(lambda _: iter([{"features": rows}]), 0)


@pytest.mark.parametrize("name", PASSES)
def test_head_stays_fp32_and_the_rest_becomes_int8_when_the_head_is_kept(name, line, calibration, tmp_path):
    parent, out = line.bundle.model_path, tmp_path / "out.onnx"
    PASSES[name]().apply(parent, out, calibration)
    assert weights_of(out, head_of(onnx.load(parent))) == [TensorProto.FLOAT]
    types = [tensor.data_type for tensor in onnx.load(out).graph.initializer if np.prod(tensor.dims) == 64 * 256]
    assert types == [TensorProto.INT8]


@pytest.mark.parametrize("name", PASSES)
def test_file_is_smaller_still_when_the_head_is_quantised_too(name, line, calibration, tmp_path):
    parent = line.bundle.model_path
    sizes = [parent.stat().st_size]
    for keep_head in (True, False):
        out = tmp_path / f"{keep_head}.onnx"
        PASSES[name](keep_head=keep_head).apply(parent, out, calibration)
        sizes.append(out.stat().st_size)
    assert sizes[0] > 2 * sizes[1] > 2 * sizes[2]


@pytest.mark.parametrize("name", PASSES)
def test_bytes_are_equal_and_the_parent_untouched_when_a_pass_is_applied_twice(name, line, calibration, tmp_path):
    before = line.bundle.model_path.read_bytes()
    for index in range(2):
        PASSES[name]().apply(line.bundle.model_path, tmp_path / f"{index}.onnx", calibration)
    assert (tmp_path / "0.onnx").read_bytes() == (tmp_path / "1.onnx").read_bytes()
    assert line.bundle.model_path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.onnx", "1.onnx"]


def kept(evaluator, model) -> float:
    """Returns the share of validation rows whose label a model keeps."""
    return evaluator.task_metrics.agrees(
        evaluator.scores(evaluator.parent), evaluator.scores(evaluator.predictor(model))
    ).mean()


@pytest.mark.parametrize("name", PASSES)
def test_most_labels_stay_when_a_pass_is_applied(name, line, evaluator, calibration, tmp_path):
    PASSES[name]().apply(line.bundle.model_path, tmp_path / "out.onnx", calibration)
    assert kept(evaluator, tmp_path / "out.onnx") > 0.97


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile"])
def test_every_way_of_drawing_ranges_works_when_it_is_named(method, line, evaluator, calibration, tmp_path):
    QuantizeStatic(method=method, calibration_rows=32).apply(line.bundle.model_path, tmp_path / "out.onnx", calibration)
    assert kept(evaluator, tmp_path / "out.onnx") > 0.97


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile"])
def test_batches_may_differ_in_length_when_ranges_are_drawn(method, token_model, text_processor, tmp_path):
    def model_inputs(_):
        for text in ("good film", "很好 " * 9, "bad film " * 12):
            yield text_processor.batch(text_processor.preprocess([text, text]))

    QuantizeStatic(method=method).apply(token_model, tmp_path / "out.onnx", Calibration(model_inputs, 0))
    plain = Gauge.of(onnx.load(token_model), model_inputs(6))
    assert plain.error(onnx.load(tmp_path / "out.onnx")) < 0.1


def test_products_stay_fp32_when_only_the_inputs_of_a_matmul_are_rounded(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["features", "a"], ["hidden"], name="one"),
        helper.make_node("MatMul", ["hidden", "b"], ["out"], name="head"),
    ]
    parent = written(tmp_path, nodes, {name: np.eye(8) for name in "ab"}, [(8,), (8,)])
    rows = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    QuantizeStatic(smoothing=None).apply(parent, tmp_path / "out.onnx", of_rows(rows))
    rounded = [
        node.input[0] for node in onnx.load(tmp_path / "out.onnx").graph.node if node.op_type == "QuantizeLinear"
    ]
    assert rounded == ["features"]


def clipped(folder, low: float, high: float) -> Path:
    """Writes a graph that clips its input before two layers that leave it as it is."""
    nodes = [
        helper.make_node("Clip", ["features", "low", "high"], ["clipped"]),
        helper.make_node("MatMul", ["clipped", "a"], ["hidden"], name="one"),
        helper.make_node("MatMul", ["hidden", "b"], ["out"], name="head"),
    ]
    weights = {name: np.eye(8) for name in "ab"} | {"low": np.array(low), "high": np.array(high)}
    return written(folder, nodes, weights, [(8,), (8,)])


@pytest.mark.parametrize(("low", "zero", "stays"), [(-2.0, 51, False), (0.5, 0, True)])
def test_range_is_that_of_the_clip_when_rows_do_not_reach_it(low, zero, stays, tmp_path):
    parent, out = clipped(tmp_path, low, 8.0), tmp_path / "out.onnx"
    QuantizeStatic().apply(parent, out, of_rows(np.full((4, 8), 3, np.float32)))
    made_nodes = onnx.load(out).graph.node
    (rounding,) = (node for node in made_nodes if node.op_type == "QuantizeLinear")
    assert any(node.op_type == "Clip" for node in made_nodes) == stays, "rounding clips by itself, where 0 is inside"
    made = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(out).graph.initializer}
    assert float(made[rounding.input[1]]) == pytest.approx((8 - min(low, 0)) / 255)
    assert made[rounding.input[2]] == zero
    rows = np.linspace(-20, 20, 32, dtype=np.float32).reshape(4, 8)
    np.testing.assert_allclose(answers(rows, out)[0], rows.clip(low, 8), atol=10 / 255)


def test_range_is_that_of_the_rows_when_a_clip_only_guards_against_overflow(tmp_path):
    parent, out = clipped(tmp_path, -65504.0, 65504.0), tmp_path / "out.onnx"
    rows = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)
    QuantizeStatic().apply(parent, out, of_rows(rows))
    before, after = answers(rows, parent, out)
    np.testing.assert_allclose(after, before, atol=np.ptp(rows) / 255)


MEAN = [helper.make_node("ReduceMean", ["positive", "axes"], ["pooled"], keepdims=0)]
MEAN_AND_MAXIMUM = [
    helper.make_node("ReduceMean", ["positive", "axes"], ["mean"], keepdims=0),
    helper.make_node("ReduceMax", ["positive", "axes"], ["most"], keepdims=0),
    helper.make_node("Add", ["mean", "most"], ["pooled"]),
]


@pytest.mark.parametrize(
    ("pooling", "axes", "shape", "is_rounded"),
    [(MEAN, [2, 3], (8,), True), (MEAN, [1], (6, 6), False), (MEAN_AND_MAXIMUM, [2, 3], (8,), False)],
    ids=["over the picture", "over channels", "beside another reader"],
)
def test_sum_is_rounded_when_only_a_mean_over_the_picture_reads_it(pooling, axes, shape, is_rounded, tmp_path):
    nodes = [
        helper.make_node("Conv", ["features", "w0"], ["skip"], name="one", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["skip", "w1"], ["residual"], name="two", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["skip", "residual"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["positive"]),
        *pooling,
        helper.make_node("MatMul", ["pooled", "head"], ["out"], name="head"),
    ]
    drawn = np.random.default_rng(0)
    weights = {name: drawn.normal(0, 0.1, (8, 8, 3, 3)) for name in ("w0", "w1")}
    weights |= {"head": np.eye(shape[-1]), "axes": np.array(axes)}
    parent, out = written(tmp_path, nodes, weights, [(8, 6, 6), shape]), tmp_path / "out.onnx"
    rows = drawn.normal(size=(16, 8, 6, 6)).astype(np.float32)
    QuantizeStatic().apply(parent, out, of_rows(rows))
    before, after = answers(rows, parent, out)
    rounded = [node.input[0] for node in onnx.load(out).graph.node if node.op_type == "QuantizeLinear"]
    assert sorted(rounded) == ["features", *(["positive"] if is_rounded else []), "residual", "skip"]
    np.testing.assert_allclose(after, before, atol=0.02 * np.abs(before).max())


@pytest.mark.parametrize("doubling", [[], [helper.make_node("Add", ["skip", "skip"], ["twice"])]])
def test_values_are_rounded_once_and_sums_stay_int8_when_a_residual_net_learnt_with_clips(doubling, tmp_path):
    def convolved(source: str, index: int, out: str) -> onnx.NodeProto:
        return helper.make_node("Conv", [source, f"w{index}"], [out], name=f"conv{index}", pads=[1, 1, 1, 1])

    nodes = [
        convolved("features", 0, "stem"),
        helper.make_node("Relu", ["stem"], ["skip"]),
        helper.make_node("Clip", ["skip", "low", "high"], ["clip0"]),
        convolved("clip0", 1, "inner"),
        helper.make_node("Clip", ["inner", "low", "high"], ["clip1"]),
        convolved("clip1", 2, "residual"),
        *doubling,
        helper.make_node("Add", ["twice" if doubling else "skip", "residual"], ["sum"]),
        helper.make_node("Clip", ["sum", "low", "high"], ["clip2"]),
        convolved("clip2", 3, "last"),
        convolved("last", 4, "out"),
    ]
    drawn = np.random.default_rng(0)
    weights = {f"w{index}": drawn.normal(0, 0.1, (8, 8, 3, 3)) for index in range(5)}
    weights |= {"low": np.array(0.0), "high": np.array(4.0)}
    parent, out = written(tmp_path, nodes, weights, [(8, 6, 6), (8, 6, 6)]), tmp_path / "out.onnx"
    rows = drawn.normal(size=(16, 8, 6, 6)).astype(np.float32)
    QuantizeStatic().apply(parent, out, of_rows(rows))
    made = onnx.load(out).graph
    makers = {name: node.op_type for node in made.node for name in node.output}
    rounded = [node.input[0] for node in made.node if node.op_type == "QuantizeLinear"]
    assert sorted(rounded) == ["features", "inner", "last", "residual", "skip", "sum"]
    assert "Clip" not in makers.values()
    first = next(node for node in made.node if node.op_type == "Add")
    assert [makers[name] for name in first.input] == ["DequantizeLinear"] * 2
    before, after = answers(rows, parent, out)
    np.testing.assert_allclose(after, before, atol=0.05 * np.abs(before).max())


def bytes_of(one, line, calibration, out) -> bytes:
    one.apply(line.bundle.model_path, out, calibration)
    return out.read_bytes()


def test_the_node_that_fits_stays_fp32_when_the_tolerance_cannot_be_reached(line, calibration, tmp_path):
    mixed = QuantizeMixed(tolerance=1e-12, max_fraction=0.25, keep_head=False)
    assert bytes_of(mixed, line, calibration, tmp_path / "mixed.onnx") == bytes_of(
        QuantizeStatic(keep_head=True), line, calibration, tmp_path / "static.onnx"
    )


@pytest.mark.parametrize("settings", [{"tolerance": 1.0}, {"tolerance": 1e-12, "max_fraction": 0.0}])
def test_all_is_quantised_when_the_error_is_small_enough_or_nothing_may_stay(settings, line, calibration, tmp_path):
    mixed = QuantizeMixed(**settings, keep_head=False)
    assert bytes_of(mixed, line, calibration, tmp_path / "mixed.onnx") == bytes_of(
        QuantizeStatic(keep_head=False), line, calibration, tmp_path / "static.onnx"
    )


def test_error_is_the_share_of_the_spread_when_a_graph_is_gauged():
    def graph(factor: float) -> onnx.ModelProto:
        ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["batch", 2]) for end in ("features", "out")]
        node = helper.make_node("Mul", ["features", "factor"], ["out"], name="mul")
        tensor = onnx.numpy_helper.from_array(np.float32(factor), "factor")
        made = helper.make_graph([node], "main", ends[:1], ends[1:], [tensor])
        return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)

    rows = np.array([[1, -1], [1, -1], [-1, 1]], dtype=np.float32)
    gauge = Gauge.of(graph(1.0), [{"features": rows[:2]}, {"features": rows[2:]}])
    assert gauge.error(graph(1.0)) == 0
    assert gauge.error(graph(1.25)) == pytest.approx(0.25)
    constant = Gauge.of(graph(0.0), [{"features": rows}])
    assert (constant.error(graph(0.0)), constant.error(graph(1.0))) == (0, float("inf"))


def test_answers_depend_on_batch_mates_when_activations_are_scaled_in_every_run(line, evaluator, calibration, tmp_path):
    effect = {}
    for name, one in PASSES.items():
        one().apply(line.bundle.model_path, tmp_path / f"{name}.onnx", calibration)
        effect[name] = evaluator.batch_effect(evaluator.predictor(tmp_path / f"{name}.onnx"))
    assert effect["static"] < 1e-6 < effect["dynamic"]


def pooled_by_a_vector(folder, *, is_deep: bool):
    """Writes a net that weighs the positions of a row by a vector, behind a layer if it is deep; returns its path."""
    nodes = [
        *([helper.make_node("MatMul", ["features", "layer"], ["hidden"], name="layer")] if is_deep else []),
        helper.make_node("MatMul", ["hidden" if is_deep else "features", "vector"], ["scores"], name="vector"),
        helper.make_node("Unsqueeze", ["scores", "axis"], ["weights"]),
        helper.make_node("MatMul", ["weights", "features"], ["pooled"], name="pooled"),
        helper.make_node("MatMul", ["pooled", "head"], ["out"], name="head"),
    ]
    drawn = np.random.default_rng(0)
    shapes = {**({"layer": (8, 8)} if is_deep else {}), "vector": (8,), "head": (8, 4)}
    weights = {name: drawn.normal(size=shape) for name, shape in shapes.items()} | {"axis": np.array([1])}
    return written(folder, nodes, weights, [(5, 8), (1, 4)])


def test_vectors_stay_fp32_when_activations_are_scaled_in_every_run(tmp_path):
    parent, out = pooled_by_a_vector(tmp_path, is_deep=True), tmp_path / "out.onnx"
    QuantizeDynamic().apply(parent, out, Calibration(lambda _: iter(()), 0))
    kinds = {one.name: one.data_type for one in onnx.load(out).graph.initializer}
    assert (kinds["layer_quantized"], kinds["vector"]) == (TensorProto.INT8, TensorProto.FLOAT)
    rows = np.random.default_rng(1).normal(size=(3, 5, 8)).astype(np.float32)
    before, after = answers(rows, parent, out)
    np.testing.assert_allclose(after, before, atol=0.05 * np.abs(before).max())


def test_vectors_are_quantised_when_their_scale_is_asked_for_and_refused_with_advice_before(tmp_path):
    parent, out = pooled_by_a_vector(tmp_path, is_deep=False), tmp_path / "out.onnx"
    nothing = Calibration(lambda _: iter(()), 0)
    with pytest.raises(ExportError, match=r"^No weights are matrices, .*Set per_channel=false[.]$"):
        QuantizeDynamic().apply(parent, out, nothing)
    QuantizeDynamic(per_channel=False).apply(parent, out, nothing)
    rows = np.random.default_rng(1).normal(size=(3, 5, 8)).astype(np.float32)
    before, after = answers(rows, parent, out)
    np.testing.assert_allclose(after, before, atol=0.05 * np.abs(before).max())


@pytest.mark.parametrize("name", PASSES)
def test_refusal_is_an_export_error_when_the_graph_has_no_weights(name, tmp_path):
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["batch", 2]) for end in ("features", "out")]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["features"], ["out"], name="relu")], "main", ends[:1], ends[1:]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), tmp_path / "in.onnx")
    model_inputs = Calibration(lambda _: iter([{"features": np.zeros((1, 2), dtype=np.float32)}]), 0)
    with pytest.raises(ExportError, match=r"The graph has no Conv, MatMul, Gemm"):
        PASSES[name]().apply(tmp_path / "in.onnx", tmp_path / "out.onnx", model_inputs)


@pytest.mark.parametrize(("settings", "kind"), [({}, TensorProto.FLOAT), ({"keep_stem": False}, TensorProto.INT8)])
def test_first_convolution_over_few_channels_stays_fp32_unless_it_is_not_kept(settings, kind, tmp_path):
    weights = {"stem": (8, 1, 3, 3), "second": (8, 8, 3, 3)}
    drawn = np.random.default_rng(0)
    ends = [("image", ["batch", 1, 8, 8]), ("out", ["batch", 8, 4, 4])]
    image, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends)
    nodes = [
        helper.make_node("Conv", ["image", "stem"], ["hidden"], name="stem"),
        helper.make_node("Conv", ["hidden", "second"], ["out"], name="second"),
    ]
    tensors = [
        onnx.numpy_helper.from_array(drawn.normal(size=shape).astype(np.float32), name)
        for name, shape in weights.items()
    ]
    graph = helper.make_graph(nodes, "two", [image], [out], tensors)
    parent, made = tmp_path / "parent.onnx", tmp_path / "made.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), parent)
    model_inputs = [{"image": drawn.normal(size=(4, 1, 8, 8)).astype(np.float32)}]
    QuantizeStatic(keep_head=False, **settings).apply(parent, made, Calibration(lambda _: iter(model_inputs), 0))
    found = {tuple(one.dims): one.data_type for one in onnx.load(made).graph.initializer if len(one.dims) == 4}
    assert found == {weights["stem"]: kind, weights["second"]: TensorProto.INT8}

"""Files of old opsets compute the same after they are brought to a recent one, and what does not is named."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, version_converter

from maas.errors import ExportError
from maas.onnx_graphs.opsets import modern, require_same_values
from tests.unit.onnx_graphs.old_graphs import FLOAT, floats, model_of, node


def answers(model: onnx.ModelProto, rows: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": rows})[0]


def resized(pixels: np.ndarray, scales: tuple, mode: str) -> np.ndarray:
    """Resize of opset 10, axis by axis: x = i / scale in float32; the pixel before or after x, or the line between."""
    found = pixels.astype(np.float64)
    for axis, scale in enumerate(np.float32(scales)):
        size = found.shape[axis]
        places = np.arange(int(size * scale), dtype=np.float32) / scale
        if scale == 1:
            continue
        if mode == "nearest":
            near = np.floor(places) if scale > 1 else np.ceil(places)
            found = found.take(near.astype(int).clip(0, size - 1), axis)
            continue
        below = np.floor(places).astype(int).clip(0, size - 1)
        shares = (places - below).clip(0, 1).reshape([-1 if one == axis else 1 for one in range(found.ndim)])
        found = found.take(below, axis) * (1 - shares) + found.take((below + 1).clip(0, size - 1), axis) * shares
    return found


SCALES = [(1, 1, 2, 2), (1, 1, 3, 1.5), (1, 1, 0.5, 0.4), (1, 1, 2.5, 0.6)]


@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize("scales", SCALES, ids=str)
@pytest.mark.parametrize("opset", [7, 9, 10])
def test_pixels_are_the_old_formulas_when_a_picture_was_resized_by_an_old_opset(mode, scales, opset):
    if opset < 10 and min(scales) < 1:
        scales = tuple(1 / one for one in scales) if max(scales) == 1 else (1, 1, 2.5, 1.2)  # Upsample only grows
    rows = floats(2, 3, 6, 7)
    held = {} if opset == 7 else {"s": np.float32(scales)}
    operator, settings = (
        ("Resize" if opset == 10 else "Upsample"),
        {"scales": list(map(float, scales))} if opset == 7 else {},
    )
    old = model_of(opset, [node(operator, ["x", *held], ["y"], mode=mode, **settings)], rows.shape, **held)
    expected = resized(rows, scales, mode)
    np.testing.assert_allclose(answers(old, rows), expected, atol=1e-5)
    for target in (13, 20):
        np.testing.assert_allclose(answers(modern(old, target, {"x": rows}), rows), expected, atol=1e-5)


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1, -2])
@pytest.mark.parametrize("rank", ["known", "unknown"])
def test_all_axes_from_one_on_count_when_probabilities_are_of_an_old_opset(operator, axis, rank):
    rows = floats(3, 4, 5)
    start = 1 if axis is None else axis % 3
    flat = rows.reshape(int(np.prod(rows.shape[:start])), -1).astype(np.float64)
    exponents = np.exp(flat - flat.max(axis=1, keepdims=True))
    soft = exponents / exponents.sum(axis=1, keepdims=True)
    hard = np.eye(flat.shape[1])[flat.argmax(axis=1)]
    expected = {"Softmax": soft, "LogSoftmax": np.log(soft), "Hardmax": hard}[operator].reshape(rows.shape)
    settings = {} if axis is None else {"axis": axis}
    hidden = [node("Reshape", ["x", "shape"], ["h"]), node(operator, ["h"], ["y"], **settings)]
    known = [node(operator, ["x"], ["y"], **settings)]
    old = model_of(11, known if rank == "known" else hidden, rows.shape, shape=np.array(rows.shape))
    if rank == "unknown":  # the shape is computed
        old.graph.node.insert(0, node("Identity", ["shape"], ["same"]))
        old.graph.node[1].input[1] = "same"
    for target in (13, 20):
        np.testing.assert_allclose(answers(modern(old, target, {"x": rows}), rows), expected, atol=1e-5)


def recurrent(gates: int) -> dict[str, np.ndarray]:
    return {"w": floats(1, gates * 4, 5), "r": floats(1, gates * 4, 4), "b": floats(1, 2 * gates * 4)}


NORM = {name: np.abs(floats(3)) for name in ("scale", "bias", "mean", "variance")}
POOL = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
LENS = {"lens": np.array([3, 6], np.int32)}
UNCHANGED = {
    "BatchNormalization-7": (7, [node("BatchNormalization", ["x", *NORM], ["y"], epsilon=1e-3)], (2, 3, 4, 5), NORM),
    "Dropout-7": (7, [node("Dropout", ["x"], ["y"], ratio=0.5)], (2, 3), {}),
    "Dropout-10": (10, [node("Dropout", ["x"], ["y"])], (2, 3), {}),
    "Clip-6": (8, [node("Clip", ["x"], ["y"], min=-0.5, max=0.25)], (4, 3), {}),
    "Clip-6 of one end": (10, [node("Clip", ["x"], ["y"], max=0.25)], (4, 3), {}),
    "Pad-2": (9, [node("Pad", ["x"], ["y"], pads=[0, 1, 2, 0], value=3.0)], (2, 3), {}),
    "Pad-2 reflected": (9, [node("Pad", ["x"], ["y"], pads=[0, 1, 0, 2], mode="reflect")], (2, 3), {}),
    "Squeeze-1": (9, [node("Squeeze", ["x"], ["y"], axes=[1])], (2, 1, 4), {}),
    "Squeeze-11 of all": (11, [node("Squeeze", ["x"], ["y"])], (2, 1, 4), {}),
    "Unsqueeze-1": (9, [node("Unsqueeze", ["x"], ["y"], axes=[0, 2])], (2, 4), {}),
    "AveragePool-7": (7, [node("AveragePool", ["x"], ["y"], count_include_pad=1, **POOL)], (2, 3, 5, 5), {}),
    "AveragePool-10": (10, [node("AveragePool", ["x"], ["y"], ceil_mode=1, **POOL)], (2, 3, 6, 6), {}),
    "MaxPool-10": (10, [node("MaxPool", ["x"], ["y"], ceil_mode=1, **POOL)], (2, 3, 6, 6), {}),
    "GRU-7": (7, [node("GRU", ["x", "w", "r", "b"], ["y"], hidden_size=4)], (6, 2, 5), recurrent(3)),
    "GRU-7 reset first": (
        7,
        [node("GRU", ["x", "w", "r", "b"], ["y"], hidden_size=4, linear_before_reset=1)],
        (6, 2, 5),
        recurrent(3),
    ),
    "GRU-7 of lengths": (
        7,
        [node("GRU", ["x", "w", "r", "b", "lens"], ["y"], hidden_size=4)],
        (6, 2, 5),
        {**recurrent(3), **LENS},
    ),
    "LSTM-7": (7, [node("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=4)], (6, 2, 5), recurrent(4)),
    "Slice-1": (9, [node("Slice", ["x"], ["y"], starts=[1, -3], ends=[9, -1], axes=[0, 2])], (2, 3, 4), {}),
    "TopK-1": (9, [node("TopK", ["x"], ["y", "places"], k=2, axis=1)], (2, 5), {}),
    "Split-2": (11, [node("Split", ["x"], ["z", "y"], axis=1, split=[2, 3])], (2, 5), {}),
    "ReduceSum-11": (11, [node("ReduceSum", ["x"], ["y"], axes=[1, -1], keepdims=0)], (2, 3, 4), {}),
    "ReduceL2-1": (7, [node("ReduceL2", ["x"], ["y"])], (2, 3, 4), {}),
    "PRelu-7": (7, [node("PRelu", ["x", "slope"], ["y"])], (2, 3, 4), {"slope": floats(3, 1)}),
    "Scatter-9": (
        9,
        [node("Scatter", ["x", "where", "what"], ["y"], axis=1)],
        (1, 5),
        {"where": np.array([[1, 3]]), "what": floats(1, 2)},
    ),
    "DepthToSpace-1": (7, [node("DepthToSpace", ["x"], ["y"], blocksize=2)], (1, 8, 2, 3), {}),
    "RoiAlign-10": (
        10,
        [node("RoiAlign", ["x", "regions", "of"], ["y"], output_height=2, output_width=2)],
        (1, 2, 6, 6),
        {"regions": np.float32([[0, 0, 4, 3]]), "of": np.array([0])},
    ),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_answers_stay_when_an_operator_is_of_an_old_opset(name):
    opset, nodes, shape, weights = UNCHANGED[name]
    rows = floats(*shape)
    old = model_of(opset, nodes, shape, **weights)
    np.testing.assert_allclose(answers(modern(old, 20, {"x": rows}), rows), answers(old, rows), rtol=1e-6, atol=1e-6)


def test_graphs_inside_are_converted_alike_when_a_branch_resizes():
    def branch(mode: str) -> onnx.GraphProto:
        ends = [helper.make_tensor_value_info("inner", FLOAT, None)]
        return helper.make_graph([node("Resize", ["x", "s"], ["inner"], mode=mode)], mode, [], ends)

    nodes = [
        node("ReduceMax", ["x"], ["largest"], keepdims=0),
        node("Greater", ["largest", "limit"], ["is_large"]),
        node("If", ["is_large"], ["y"], then_branch=branch("linear"), else_branch=branch("nearest")),
    ]
    scales = (1, 1, 1.5, 2)
    old = model_of(10, nodes, (1, 2, 4, 3), s=np.float32(scales), limit=np.float32(100))
    rows = floats(1, 2, 4, 3)
    for given, mode in ((rows, "nearest"), (rows + 1000, "linear")):
        np.testing.assert_allclose(answers(modern(old, 20), given), resized(given, scales, mode), rtol=1e-6, atol=1e-5)


def classifier(rows: np.ndarray) -> onnx.ModelProto:
    """Labels pictures by a product with what an Upsample of opset 9 makes of them."""
    nodes = [
        node("Upsample", ["x", "s"], ["large"], mode="linear", name="grow"),
        node("Flatten", ["large"], ["flat"]),
        node("MatMul", ["flat", "w"], ["y"]),
    ]
    width = 4 * int(np.prod(rows.shape[1:]))
    return model_of(9, nodes, ("N", *rows.shape[1:]), s=np.float32([1, 1, 2, 2]), w=floats(width, 10))


def test_no_label_changes_when_400_pictures_are_upsampled_though_the_plain_converter_changes_many():
    rows = floats(400, 1, 6, 6)
    old = classifier(rows)
    expected = answers(old, rows).argmax(axis=1)
    plain = answers(version_converter.convert_version(old, 20), rows).argmax(axis=1)
    assert (plain != expected).sum() > 100
    assert (answers(modern(old, 20, {"x": rows}), rows).argmax(axis=1) == expected).all()


def test_operator_is_named_when_a_conversion_changes_its_numbers():
    rows = floats(2, 1, 6, 6)
    old = classifier(rows)
    changed = modern(old, 20)
    next(one for one in changed.graph.node if one.op_type == "Resize").attribute[-2].s = b"align_corners"
    with pytest.raises(ExportError) as caught:
        require_same_values(old, changed, {"x": rows})
    assert str(caught.value).startswith(
        "Upsample of opset 9 (node grow) would give other numbers once it is converted, by up to "
    )
    assert str(caught.value).endswith(". Export the file again with a newer opset.")


def test_refusal_gives_the_reason_alone_when_an_operator_has_no_recent_form():
    normalised = node("BatchNormalization", ["x", *NORM], ["y"], spatial=0)
    old = model_of(7, [normalised], (2, 3), **NORM)
    with pytest.raises(ExportError) as caught:
        modern(old, 20)
    assert str(caught.value) == (
        "The file is of opset 7 and cannot be brought to 20: Attribute spatial must have value 1. Export it again with "
        "opset 13 or later."
    )

"""Graphs whose matrices lie in blocks, run by ONNX Runtime, against numpy's products with the same weights."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.numpy_helper import from_array

from maas.onnx_graphs.block_quantizing import as_held, block_matrices, embedding_names, in_blocks, with_open_weights
from maas.onnx_graphs.block_weights import eight_bit_matrix, four_bit_matrix
from maas.onnx_graphs.running import open_session

RANDOM = np.random.default_rng(0)


def graph(
    weights: dict[str, np.ndarray], nodes: list, value: str = "x", rank: int = 2, out: int = 1
) -> onnx.ModelProto:
    kind = TensorProto.INT64 if value == "ids" else TensorProto.FLOAT
    ends = [
        helper.make_tensor_value_info(value, kind, [f"axis{axis}" for axis in range(rank)]),
        helper.make_tensor_value_info("out", TensorProto.FLOAT, [None] * out),
    ]
    held = [from_array(array, name) for name, array in weights.items()]
    made = helper.make_graph(nodes, "main", ends[:1], ends[1:], held)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def run(model: onnx.ModelProto, value: np.ndarray) -> np.ndarray:
    session = open_session(model)
    return session.run(None, {session.get_inputs()[0].name: value})[0]


@pytest.mark.parametrize("make", [eight_bit_matrix, four_bit_matrix], ids=["8", "4"])
@pytest.mark.parametrize(("inputs", "block"), [(64, 32), (48, 32), (40, 16)])
@pytest.mark.parametrize("shape", [(1,), (3,), (2, 5)], ids=str)
def test_product_is_numpys_when_activations_stay_in_fp32(make, inputs, block, shape):
    weights, value = normal(inputs, 24), normal(*shape, inputs)
    model = graph({"w": weights}, [helper.make_node("MatMul", ["x", "w"], ["out"])], rank=value.ndim, out=value.ndim)
    matrix = make(block_matrices(model)["w"], block)
    found = run(in_blocks(model, {"w": matrix}, accuracy_level=0), value)
    np.testing.assert_allclose(found, value @ matrix.weights.T, atol=1e-4)


@pytest.mark.parametrize("trans", [0, 1])
def test_bias_is_added_when_a_gemm_is_held_in_blocks(trans):
    weights, bias, value = normal(64, 24), normal(24), normal(3, 64)
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["out"], transB=trans)]
    model = graph({"w": weights.T if trans else weights, "b": bias}, nodes, out=2)
    for make in (eight_bit_matrix, four_bit_matrix):
        matrix = make(block_matrices(model)["w"], 32)
        found = run(in_blocks(model, {"w": matrix}, accuracy_level=0), value)
        np.testing.assert_allclose(found, value @ matrix.weights.T + bias, atol=1e-4)


def rounded_product(value: np.ndarray, matrix) -> np.ndarray:
    """Returns the product as accuracy level 4 defines it: both factors whole numbers in each block, sums exact."""
    blocks = value.reshape(len(value), -1, matrix.block_size).astype(np.float64)
    steps = np.abs(blocks).max(axis=2, keepdims=True) / 127
    numbers = np.round(blocks / np.where(steps == 0, 1, steps))
    codes = matrix.codes.astype(np.float64) - 2 ** (matrix.bits - 1)
    sums = np.einsum("nbk,obk->nob", numbers, codes)
    found = np.einsum("nob,nb,ob->no", sums, steps[..., 0], matrix.scales.astype(np.float64))
    return found if matrix.offsets is None else found + blocks.sum(axis=2) @ matrix.offsets.T.astype(np.float64)


@pytest.mark.parametrize("make", [eight_bit_matrix, four_bit_matrix], ids=["8", "4"])
@pytest.mark.parametrize("rows", [1, 5])
def test_sums_of_whole_numbers_do_not_overflow_when_activations_are_rounded(make, rows):
    weights = np.sign(normal(256, 96)) * np.where(RANDOM.random((256, 96)) < 0.9, 1, 0.5).astype(np.float32)
    value = np.sign(normal(rows, 256)) * np.float32(2)
    value[0] = 2  # each sum of a block as large as it can be for some output
    weights[:, 0] = 1
    model = graph({"w": weights}, [helper.make_node("MatMul", ["x", "w"], ["out"])], out=2)
    matrix = make(block_matrices(model)["w"], 32)
    found = run(in_blocks(model, {"w": matrix}, accuracy_level=4), value)
    np.testing.assert_allclose(found, rounded_product(value, matrix), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("width", [64, 48])
def test_embedding_and_head_share_their_bytes_when_they_are_tied(width):
    weights, ids = normal(50, width), RANDOM.integers(0, 50, (2, 3))
    nodes = [helper.make_node("Gather", ["e", "ids"], ["rows"])]
    nodes += [helper.make_node("Reshape", ["rows", "flat"], ["two"])]
    nodes += [helper.make_node("Gemm", ["two", "e"], ["out"], transB=1)]
    shape = np.array([-1, width])
    model = graph({"e": weights, "flat": shape}, nodes, "ids", rank=2, out=2)
    assert embedding_names(model) == {"e"}
    matrix = eight_bit_matrix(block_matrices(model)["e"], 32)
    made = in_blocks(model, {"e": matrix}, accuracy_level=0)
    assert sum(50 in one.dims and one.data_type == TensorProto.UINT8 for one in made.graph.initializer) == 1
    assert not any(one.data_type == TensorProto.FLOAT and width in one.dims for one in made.graph.initializer)
    rows = matrix.weights[ids].reshape(-1, width)
    np.testing.assert_allclose(run(made, ids), rows @ matrix.weights.T, atol=1e-3)


def test_sums_of_blocks_are_shared_when_matrices_multiply_the_same_value():
    weights = {"a": normal(64, 24), "b": normal(64, 24)}
    nodes = [helper.make_node("MatMul", ["x", name], [f"{name}_out"]) for name in weights]
    model = graph(weights, [*nodes, helper.make_node("Add", ["a_out", "b_out"], ["out"])], out=2)
    held = {name: four_bit_matrix(one, 32) for name, one in block_matrices(model).items()}
    made = in_blocks(model, held, accuracy_level=0)
    kinds = [node.op_type for node in made.graph.node]
    assert (kinds.count("MatMulNBits"), kinds.count("MatMul")) == (2, 3)
    value = normal(3, 64)
    np.testing.assert_allclose(run(made, value), value @ (held["a"].weights + held["b"].weights).T, atol=1e-4)


def test_weights_are_exchanged_the_right_way_round_when_they_are_square():
    weights, other, value = normal(32, 32), normal(32, 32), normal(2, 32)
    model = graph({"w": weights}, [helper.make_node("MatMul", ["x", "w"], ["out"])], out=2)
    np.testing.assert_array_equal(block_matrices(model)["w"], weights.T)
    session = open_session(with_open_weights(model, {"w"}))
    found = session.run(None, {"x": value, **as_held(model, {"w": other})})[0]
    np.testing.assert_allclose(found, value @ other.T, atol=1e-5)
    np.testing.assert_allclose(session.run(None, {"x": value})[0], value @ weights, atol=1e-5)


@pytest.mark.parametrize(
    "nodes",
    [
        [helper.make_node("Mul", ["x", "w"], ["out"])],
        [helper.make_node("Gemm", ["x", "w"], ["out"], alpha=0.5)],
        [helper.make_node("MatMul", ["w", "x"], ["out"])],
        [helper.make_node("Gather", ["w", "x"], ["out"], axis=1)],
        [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Gemm", ["a", "w"], ["out"], transB=1)],
        [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Add", ["a", "w"], ["out"])],
    ],
    ids=["elementwise", "scaled", "on_the_left", "columns", "both_ways", "read_by_others"],
)
def test_matrix_is_left_alone_when_something_else_reads_it(nodes):
    assert block_matrices(graph({"w": normal(8, 8)}, nodes)) == {}

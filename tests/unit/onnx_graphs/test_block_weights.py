"""Matrices in blocks of few bits against the same numbers written out one by one."""

import numpy as np
import pytest

from maas.onnx_graphs.block_weights import eight_bit_matrix, four_bit_matrix

RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def on_a_grid(outputs: int, inputs: int, block: int, levels: int = 16) -> np.ndarray:
    """Returns weights as a file of GGUF's kind Q4_1 gives them: float16 scale and minimum, times whole numbers."""
    blocks = inputs // block
    scales = np.abs(RANDOM.normal(size=(outputs, blocks, 1))).astype(np.float16).astype(np.float32)
    lowest = RANDOM.normal(size=(outputs, blocks, 1)).astype(np.float16).astype(np.float32)
    numbers = RANDOM.integers(0, levels, (outputs, blocks, block)).astype(np.float32)
    return (scales * numbers + lowest).reshape(outputs, inputs)


@pytest.mark.parametrize("inputs", [64, 48, 7])
def test_eight_bits_are_steps_of_a_127th_of_the_largest_weight_when_they_are_written_out(inputs):
    weights = normal(5, inputs)
    found = eight_bit_matrix(weights, 32).weights
    assert found.shape == weights.shape
    for row in range(5):
        for start in range(0, inputs, 32):
            block = weights[row, start : start + 32].astype(np.float64)
            step = np.abs(block).max() / 127
            expected = step * np.round(block / step)
            np.testing.assert_allclose(found[row, start : start + 32], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("inputs", [64, 48, 7])
def test_four_bits_are_the_nearest_of_sixteen_levels_when_weights_lie_on_none(inputs):
    weights = normal(40, inputs)
    matrix = four_bit_matrix(weights, 32)
    for row in range(40):
        for start in range(0, inputs, 32):
            block = weights[row, start : start + 32].astype(np.float64)
            levels = np.linspace(block.min(), block.max(), 16)
            expected = levels[np.abs(block[:, None] - levels).argmin(axis=1)]
            np.testing.assert_allclose(matrix.weights[row, start : start + 32], expected, atol=1e-5)
    assert not matrix.holds(weights)


@pytest.mark.parametrize("levels", [16, 12, 2])
def test_nothing_is_lost_when_weights_had_four_bits_before(levels):
    weights = on_a_grid(20, 96, 32, levels)
    matrix = four_bit_matrix(weights, 32)
    assert matrix.holds(weights)
    assert matrix.codes.max() <= 15
    np.testing.assert_allclose(matrix.weights, weights, rtol=0, atol=2e-6 * np.abs(weights).max())


def test_nothing_is_lost_when_blocks_are_constant_or_zero():
    weights = on_a_grid(4, 64, 32)
    weights[0, :32], weights[1, 32:] = 0, 0.3
    for matrix in (four_bit_matrix(weights, 32), eight_bit_matrix(np.zeros((4, 64), np.float32), 32)):
        assert np.isfinite(matrix.weights).all()
    assert four_bit_matrix(weights, 32).holds(weights)
    assert not eight_bit_matrix(np.zeros((4, 64), np.float32), 32).weights.any()


def test_eight_bits_lose_nothing_when_weights_had_as_many_before():
    numbers = RANDOM.integers(-127, 128, (6, 2, 32)).astype(np.float32)
    numbers[..., 0] = 127
    weights = (numbers * np.float32(np.float16(0.013))).reshape(6, 64)
    assert eight_bit_matrix(weights, 32).holds(weights)


def test_one_block_off_the_grid_is_noticed_when_all_others_lie_on_it():
    weights = on_a_grid(30, 64, 32)
    weights[3, :32] = normal(32)
    assert not four_bit_matrix(weights, 32).holds(weights)


def test_lower_half_of_a_byte_is_the_first_code_when_four_bits_are_packed():
    matrix = four_bit_matrix(on_a_grid(3, 64, 32), 32)
    packed = matrix.packed
    assert (packed.shape, packed.dtype) == ((3, 2, 16), np.uint8)
    for index in np.ndindex(3, 2, 16):
        first, second = matrix.codes[(*index[:2], 2 * index[2])], matrix.codes[(*index[:2], 2 * index[2] + 1)]
        assert packed[index] == first + 16 * int(second)

"""Heads of attention made wider by zeros, for operators that take multiples of a size alone. The result is the same."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
HEAD_MULTIPLE = 16
"""What ONNX Runtime's GroupQueryAttention takes multiples of."""


def padded_size(size: int) -> int:
    """Returns the size of a head that the operator takes.

    Example:
        >>> padded_size(24), padded_size(64)
        (32, 64)
    """
    return -(-size // HEAD_MULTIPLE) * HEAD_MULTIPLE


def with_padded_heads(weights: Mapping[str, Matrix], size: int) -> dict[str, Matrix]:
    """Returns weights of attention whose heads have the padded size; others stay.

    Value i of a head is turned with value i + size / 2, so that zeros follow each half. Queries and keys are zero there
    in both, which adds nothing to their product; values are zero there, and so is what reads them.

    Args:
        weights: by their names in transformers' Llama; matrices are (outputs, inputs).
        size: size of a head, even.
    """
    return {name: _padded(name, values, size) for name, values in weights.items()}


def padded_frequencies(frequencies: Matrix) -> Matrix:
    """Returns frequencies of rotation, (size / 2,), with zeros for the padding."""
    more = padded_size(2 * len(frequencies)) // 2 - len(frequencies)
    return np.pad(frequencies, (0, more))


def without_padding(values: Matrix, size: int) -> Matrix:
    """Returns heads (heads · padded size, …) without the zeros that padding put after each half, (heads · size, …).

    Args:
        values: heads of the padded size.
        size: size of a head, even.
    """
    halves = values.reshape(-1, 2, padded_size(size) // 2, *values.shape[1:])
    return halves[:, :, : size // 2].reshape(-1, *values.shape[1:])


def _padded(name: str, values: Matrix, size: int) -> Matrix:
    if name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight", "q_proj.bias", "k_proj.bias", "v_proj.bias")):
        return _spread(values, size)
    return _spread(values.T, size).T if name.endswith("o_proj.weight") else values


def _spread(values: Matrix, size: int) -> Matrix:
    """Returns values (heads · size, …) as (heads · padded size, …), zeros after each half of a head."""
    halves = values.reshape(-1, 2, size // 2, *values.shape[1:])
    more = (padded_size(size) - size) // 2
    padded = np.pad(halves, [(0, 0), (0, 0), (0, more), *((0, 0) for _ in values.shape[1:])])
    return padded.reshape(-1, *values.shape[1:])

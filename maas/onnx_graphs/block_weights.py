"""Matrices in whole numbers of 4 or 8 bits, a scale for each block of neighbouring weights: what MatMulNBits holds.

Four bits have an offset beside the scale. So a matrix whose weights were rounded to 16 levels in each block before it
came here, as files of GGUF's kinds Q4_0 and Q4_1 are, is held without any loss.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maas.onnx_graphs.head_padding import Matrix

Bits = Literal[4, 8]

MOST_STEPS = 15
"""Steps between the smallest and the largest of 16 levels."""
LARGEST_ROUNDING = 1e-6
"""Largest difference of a weight that is held exactly, as a fraction of its block's largest one: rounding alone."""
PROBED_BLOCKS = 256
"""Blocks by which it is seen whether a matrix was rounded before."""


@dataclass(frozen=True)
class BlockMatrix:
    """A matrix w = scale · (code − 2^(bits − 1)) + offset, with a scale and an offset for each block.

    Args:
        codes: uint8 (outputs, blocks, block_size); a last block that is not full is padded.
        scales: (outputs, blocks).
        offsets: (outputs, blocks); None for 0.
        bits: number of bits of a code.
        inputs: number of inputs, without padding.
    """

    codes: NDArray[np.uint8]
    scales: Matrix
    offsets: Matrix | None
    bits: Bits
    inputs: int

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return len(self.codes)

    @property
    def block_size(self) -> int:
        """Number of weights that share a scale."""
        return int(self.codes.shape[2])

    @property
    def packed(self) -> NDArray[np.uint8]:
        """The codes in memory, (outputs, blocks, bytes): of two codes of four bits in a byte, the first is lower."""
        if self.bits == 8:
            return self.codes
        return (self.codes[..., 0::2] | self.codes[..., 1::2] << 4).astype(np.uint8)

    @property
    def weights(self) -> Matrix:
        """The weights, (outputs, inputs)."""
        found: Matrix = self.scales[..., None] * (self.codes.astype(np.float32) - 2 ** (self.bits - 1))
        if self.offsets is not None:
            found += self.offsets[..., None]
        return found.reshape(self.outputs, -1)[:, : self.inputs]

    def holds(self, weights: Matrix) -> bool:
        """Whether a matrix, (outputs, inputs), is held without loss, but for the rounding of float32."""
        largest = np.abs(_blocks(weights, self.block_size)).max(axis=2, keepdims=True)
        difference = np.abs(_blocks(self.weights, self.block_size) - _blocks(weights, self.block_size))
        return bool((difference <= LARGEST_ROUNDING * largest).all())


def eight_bit_matrix(weights: Matrix, block_size: int) -> BlockMatrix:
    """Returns a matrix in 8 bits: the largest weight of a block is 127 steps from 0, and each is rounded to a step.

    Args:
        weights: (outputs, inputs).
        block_size: number of weights along the inputs that share a scale.
    """
    blocks = _blocks(weights, block_size)
    scales = np.abs(blocks).max(axis=2) / np.float32(127)
    codes = np.rint(_divided(blocks, scales)) + 128
    return BlockMatrix(codes.astype(np.uint8), scales, None, 8, weights.shape[1])


def four_bit_matrix(weights: Matrix, block_size: int) -> BlockMatrix:
    """Returns a matrix in 4 bits: of 16 levels from the smallest weight of a block to the largest, the nearest each.

    Where a block's weights lie on 16 levels or fewer already, these levels are found, and nothing is lost.

    Args:
        weights: (outputs, inputs).
        block_size: number of weights along the inputs that share a scale and an offset.
    """
    blocks = _blocks(weights, block_size)
    lowest, highest = blocks.min(axis=2), blocks.max(axis=2)
    scales = (highest - lowest) / _steps(blocks)
    codes = np.rint(_divided(blocks - lowest[..., None], scales))
    return BlockMatrix(codes.astype(np.uint8), scales, lowest + 8 * scales, 4, weights.shape[1])


def _steps(blocks: Matrix) -> Matrix:
    """Returns how many steps lie between a block's smallest and largest weight, (outputs, blocks).

    The most, up to 15, that all of its weights lie on; 15 where they lie on none.
    """
    found = np.full(blocks.shape[:2], MOST_STEPS, np.float32)
    flat, steps = blocks.reshape(-1, blocks.shape[2]), found.reshape(-1)
    probed = flat[np.linspace(0, len(flat) - 1, min(PROBED_BLOCKS, len(flat))).astype(int)]
    if np.any([_lies_on(probed, count) for count in range(1, MOST_STEPS + 1)], axis=0).mean() < 0.5:
        return found
    left = np.arange(len(flat))
    for count in range(MOST_STEPS, 0, -1):
        on = _lies_on(flat[left], count)
        steps[left[on]] = count
        left = left[~on]
    return found


def _lies_on(blocks: Matrix, count: int) -> NDArray[np.bool_]:
    """Returns for each of some blocks, (N, block_size), whether its weights lie on `count` equal steps."""
    lowest = blocks.min(axis=1, keepdims=True)
    scale = (blocks.max(axis=1, keepdims=True) - lowest) / np.float32(count)
    levels = lowest + scale * np.rint(_divided(blocks - lowest, scale[:, 0]))
    is_on: NDArray[np.bool_] = np.abs(levels - blocks) <= LARGEST_ROUNDING * np.abs(blocks).max(axis=1, keepdims=True)
    return np.asarray(is_on.all(axis=1))


def _blocks(weights: Matrix, block_size: int) -> Matrix:
    """Returns a matrix as (outputs, blocks, block_size); its last weights fill the last block."""
    padded = np.pad(weights, ((0, 0), (0, -weights.shape[1] % block_size)), mode="edge")
    return padded.reshape(len(weights), -1, block_size)


def _divided(blocks: Matrix, scales: Matrix) -> Matrix:
    """Returns blocks divided by their scales; 0 where a scale is."""
    return blocks / np.where(scales == 0, np.float32(1), scales).astype(np.float32)[..., None]

"""What an imported model wants done to pixels first, held in the graph."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.bounds import Positive
from maas.onnx_graphs.building import GraphBuilder


class PixelScaling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Turns uint8 pixels into what nets for pictures are usually trained on: (scale · pixel - mean) / deviation.

    Args:
        scale: factor of pixels from 0 to 255.
        mean: mean of each channel, after scaling; one number for all of them.
        deviation: deviation of each channel, after scaling; one number for all of them.
        channels_first: (N, C, H, W) as torch has it, instead of (N, H, W, C) as Keras does.

    Example:
        >>> Pixels(mean=(0.5,), deviation=(0.5,)).prepared(np.full((1, 2, 2, 3), 255, np.uint8)).max()
        np.float32(1.0)
    """

    scale: Positive = 1 / 255
    mean: Sequence[float] = (0.0,)
    deviation: Sequence[Positive] = (1.0,)
    channels_first: bool = True

    def prepared(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Returns float32 pixels, scaled and turned.

        Args:
            pixels: (N, H, W, C).
        """
        factor, offset = self._line()
        scaled = pixels.astype(np.float32) * factor + offset
        return scaled.transpose(0, 3, 1, 2) if self.channels_first else scaled

    def add_nodes(self, builder: GraphBuilder, model_input: str) -> str:
        """Adds the nodes that do so, and returns the name of what they give."""
        factor, offset = self._line()
        scaled = builder.add("Mul", builder.add("Cast", model_input, to=1), builder.constant(factor, np.float32))
        scaled = builder.add("Add", scaled, builder.constant(offset, np.float32))
        return builder.add("Transpose", scaled, perm=[0, 3, 1, 2]) if self.channels_first else scaled

    def _line(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns factor and offset of each channel, (C,) or (1,)."""
        deviation = np.array(self.deviation)
        return (self.scale / deviation).astype(np.float32), (-np.array(self.mean) / deviation).astype(np.float32)

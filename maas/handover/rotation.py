"""How a decoder rotates positions, as other engines name it: by a base and a factor, instead of each frequency."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maas.errors import ExportError

USUAL_BASE = 10_000.0
ROUNDING = 2e-6
"""Largest relative difference of a frequency or a base: what float32 leaves of them."""


@dataclass(frozen=True)
class Rotation:
    """Frequency i is base^(−2i / head_size) / factor, in radians a position.

    Args:
        base: `rope_theta` of Hugging Face, `rope.freq_base` of GGUF.
        factor: what positions are divided by; 1 where they are not.
    """

    base: float
    factor: float = 1.0

    @classmethod
    def of(cls, frequencies: NDArray[np.float32]) -> "Rotation":
        """Finds base and factor.

        Args:
            frequencies: (head_size / 2,).

        Raises:
            ExportError: there are none that give these frequencies.
        """
        found = frequencies.astype(np.float64)
        factor = _plain(1 / found[0])
        pairs = len(found)
        base = USUAL_BASE if pairs == 1 else _plain((found[0] / found[-1]) ** (pairs / (pairs - 1)))
        rotation = cls(base, factor)
        if not np.allclose(rotation.frequencies(pairs), found, rtol=ROUNDING, atol=0):
            raise ExportError(
                "The decoder turns positions neither by a base alone nor by a base and a factor; Llama 3.1 scales each "
                "frequency. Such a model is handed over by the folder of Hugging Face that it came from."
            )
        return rotation

    def frequencies(self, pairs: int) -> NDArray[np.float64]:
        """Returns the frequencies of so many pairs of values, (pairs,)."""
        return np.asarray(self.base ** -(np.arange(pairs) / pairs) / self.factor)


def _plain(value: float) -> float:
    """Returns the number of the fewest digits that a value is but for rounding."""
    shown = (float(f"{value:.{digits}g}") for digits in range(1, 8))
    return next((one for one in shown if abs(one - value) <= ROUNDING * value), value)

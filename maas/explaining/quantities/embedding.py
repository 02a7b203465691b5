"""How near a vector stays to that of the whole row."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.explaining.quantities.base import Quantity
from maas.runtime.codec import Outputs

SHORTEST = 1e-12
"""Lengths are taken to be at least this: a vector of zeros has the cosine 0 to every other."""


class EmbeddingQuantity(Quantity):
    """The cosine to the whole row's vector, in [-1, 1]."""

    name: ClassVar[str] = "cosine"

    def __init__(self, postprocessor: object, outputs: Outputs, label: str | None) -> None:
        super().__init__(postprocessor, outputs, label)
        (self._whole,) = _directions(outputs["embedding"])

    def values(self, outputs: Outputs) -> NDArray[np.float64]:
        """Returns the cosines, (N,)."""
        cosines: NDArray[np.float64] = _directions(outputs["embedding"]) @ self._whole
        return cosines


def _directions(vectors: NDArray[Any]) -> NDArray[np.float64]:
    vectors = vectors.astype(np.float64)
    directions: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=SHORTEST)
    return directions

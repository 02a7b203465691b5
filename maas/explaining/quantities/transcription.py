"""How probable the path stays that the whole row is read by."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.explaining.quantities.base import Quantity
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.transcription import TranscriptionPostprocessor

LEAST_OF_FRAME = 1e-7
"""Probabilities are taken to be at least this, so that one frame cannot outweigh all others."""


class TranscriptionQuantity(Quantity):
    """Σ ln p over the frames, of the symbols that the whole row is read by; 0 where all of them are certain."""

    name: ClassVar[str] = "log-probability"

    def __init__(self, postprocessor: TranscriptionPostprocessor, outputs: Outputs, label: str | None) -> None:
        super().__init__(postprocessor, outputs, label)
        self._path = outputs["probabilities"][0].argmax(axis=1)

    def values(self, outputs: Outputs) -> NDArray[np.float64]:
        """Returns the logarithms, (N,)."""
        frames = np.arange(len(self._path))
        chosen = outputs["probabilities"][:, frames, self._path].astype(np.float64)
        values: NDArray[np.float64] = np.log(chosen.clip(min=LEAST_OF_FRAME)).sum(axis=1)
        return values

"""The log-odds of one label."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError
from maas.explaining.quantities.base import Quantity
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.classification import ClassificationPostprocessor, decided

SMALLEST = 1e-7
"""Probabilities are taken to be at least this, about a float32's distance from 1: log-odds stay within ±16.1."""
SHOWN_LABELS = 10


class ClassificationQuantity(Quantity):
    """log(p / (1 − p)) of a label; on it a logistic model is additive, which the probability itself is not."""

    name: ClassVar[str] = "log-odds"

    def __init__(self, postprocessor: ClassificationPostprocessor, outputs: Outputs, label: str | None) -> None:
        self._index = (
            int(decided(outputs["probabilities"], postprocessor.thresholds)[0])
            if label is None
            else label_position(postprocessor.labels, label)
        )
        self.label = postprocessor.labels[self._index]

    def values(self, outputs: Outputs) -> NDArray[np.float64]:
        """Returns the log-odds, (N,); 1 − p is the sum of the others, which float32 holds better than p near 1."""
        probabilities = outputs["probabilities"].astype(np.float64)
        own = probabilities[:, self._index]
        others = np.delete(probabilities, self._index, axis=1).sum(axis=1)
        log_odds: NDArray[np.float64] = np.log(own.clip(min=SMALLEST)) - np.log(others.clip(min=SMALLEST))
        return log_odds


def label_position(labels: tuple[str, ...], label: str) -> int:
    """Returns the position of a label; raises InputError where the model does not know it."""
    if label not in labels:
        known = ", ".join(labels[:SHOWN_LABELS]) + (", …" if len(labels) > SHOWN_LABELS else "")
        raise InputError(f"label is {label!r}; the model knows {len(labels)} labels: {known}.")
    return labels.index(label)

"""A set of K labels, with the probability of each."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.bounds import PositiveFraction
from maas.records.signature import TensorSpec
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.base import Postprocessor

HALF = 0.5
"""From which probability on a label is predicted, where no threshold was chosen."""


def predicted_members(probabilities: NDArray[Any], thresholds: Sequence[float]) -> NDArray[np.bool_]:
    """Returns which labels each row has, (N, K): those whose probability reaches their threshold.

    Args:
        probabilities: (N, K).
        thresholds: K, or none for a half.
    """
    limits = np.asarray(thresholds or HALF, dtype=np.float64)
    members: NDArray[np.bool_] = probabilities >= limits
    return members


class MultilabelPostprocessor(Postprocessor):
    """Names every label whose probability reaches its threshold, in the order of the labels; there may be none.

    The graph's output is `probabilities`, float32 (N, K), each between 0 and 1 by itself.

    Args:
        labels: the K names, in the order of the graph's output.
        thresholds: one of each label; none for a half.

    Raises:
        ValueError: there is no label, one is there twice, or thresholds are too many or too few.
    """

    kind: ClassVar[str] = "multilabel"
    output: ClassVar[str] = "probabilities"

    def __init__(self, labels: Sequence[str], thresholds: Sequence[PositiveFraction] = ()) -> None:
        self.labels = tuple(labels)
        self.thresholds = tuple(thresholds)
        if not self.labels:
            raise ValueError("it has no labels")
        if twice := [label for label, count in Counter(self.labels).items() if count > 1]:
            raise ValueError(f"the label {twice[0][:100]!r} is there twice")
        if self.thresholds and len(self.thresholds) != len(self.labels):
            raise ValueError(f"it has {len(self.thresholds)} thresholds for {len(self.labels)} labels")

    def predictions(self, outputs: Outputs) -> list[dict[str, Any]]:
        """Returns `{"labels": [name, …], "scores": {name: probability, …}}` for each row."""
        probabilities = outputs["probabilities"]
        members = predicted_members(probabilities, self.thresholds).tolist()
        return [
            {
                "labels": [label for label, is_there in zip(self.labels, row, strict=True) if is_there],
                "scores": dict(zip(self.labels, scores, strict=True)),
            }
            for row, scores in zip(members, probabilities.tolist(), strict=True)
        ]

    def tensors(self, outputs: Outputs) -> dict[str, NDArray[Any]]:
        """Returns predicted, bool (N, K), and probabilities (N, K)."""
        probabilities = outputs["probabilities"]
        return {"predicted": predicted_members(probabilities, self.thresholds), "probabilities": probabilities}

    def scores(self, outputs: Outputs) -> NDArray[Any]:
        """Returns the probabilities, (N, K)."""
        return outputs["probabilities"]

    def ties(self, golden: NDArray[np.float64], allowed: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Returns for which rows a probability is so close to its threshold that its label may be there or not."""
        is_close = np.abs(golden - np.array(self.thresholds or HALF)) <= allowed
        return np.asarray(is_close.any(axis=1))

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """Which labels are predicted, and the probabilities."""
        width = len(self.labels)
        return (TensorSpec("predicted", "BOOL", (-1, width)), TensorSpec("probabilities", "FP32", (-1, width)))

    def record(self) -> dict[str, Any]:
        """Kind and labels, and thresholds where there are any."""
        thresholds = {"thresholds": list(self.thresholds)} if self.thresholds else {}
        return {"kind": self.kind, "labels": list(self.labels), **thresholds}

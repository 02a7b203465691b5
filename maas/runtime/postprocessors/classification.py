"""One of K labels, with its probability."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.bounds import PositiveFraction
from maas.records.signature import TensorSpec
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.base import Postprocessor


def decided(probabilities: NDArray[Any], thresholds: Sequence[float]) -> NDArray[np.int64]:
    """Returns the position of each row's label, (N,).

    Without thresholds that is the most probable one. With the threshold of the second of two labels, it is the second
    from there on; with one of each label, the one whose probability is the largest multiple of its threshold. Of equal
    ones the first wins.

    Args:
        probabilities: (N, K).
        thresholds: none, one, or K.
    """
    limits = np.asarray(thresholds, dtype=np.float64)
    if len(limits) == 1:
        return np.asarray(probabilities[:, 1] >= limits, dtype=np.int64)
    labels: NDArray[np.int64] = (probabilities / limits if thresholds else probabilities).argmax(axis=1)
    return labels


class ClassificationPostprocessor(Postprocessor):
    """Names the most probable label, or one by thresholds, as `decided` has it.

    The graph's output is `probabilities`, float32 (N, K).

    Args:
        labels: the K names, in the order of the graph's output.
        thresholds: that of the second of two labels, or one of each label; none for the most probable label.

    Raises:
        ValueError: there is none, one is there twice, or thresholds are too many or too few.
    """

    kind: ClassVar[str] = "classification"
    output: ClassVar[str] = "probabilities"

    def __init__(self, labels: Sequence[str], thresholds: Sequence[PositiveFraction] = ()) -> None:
        self.labels = tuple(labels)
        if not self.labels:
            raise ValueError("it has no labels")
        if twice := [label for label, count in Counter(self.labels).items() if count > 1]:
            raise ValueError(f"the label {twice[0][:100]!r} is there twice")
        self.thresholds = tuple(thresholds)
        wanted = {1: 0, 2: 1}.get(len(self.labels), len(self.labels))
        if self.thresholds and len(self.thresholds) != wanted:
            raise ValueError(
                f"it has {len(self.thresholds)} thresholds for {len(self.labels)} labels, which take {wanted}"
            )
        self._names = np.array(self.labels, dtype=object)

    def predictions(self, outputs: Outputs) -> list[dict[str, Any]]:
        """Returns `{"label": name, "score": probability}` for each row."""
        probabilities = outputs["probabilities"]
        if len(probabilities) == 1 and not self.thresholds:
            place = int(probabilities.argmax())
            return [{"label": self.labels[place], "score": probabilities.item(place)}]
        best, scores = self._best(probabilities)
        return [
            {"label": self.labels[index], "score": score}
            for index, score in zip(best.tolist(), scores.tolist(), strict=True)
        ]

    def tensors(self, outputs: Outputs) -> dict[str, NDArray[Any]]:
        """Returns label (N,), score (N,) and probabilities (N, K)."""
        probabilities = outputs["probabilities"]
        if len(probabilities) == 1 and not self.thresholds:  # without copies, as one row is what most callers send
            place = int(probabilities.argmax())
            one = slice(place, place + 1)
            return {"label": self._names[one], "score": probabilities[0, one], "probabilities": probabilities}
        best, scores = self._best(probabilities)
        return {
            "label": self._names[best],
            "score": scores,
            "probabilities": probabilities,
        }

    def scores(self, outputs: Outputs) -> NDArray[Any]:
        """Returns the probabilities, (N, K)."""
        return outputs["probabilities"]

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """Label, score and probabilities."""
        return (
            TensorSpec("label", "BYTES", (-1,)),
            TensorSpec("score", "FP32", (-1,)),
            TensorSpec("probabilities", "FP32", (-1, len(self.labels))),
        )

    def record(self) -> dict[str, Any]:
        """Kind and labels, and thresholds where there are any."""
        thresholds = {"thresholds": list(self.thresholds)} if self.thresholds else {}
        return {"kind": self.kind, "labels": list(self.labels), **thresholds}

    def ties(self, golden: NDArray[np.float64], allowed: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Returns for which rows two labels are so close that they may have changed places, (N,)."""
        if len(self.thresholds) == 1:
            is_close: NDArray[np.bool_] = np.abs(golden[:, 1] - self.thresholds[0]) <= allowed[:, 1]
            return is_close
        limits = np.array(self.thresholds or 1.0)
        return super().ties(golden / limits, allowed / limits)

    def _best(self, probabilities: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Returns each row's label and its probability, (N,) both."""
        best = decided(probabilities, self.thresholds)
        return best, probabilities[np.arange(len(best)), best]


def thresholds_by_label(postprocessor: Postprocessor) -> dict[str, float]:
    """Returns from which probability on each label is predicted; nothing where there are no thresholds."""
    named = postprocessor.labels[-len(postprocessor.thresholds) :] if postprocessor.thresholds else ()
    return dict(zip(named, postprocessor.thresholds, strict=True))

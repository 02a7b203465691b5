"""One of K labels, with its probability."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.records.signature import TensorSpec
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.base import Postprocessor


class ClassificationPostprocessor(Postprocessor):
    """Names the most probable label.

    The graph's output is `probabilities`, float32 (N, K). Of equal probabilities the first label wins.

    Args:
        labels: the K names, in the order of the graph's output.

    Raises:
        ValueError: there is none, or one is there twice.
    """

    kind: ClassVar[str] = "classification"
    output: ClassVar[str] = "probabilities"

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        if not self.labels:
            raise ValueError("it has no labels")
        if twice := [label for label, count in Counter(self.labels).items() if count > 1]:
            raise ValueError(f"the label {twice[0][:100]!r} is there twice")
        self._names = np.array(self.labels, dtype=object)

    def predictions(self, outputs: Outputs) -> list[dict[str, Any]]:
        """Returns `{"label": name, "score": probability}` for each row."""
        probabilities = outputs["probabilities"]
        if len(probabilities) == 1:
            place = int(probabilities.argmax())
            return [{"label": self.labels[place], "score": probabilities.item(place)}]
        best = probabilities.argmax(axis=1)
        scores = probabilities.max(axis=1)
        return [
            {"label": self.labels[index], "score": score}
            for index, score in zip(best.tolist(), scores.tolist(), strict=True)
        ]

    def tensors(self, outputs: Outputs) -> dict[str, NDArray[Any]]:
        """Returns label (N,), score (N,) and probabilities (N, K)."""
        probabilities = outputs["probabilities"]
        if len(probabilities) == 1:  # without copies, as one row is what most callers send
            place = int(probabilities.argmax())
            one = slice(place, place + 1)
            return {"label": self._names[one], "score": probabilities[0, one], "probabilities": probabilities}
        best = probabilities.argmax(axis=1)
        return {
            "label": self._names[best],
            "score": probabilities.max(axis=1),
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
        """Kind and labels."""
        return {"kind": self.kind, "labels": list(self.labels)}

"""One number a row."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.bounds import Positive
from maas.records.signature import TensorSpec
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.base import Postprocessor

STEPS = 4
"""Of float32, that a value may be away: a sum of several numbers is rounded several times."""


class RegressionPostprocessor(Postprocessor):
    """Gives y = μ + σ·z in the target's own unit, in float64. The graph's output z is `value`, float32 (N,).

    Float32 itself separates values near 1.7e9 only where 128 lie between them.

    Args:
        mean: μ; 0 where the graph gives the target's own unit.
        deviation: σ > 0; 1 likewise.
    """

    kind: ClassVar[str] = "regression"
    output: ClassVar[str] = "value"

    def __init__(self, mean: float = 0.0, deviation: Positive = 1.0) -> None:
        self.mean = float(mean)
        self.deviation = float(deviation)

    def values(self, outputs: Outputs) -> NDArray[np.float64]:
        """Returns the values in the target's own unit, (N,)."""
        return self.mean + self.deviation * outputs["value"].astype(np.float64)

    def predictions(self, outputs: Outputs) -> list[dict[str, Any]]:
        """Returns `{"value": number}` for each row."""
        return [{"value": value} for value in self.values(outputs).tolist()]

    def tensors(self, outputs: Outputs) -> dict[str, NDArray[Any]]:
        """Returns value (N,)."""
        return {"value": self.values(outputs)}

    def scores(self, outputs: Outputs) -> NDArray[np.float64]:
        """Returns the values, (N, 1)."""
        return self.values(outputs)[:, None]

    def scale(self, scores: NDArray[Any]) -> float:
        """Returns σ, or the largest distance from μ if that is more; of values in the target's own unit the largest."""
        if (self.mean, self.deviation) == (0.0, 1.0):
            return largest(scores)
        return max(self.deviation, largest(scores - self.mean))

    def tolerated(self, golden: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
        """Returns `tolerance` standard deviations of the targets and `STEPS` of float32 at each of the graph's numbers.

        Where the graph gives the target's own unit, the deviation is that of the golden scores.
        """
        deviation = float(golden.std()) if (self.mean, self.deviation) == (0.0, 1.0) else self.deviation
        with np.errstate(over="ignore", invalid="ignore"):  # what float32 does not hold is no answer of this graph
            given = np.abs((golden - self.mean) / self.deviation).astype(np.float32)
            steps = self.deviation * np.spacing(given).astype(np.float64)
        return tolerance * deviation + STEPS * steps

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """The value."""
        return (TensorSpec("value", "FP64", (-1,)),)

    def record(self) -> dict[str, Any]:
        """Kind, mean and deviation."""
        return {"kind": self.kind, "mean": self.mean, "deviation": self.deviation}


def largest(values: NDArray[Any]) -> float:
    """Returns the largest size of values, which float32 has seven digits of; 1 where all are 0."""
    return float(np.abs(values).max()) or 1.0

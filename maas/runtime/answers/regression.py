"""One number a row."""

from typing import Any, ClassVar

from numpy.typing import NDArray

from maas.runtime.answers.base import BaseAnswer, Outputs
from maas.runtime.signature import TensorSpec


class Answer(BaseAnswer):
    """Gives the graph's number as it is. The graph's output is `value`, float32 (N,), in the target's own unit."""

    kind: ClassVar[str] = "regression"
    output: ClassVar[str] = "value"

    def answers(self, outputs: Outputs) -> list[dict[str, Any]]:
        """Returns `{"value": number}` for each row."""
        return [{"value": value} for value in outputs["value"].tolist()]

    def tensors(self, outputs: Outputs) -> dict[str, NDArray[Any]]:
        """Returns value (N,)."""
        return {"value": outputs["value"]}

    def predictions(self, outputs: Outputs) -> NDArray[Any]:
        """Returns the values, (N, 1)."""
        return outputs["value"][:, None]

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """The value."""
        return (TensorSpec("value", "FP32", (-1,)),)

    def record(self) -> dict[str, Any]:
        """The kind; there is nothing to set."""
        return {"kind": self.kind}

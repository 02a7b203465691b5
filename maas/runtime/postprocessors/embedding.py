"""A vector a row, of length 1, so that the cosine of two rows is the product of their vectors."""

from typing import Any, ClassVar

from numpy.typing import NDArray

from maas.records.signature import TensorSpec
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.base import Postprocessor


class EmbeddingPostprocessor(Postprocessor):
    """Gives the graph's vectors as they are. The graph's output is `embedding`, float32 (N, D).

    Args:
        width: D.
    """

    kind: ClassVar[str] = "embedding"
    output: ClassVar[str] = "embedding"

    def __init__(self, width: int) -> None:
        self.width = width

    def predictions(self, outputs: Outputs) -> list[dict[str, Any]]:
        """Returns `{"embedding": [D numbers]}` for each row."""
        return [{"embedding": vector} for vector in outputs["embedding"].tolist()]

    def tensors(self, outputs: Outputs) -> dict[str, NDArray[Any]]:
        """Returns embedding (N, D)."""
        return {"embedding": outputs["embedding"]}

    def scores(self, outputs: Outputs) -> NDArray[Any]:
        """Returns the vectors, (N, D)."""
        return outputs["embedding"]

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """The vector."""
        return (TensorSpec("embedding", "FP32", (-1, self.width)),)

    def record(self) -> dict[str, Any]:
        """Kind and length."""
        return {"kind": self.kind, "width": self.width}

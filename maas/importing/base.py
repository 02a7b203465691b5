"""What a model that was made elsewhere can do."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from maas.data.splits import Splits
from maas.runtime.processors import BaseProcessor


class ForeignModel(ABC):
    """A model of another framework: it answers by that framework, and writes itself as ONNX.

    `framework` is what messages and the evidence call it.
    """

    framework: ClassVar[str]

    @abstractmethod
    def fit(self, splits: Splits, processor: BaseProcessor) -> Self:
        """Returns a model that has learnt from the training split, if it has anything to learn; itself otherwise."""

    @abstractmethod
    def outputs(self, feeds: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Returns the framework's own answer to a processor's feeds, in the terms of the graph's output."""

    @abstractmethod
    def write_onnx(
        self,
        out: Path,
        *,
        examples: Mapping[str, NDArray[Any]],
        axes: Mapping[str, Mapping[int, str]],
        output: str,
        opset: int,
    ) -> None:
        """Writes one ONNX file with the feeds' names and one output; the same bytes on every run."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes what `load` needs to `folder`; no pickle."""

    @classmethod
    @abstractmethod
    def load(cls, arguments: Mapping[str, Any], folder: Path) -> Self:
        """Opens what `save` wrote.

        Args:
            arguments: of the recipe's `model`.
            folder: where it was saved.
        """

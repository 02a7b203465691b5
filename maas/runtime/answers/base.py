"""What every kind of answer can do, and how a bundle's kind is found."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from numpy.typing import NDArray

from maas.errors import BundleError
from maas.runtime.kinds import opened
from maas.runtime.signature import TensorSpec

Outputs = Mapping[str, NDArray[Any]]


class BaseAnswer(ABC):
    """Turns the graph's outputs into answers for people and tensors for machines.

    `output` is the name of the graph's output that holds the model's plain numbers.
    """

    kind: ClassVar[str]
    output: ClassVar[str]

    @abstractmethod
    def answers(self, outputs: Outputs) -> list[dict[str, Any]]:
        """Returns one JSON-ready answer a row."""

    @abstractmethod
    def tensors(self, outputs: Outputs) -> dict[str, NDArray[Any]]:
        """Returns the tensors that `specs` describe."""

    @abstractmethod
    def predictions(self, outputs: Outputs) -> NDArray[Any]:
        """Returns the plain numbers of the model, (N, K)."""

    def scale(self, predictions: NDArray[Any]) -> float:
        """Returns what a tolerance for differences between predictions is to be multiplied by.

        It is 1 for numbers between −1 and 1, such as probabilities; values have a unit, and so have their differences.

        Args:
            predictions: (N, K), those that others are compared with.
        """
        return 1.0

    @property
    @abstractmethod
    def specs(self) -> tuple[TensorSpec, ...]:
        """The tensors that a caller receives."""

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """Returns what a manifest says of this answer: its kind and its settings."""


def answer_class(kind: str) -> type[BaseAnswer]:
    """Returns the class of a kind of answer.

    Raises:
        BundleError: no answer of that kind is installed.
    """
    found: type[BaseAnswer] = opened({"kind": kind}, __package__, "answer")[0].Answer
    return found


def load_answer(record: Mapping[str, Any]) -> BaseAnswer:
    """Rebuilds the answer that a manifest describes.

    Raises:
        BundleError: no answer of that kind is installed.
    """
    module, settings = opened(record, __package__, "answer")
    try:
        answer: BaseAnswer = module.Answer(**settings)
    except TypeError as error:
        raise BundleError(
            f"The {record['kind']} answer does not understand its settings {settings}: {error}."
        ) from error
    return answer

"""What every kind of answer can do, and how a bundle's kind is found."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.errors import BundleError, one_line
from maas.records.signature import TensorSpec
from maas.runtime.kinds import opened, require_settings

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

    def tolerated(self, golden: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
        """Returns by how much predictions may differ from golden ones, (N, K).

        Args:
            golden: predictions that were made on another machine, (N, K).
            tolerance: the largest difference allowed of a number between −1 and 1, such as a probability.
        """
        return np.full(golden.shape, tolerance)

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
        BundleError: no answer of that kind is installed, or it does not take these settings.
    """
    module, settings = opened(record, __package__, "answer")
    require_settings(settings, module.Answer, f"{record['kind']} answer")
    try:
        answer: BaseAnswer = module.Answer(**settings)
    except (TypeError, ValueError) as error:
        raise BundleError(f"The {record['kind']} answer cannot be made: {one_line(error)}.") from error
    return answer

"""What every kind of answer can do, and how a bundle's kind is found."""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from numpy.typing import NDArray

from maas.errors import BundleError
from maas.runtime.signature import TensorSpec

Outputs = Mapping[str, NDArray[Any]]


class BaseAnswer(ABC):
    """Turns the graph's outputs into answers for people and tensors for machines."""

    kind: ClassVar[str]

    @abstractmethod
    def answers(self, outputs: Outputs) -> list[dict[str, Any]]:
        """Returns one JSON-ready answer a row."""

    @abstractmethod
    def tensors(self, outputs: Outputs) -> dict[str, NDArray[Any]]:
        """Returns the tensors that `specs` describe."""

    @abstractmethod
    def predictions(self, outputs: Outputs) -> NDArray[Any]:
        """Returns the plain numbers of the model, (N, …)."""

    @property
    @abstractmethod
    def specs(self) -> tuple[TensorSpec, ...]:
        """The tensors that a caller receives."""

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """Returns what a manifest says of this answer: its kind and its settings."""


def load_answer(record: Mapping[str, Any]) -> BaseAnswer:
    """Rebuilds the answer that a manifest describes.

    Raises:
        BundleError: no answer of that kind is installed.
    """
    kinds = sorted(module.name for module in pkgutil.iter_modules(importlib.import_module(__package__).__path__))
    kind = record.get("kind")
    if kind == "base" or kind not in kinds:
        known = ", ".join(name for name in kinds if name != "base")
        raise BundleError(f"The answer's kind is {kind!r}; this version of maas knows {known}. Upgrade maas.")
    module = importlib.import_module(f"{__package__}.{kind}")
    settings = {name: value for name, value in record.items() if name != "kind"}
    try:
        answer: BaseAnswer = module.Answer(**settings)
    except TypeError as error:
        raise BundleError(f"The {kind} answer does not understand its settings {settings}: {error}.") from error
    return answer

"""What every quantity can do, and how that of a kind of answer is found."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError
from maas.runtime.answers import BaseAnswer
from maas.runtime.answers.base import Outputs
from maas.runtime.kinds import opened


class BaseQuantity(ABC):
    """One number of a row's answer.

    Args:
        answer: names the graph's outputs.
        outputs: the graph's, for the whole row, N = 1.
        label: which label is asked about; None for the one that the model gives.

    Raises:
        InputError: the model does not know that label, or has none.
    """

    name: ClassVar[str]

    def __init__(self, answer: Any, outputs: Outputs, label: str | None) -> None:
        if label is not None:
            raise InputError(
                f"label is {label!r}; the model gives a {answer.kind}, which has no labels. Leave label out."
            )
        self.label: str | None = None

    @abstractmethod
    def values(self, outputs: Outputs) -> NDArray[np.float64]:
        """Returns the number for each row, (N,)."""


def quantity_of(answer: BaseAnswer, outputs: Outputs, label: str | None) -> BaseQuantity:
    """Returns what is explained of a kind of answer. Arguments and errors as in `BaseQuantity`."""
    module, _ = opened({"kind": answer.kind}, __package__, "explained answer")
    quantity: BaseQuantity = module.Quantity(answer, outputs, label)
    return quantity

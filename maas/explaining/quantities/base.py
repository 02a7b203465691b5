"""What every quantity can do, and how that of a kind of prediction is found."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError
from maas.runtime.codec import Outputs
from maas.runtime.kinds import class_of
from maas.runtime.postprocessors import Postprocessor


class Quantity(ABC):
    """One number of a row's prediction.

    Args:
        postprocessor: names the graph's outputs.
        outputs: the graph's, for the whole row, N = 1.
        label: label that is explained; None for the one that the model gives.

    Raises:
        InputError: the model does not know that label, or has none.
    """

    name: ClassVar[str]

    def __init__(self, postprocessor: Any, outputs: Outputs, label: str | None) -> None:
        if label is not None:
            raise InputError(
                f"label is {label!r}; the model gives a {postprocessor.kind}, which has no labels. Leave label out."
            )
        self.label: str | None = None

    @abstractmethod
    def values(self, outputs: Outputs) -> NDArray[np.float64]:
        """Returns the number for each row, (N,)."""


def quantity_of(postprocessor: Postprocessor, outputs: Outputs, label: str | None) -> Quantity:
    """Returns what is explained of a kind of prediction. Arguments and errors as in `Quantity`."""
    return class_of(postprocessor.kind, Quantity, "explained postprocessor")(postprocessor, outputs, label)

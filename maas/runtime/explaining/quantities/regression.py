"""The value itself."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.runtime.answers.base import Outputs
from maas.runtime.answers.regression import Answer
from maas.runtime.explaining.quantities.base import BaseQuantity


class Quantity(BaseQuantity):
    """The value, in the target's unit."""

    name: ClassVar[str] = "value"

    def __init__(self, answer: Answer, outputs: Outputs, label: str | None) -> None:
        super().__init__(answer, outputs, label)
        self._answer = answer

    def values(self, outputs: Outputs) -> NDArray[np.float64]:
        """Returns the values, (N,)."""
        return self._answer.values(outputs)

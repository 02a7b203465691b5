"""The value itself."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.explaining.quantities.base import Quantity
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.regression import RegressionPostprocessor


class RegressionQuantity(Quantity):
    """The value, in the target's unit."""

    name: ClassVar[str] = "value"

    def __init__(self, postprocessor: RegressionPostprocessor, outputs: Outputs, label: str | None) -> None:
        super().__init__(postprocessor, outputs, label)
        self._postprocessor = postprocessor

    def values(self, outputs: Outputs) -> NDArray[np.float64]:
        """Returns the values, (N,)."""
        return self._postprocessor.values(outputs)

"""The value itself."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.runtime.answers.base import Outputs
from maas.runtime.explaining.quantities.base import BaseQuantity


class Quantity(BaseQuantity):
    """The value, in the target's unit."""

    name: ClassVar[str] = "value"

    def values(self, outputs: Outputs) -> NDArray[np.float64]:
        """Returns the values, (N,)."""
        return outputs["value"].astype(np.float64)

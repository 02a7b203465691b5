"""The number that is explained. One kind of answer, one file with a class `Quantity`."""

from maas.runtime.explaining.quantities.base import Quantity, quantity_of

__all__ = ["Quantity", "quantity_of"]

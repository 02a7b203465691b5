"""The number that is explained. One kind of postprocessor, one file with its class."""

from maas.explaining.quantities.base import Quantity, quantity_of

__all__ = ["Quantity", "quantity_of"]

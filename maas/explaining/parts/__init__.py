"""What the parts of a raw row are. One kind of processor, one file with its class, or another kind's."""

from maas.explaining.parts.base import InputParts, Parts, RowPart, parts_of

__all__ = ["InputParts", "Parts", "RowPart", "parts_of"]

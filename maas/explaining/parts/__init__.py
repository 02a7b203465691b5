"""What the parts of a raw row are. One kind of processor, one file with its class."""

from maas.explaining.parts.base import Part, Parts, parts_of

__all__ = ["Part", "Parts", "parts_of"]

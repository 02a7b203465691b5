"""What the parts of a raw row are. One kind of processor, one file with a class `Parts`."""

from maas.runtime.explaining.parts.base import BaseParts, Part, parts_of

__all__ = ["BaseParts", "Part", "parts_of"]

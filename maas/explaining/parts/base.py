"""What the parts of every kind of row can do, and how those of a processor's kind are found."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from maas.errors import InputError
from maas.explaining.sampling import Mask, ValuesOfParts
from maas.runtime.kinds import class_of
from maas.runtime.processors import Processor

if TYPE_CHECKING:  # only pictures need Pillow
    from PIL.Image import Image

_T = TypeVar("_T")


@dataclass(frozen=True)
class RowPart:
    """Something that can be left out of a row.

    Args:
        name: for people.
        place: where it lies. Words: first character and the one behind the last. Patches: left, top, right, bottom in
            pixels. Windows of time: first sample and the one behind the last. Columns: the first and the one behind
            the last.
    """

    name: str
    place: tuple[int, ...]


class Parts(ABC):
    """A raw row, cut into parts, and how it is shown.

    Args:
        row: the raw row; its processor understands it.
        processor: which reads such rows.
        most: the most parts to cut it into; None for what suits the kind.
        baseline: what stands in the place of parts that are left out; None for what suits the kind.

    Raises:
        InputError: the row, or the baseline, cannot be understood.
    """

    parts: tuple[RowPart, ...]
    takes: ClassVar[str] = ""
    """What a baseline may be; empty where there is no choice."""

    def __init__(self, row: object, processor: Processor, most: int | None = None, baseline: object = None) -> None:
        if baseline is not None and not self.takes:
            raise InputError(
                f"baseline is {baseline!r}; what is left out of a {processor.modality} is cut out. Leave baseline out."
            )

    @abstractmethod
    def row(self, kept: Mask) -> Any:
        """Returns the raw row of which some parts (P,) are kept; the row as it was where all are."""

    @abstractmethod
    def text(self, attributions: ValuesOfParts) -> str:
        """Returns the parts for a terminal, coloured by their attributions (P,)."""

    @abstractmethod
    def html(self, attributions: ValuesOfParts) -> str:
        """Returns the parts as HTML, coloured by their attributions (P,)."""

    @abstractmethod
    def picture(self, attributions: ValuesOfParts, title: str) -> "Image":
        """Returns a picture of the parts, coloured by their attributions (P,)."""


def parts_of(row: object, processor: Processor, most: int | None, baseline: object) -> Parts:
    """Returns a row's parts. Arguments and errors as in `Parts`."""
    return class_of(processor.kind, Parts, "explained processor")(row, processor, most, baseline)


def grouped(items: Sequence[_T], most: int) -> list[Sequence[_T]]:
    """Returns neighbours in at most `most` groups, the sizes of which differ by one at most."""
    edges = np.linspace(0, len(items), min(most, len(items)) + 1).astype(int)
    return [items[start:end] for start, end in pairwise(edges)]

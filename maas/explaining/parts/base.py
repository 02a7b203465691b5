"""What the parts of every kind of row can do, and how those of a processor's kind are found."""

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np

from maas.errors import InputError, one_line
from maas.explaining.bars import bars_html, bars_text
from maas.explaining.sampling import Mask, ValuesOfParts
from maas.runtime.codec import Codec
from maas.runtime.kinds import registered_class_of, shipped_class_of

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
    part_kind: ClassVar[Literal["whole", "words", "patches", "windows", "columns"]] = "whole"
    """What the parts are, which says how `RowPart.place` is read."""

    def __init__(self, row: object, processor: Codec, most: int | None = None, baseline: object = None) -> None:
        if baseline is not None and not self.takes:
            raise InputError(
                f"baseline is {baseline!r}; what is left out of a {processor.modality} is cut out. Leave baseline out."
            )
        self.input_name = processor.input_name

    @abstractmethod
    def row(self, kept: Mask) -> Any:
        """Returns the raw row of which some parts (P,) are kept; the row as it was where all are."""

    def by_input(self) -> "list[InputParts]":
        """Returns the parts of each input of the row, in the order of its parts."""
        return [InputParts(self.input_name, self, slice(0, len(self.parts)))]

    def seen(self) -> object:
        """Returns what a page draws the parts on, as JSON: what the model sees of the row; null where it needs none."""
        return None

    @abstractmethod
    def text(self, attributions: ValuesOfParts) -> str:
        """Returns the parts for a terminal, coloured by their attributions (P,)."""

    @abstractmethod
    def html(self, attributions: ValuesOfParts) -> str:
        """Returns the parts as HTML, coloured by their attributions (P,)."""

    @abstractmethod
    def picture(self, attributions: ValuesOfParts, title: str) -> "Image":
        """Returns a picture of the parts, coloured by their attributions (P,)."""


class InputParts(NamedTuple):
    """The parts of one input of a row.

    Args:
        name: of the input.
        view: the input's own parts.
        range: which of the row's parts they are.
    """

    name: str
    view: Parts
    range: slice


class WholeInput(Parts):
    """A row of a kind that nobody has cut into parts: it is one part, compared with a baseline.

    The baseline is the row with zeros for its numbers and empty texts for its texts, where the processor reads that.
    """

    takes: ClassVar[str] = "a raw row"

    def __init__(self, row: object, processor: Codec, most: int | None = None, baseline: object = None) -> None:
        super().__init__(row, processor, most, baseline)
        processor.preprocess([row])
        self._row = row
        self._baseline = _emptied(row) if baseline is None else baseline
        try:
            processor.preprocess([self._baseline])
        except (InputError, ValueError, TypeError, LookupError, ArithmeticError) as error:
            shown = reprlib.repr(self._baseline)
            raise InputError(
                f"The input is compared with {shown}, which the model does not take: {one_line(error)}. Give "
                f"baseline={self.takes} that it takes."
            ) from error
        self.parts = (RowPart(processor.input_name, (0, 1)),)

    def row(self, kept: Mask) -> Any:
        """Returns the row, or the baseline."""
        return self._row if kept.all() else self._baseline

    def text(self, attributions: ValuesOfParts) -> str:
        """Returns one bar."""
        return bars_text([self.parts[0].name], attributions)

    def html(self, attributions: ValuesOfParts) -> str:
        """Returns one bar."""
        return bars_html([self.parts[0].name], attributions)

    def picture(self, attributions: ValuesOfParts, title: str) -> "Image":
        """Raises InputError: there is nothing to draw."""
        raise InputError("An input that is one part has no picture. Print the explanation, or save it as .html.")


SHARED_PARTS = {
    "pretrained_text": "text",
    "generative_text": "text",
    "conversation": "text",
    "translated_text": "text",
    "speech": "audio",
    "spoken_text": "audio",
}
"""Kinds of processors whose rows have the parts of another kind's."""


def _emptied(value: Any) -> Any:
    """Returns a raw row with zeros for its numbers, and nothing for its texts."""
    if isinstance(value, Mapping):
        return {name: _emptied(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_emptied(one) for one in value])
    if isinstance(value, np.ndarray):
        return np.zeros_like(value)
    return None if value is None or not isinstance(value, str | bytes | bool | int | float) else type(value)()


def parts_of(row: object, processor: Codec, most: int | None, baseline: object) -> Parts:
    """Returns a row's parts; an input of a kind of which none are known is one part. Arguments as in `Parts`.

    Raises:
        InputError: the row, or the baseline, cannot be understood.
    """
    kind = SHARED_PARTS.get(processor.kind, processor.kind)
    made = shipped_class_of(kind, Parts) or registered_class_of(kind, Parts) or WholeInput
    return made(row, processor, most, baseline)


def grouped(items: Sequence[_T], most: int) -> list[Sequence[_T]]:
    """Returns neighbours in at most `most` groups, the sizes of which differ by one at most."""
    edges = np.linspace(0, len(items), min(most, len(items)) + 1).astype(int)
    return [items[start:end] for start, end in pairwise(edges)]

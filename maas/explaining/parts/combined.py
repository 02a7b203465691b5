"""Rows of several inputs: the parts of each, one after the other."""

from typing import Any, ClassVar

import numpy as np
from PIL import Image

from maas.errors import InputError
from maas.explaining.bars import strongest
from maas.explaining.columns import bars_picture
from maas.explaining.parts.base import InputParts, Parts, RowPart, parts_of
from maas.explaining.sampling import Mask, ValuesOfParts
from maas.runtime.processors.combined import CombinedProcessor


class CombinedParts(Parts):
    """The parts of each input as its own kind cuts them; their names begin with the input's."""

    takes: ClassVar[str] = "a baseline of each input by its name"

    def __init__(
        self, row: object, processor: CombinedProcessor, most: int | None = None, baseline: object = None
    ) -> None:
        super().__init__(row, processor, most, baseline)
        if baseline is not None and not (isinstance(baseline, dict) and baseline.keys() <= processor.parts.keys()):
            raise InputError(f"baseline must be {self.takes}: {', '.join(processor.parts)}.")
        given = processor.by_column(row)
        processor.preprocess([row])
        self._column_parts = processor.column_parts
        self._views = {
            name: parts_of(processor.part_of(name, given), part, most, (baseline or {}).get(name))
            for name, part in processor.parts.items()
        }
        ends = np.cumsum([len(view.parts) for view in self._views.values()])
        self._ranges = [slice(end - len(view.parts), end) for end, view in zip(ends, self._views.values(), strict=True)]
        self.parts = tuple(
            RowPart(f"{name}: {part.name}", part.place) for name, view in self._views.items() for part in view.parts
        )

    def row(self, kept: Mask) -> dict[str, Any]:
        """Returns the row by column, some parts of its inputs left out."""
        row: dict[str, Any] = {}
        for (name, view), own in zip(self._views.items(), self._ranges, strict=True):
            made = view.row(kept[own])
            row |= made if name in self._column_parts else {name: made}
        return row

    def by_input(self) -> list[InputParts]:
        """Returns each input with the parts of its own kind."""
        shown = zip(self._views.items(), self._ranges, strict=True)
        return [InputParts(name, view, own) for (name, view), own in shown]

    def text(self, attributions: ValuesOfParts) -> str:
        """Returns each input's parts under its name."""
        shown = zip(self._views.items(), self._ranges, strict=True)
        return "\n".join(f"{name}:\n{view.text(attributions[own])}" for (name, view), own in shown)

    def html(self, attributions: ValuesOfParts) -> str:
        """Returns each input's parts under its name."""
        shown = zip(self._views.items(), self._ranges, strict=True)
        return "".join(f"<div><p>{name}</p>{view.html(attributions[own])}</div>" for (name, view), own in shown)

    def picture(self, attributions: ValuesOfParts, title: str) -> Image.Image:
        """Returns bars of the strongest parts of all inputs."""
        return bars_picture(*strongest([part.name for part in self.parts], attributions), title)

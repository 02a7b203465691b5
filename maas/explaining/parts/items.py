"""Items of a history as parts: what is left out was never there."""

from typing import Any

from maas.errors import InputError
from maas.explaining.columns import MOST_COLUMNS, Columns
from maas.explaining.parts.base import RowPart, grouped
from maas.explaining.sampling import Mask
from maas.runtime.processors.items import ItemsProcessor
from maas.runtime.rankings import MOST_RANKED


class ItemsParts(Columns):
    """The items that a row is ranked by, the oldest first; those of a user's kept history among them.

    Where they are more than `most` (64), neighbours in time share a part. Rankings are as long as can be, so that the
    score of an item is found in most of them.
    """

    def __init__(
        self, row: object, processor: ItemsProcessor, most: int | None = None, baseline: object = None
    ) -> None:
        super().__init__(row, processor, most, baseline)
        (features,) = processor.preprocess([row])
        if not len(features["items"]):
            raise InputError("The model knows none of the items of this row, which is ranked by popularity alone.")
        names = [processor.names[number] for number in reversed(features["items"].tolist())]
        self._excludes = bool(features["exclude"])
        self._groups = grouped(names, most or MOST_COLUMNS)
        starts = [sum(map(len, self._groups[:index])) for index in range(len(self._groups))]
        self.parts = tuple(
            RowPart(", ".join(group), (start, start + len(group)))
            for group, start in zip(self._groups, starts, strict=True)
        )
        self.labels = tuple(part.name for part in self.parts)

    def row(self, kept: Mask) -> dict[str, Any]:
        """Returns a row of the items that are kept."""
        items = [name for group, is_kept in zip(self._groups, kept, strict=True) if is_kept for name in group]
        return {"items": items, "top_k": MOST_RANKED, "exclude_seen": self._excludes}

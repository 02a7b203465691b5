"""Rows that say how the text that is made of them is searched for: the row alone, or an object that has it as well.

{"text": "会议星期三开始。", "beams": 4}
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError, shortened_value
from maas.records.manifest import Translation
from maas.runtime.codec import Features
from maas.runtime.processors.base import Processor, SingleArrayProcessor

BEAMS = "beams"
"""Key of a row, feature, and model input: how many texts are followed at once; 0 in a batch for the model's own."""
MOST_BEAMS = 64


def following(processor: Processor, search: Translation | None) -> Processor:
    """Returns a processor that knows the search of its bundle, if rows may want something of it.

    Args:
        processor: of the bundle.
        search: its settings; None where the model searches for no text.
    """
    if search is not None and isinstance(processor, SearchedRows):
        processor.follow(search)
    return processor


class SearchedRows(SingleArrayProcessor):
    """What processors of models that search for a text have in common.

    `usual_beams` is how many texts are followed where a row does not say, `max_beams` how many a row may want.
    """

    row_keys: ClassVar[tuple[str, ...]] = (BEAMS,)
    usual_beams: int = 1
    max_beams: int = MOST_BEAMS

    def follow(self, search: Translation) -> None:
        """Takes what is done where a row does not say, from the settings of its bundle."""
        self.usual_beams = search.num_beams

    def preprocess(self, rows: Sequence[Any]) -> Sequence[Features]:
        """Returns the array of each row under its name, and what the row wants of the search."""
        parted = [self._parted(row) for row in rows]
        arrays = self.arrays([row for row, _ in parted])
        pairs = zip(arrays, parted, strict=True)
        return [{self.feature: array, **self.wanted(keys, index)} for index, (array, (_, keys)) in enumerate(pairs)]

    def wanted(self, keys: Mapping[str, object], index: int) -> Features:
        """Returns what a row wants of the search as arrays.

        Args:
            keys: those of `row_keys` that the row has.
            index: of the row, for messages.

        Raises:
            InputError: it cannot be had.
        """
        beams = keys.get(BEAMS)
        if beams is None:
            return {}
        is_number = isinstance(beams, int | float | np.integer) and not isinstance(beams, bool)
        if is_number and beams in range(1, self.max_beams + 1):  # also 4.0, as JSON may write it
            return {BEAMS: np.array(beams, np.int64)}
        raise InputError(
            f"Row {index} has beams {shortened_value(str(beams))}; it is a whole number from 1 to {self.max_beams}, "
            "the most that are followed here."
        )

    def slots(self, features: Features) -> int:
        """Returns how many texts are followed for a row."""
        return int(features.get(BEAMS, self.usual_beams))

    def searched(self, features: Sequence[Features]) -> dict[str, NDArray[Any]]:
        """Returns what the rows of a batch want, (N,) each; nothing where none wants anything."""
        if not any(BEAMS in row for row in features):
            return {}
        return {BEAMS: np.array([row.get(BEAMS, 0) for row in features], np.int64)}

    @property
    def row_key_schemas(self) -> dict[str, Any]:
        """A number of beams."""
        description = "texts that are followed at once; the most probable one of them is given"
        return {BEAMS: {"type": "integer", "minimum": 1, "maximum": self.max_beams, "description": description}}

    def _parted(self, row: object) -> tuple[object, Mapping[str, object]]:
        """Returns a row without what it wants of the search, and that."""
        if not isinstance(row, Mapping):
            return row, {}
        keys = {name: row[name] for name in self.row_keys if name in row}
        rest = {name: value for name, value in row.items() if name not in keys}
        return (rest[self.input_name] if list(rest) == [self.input_name] else rest), keys

"""Items that a user has had, in the order of time, as numbers: what a model ranks other items by.

A user may be named in their place, where histories were kept. Nothing else is known of users, so that one whom training
never met is answered by whatever items come along, without training again.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from maas.bounds import Count, PadMultiple
from maas.errors import InputError, shortened_value
from maas.records.signature import TensorSpec
from maas.runtime.codec import Features
from maas.runtime.processors.base import Processor
from maas.runtime.rankings import MOST_RANKED

ITEMS_FILE, HISTORIES_FILE = "items.json", "histories.json"
MOST_ROW_ITEMS = 10_000
"""Items of a row, known or not."""
USUAL_TOP_K = 20
"""Items of a ranking where a row does not say how many: as many as metrics look at."""
ROW_KEYS = ("user", "items", "top_k", "exclude_seen")
RULE = 'give a list of items, or an object such as {"items": ["a", "b"], "top_k": 5}'


class LearntItems(NamedTuple):
    """What a processor knows of its training rows.

    Args:
        names: of the items, in the order of their numbers.
        histories: numbers of each user's items, the newest first; empty where they are not kept.
    """

    names: tuple[str, ...]
    histories: Mapping[str, Sequence[int]]


class ItemsProcessor(Processor):
    """Turns lists of items into their numbers, the newest first, each once; unknown items are left out.

    A row is a list of items, the oldest first, or an object with `items`, `user` or both, and, where wanted, `top_k`
    and `exclude_seen`. A user's kept history comes before the row's own items; without one, these alone
    count.

    Args:
        max_items: items of a row that count; of more, the newest. Older ones are unknown, and may be ranked again.
        keep_histories: keep the training histories of users by their names, in the bundle, so that a row may be a user
            alone; false keeps none.
        pad_multiple: rows are padded to the next multiple, so that those of similar length share a batch.
        learnt: from training rows.
    """

    kind: ClassVar[str] = "items"
    modality: ClassVar[str] = "history"
    input_name: ClassVar[str] = "items"
    row_keys: ClassVar[tuple[str, ...]] = ("user", "top_k", "exclude_seen")
    is_input_optional: ClassVar[bool] = True

    def __init__(
        self,
        max_items: Count = 2048,
        keep_histories: bool = False,
        pad_multiple: PadMultiple = 16,
        *,
        learnt: LearntItems | None = None,
    ) -> None:
        self.max_items = max_items
        self.keep_histories = keep_histories
        self.pad_multiple = pad_multiple
        self._learnt = learnt or LearntItems((), {})
        self._numbers = {name: number for number, name in enumerate(self._learnt.names)}

    @property
    def names(self) -> tuple[str, ...]:
        """The items, in the order of their numbers."""
        return self._learnt.names

    def fit(self, rows: Sequence[Any]) -> Self:
        """Returns a processor that knows the items of `rows`, numbered by how many rows have them, then by name."""
        counts: Counter[str] = Counter()
        for index, row in enumerate(rows):
            counts.update(set(_Row.of(row, index).items))
        names = tuple(sorted(counts, key=lambda name: (-counts[name], name)))
        plain = type(self)(**self.settings(), learnt=LearntItems(names, {}))
        if not self.keep_histories:
            return plain
        named = (found for found in map(_Row.of, rows, range(len(rows))) if found.user is not None)
        histories = {str(found.user): plain.numbers_of(found).tolist() for found in named}
        return type(self)(**self.settings(), learnt=LearntItems(names, histories))

    def preprocess(self, rows: Sequence[Any]) -> Sequence[Features]:
        """Returns the numbers of each row's items, whether they may be ranked themselves, and how many are wanted."""
        return [self._features(_Row.of(row, index)) for index, row in enumerate(rows)]

    def _features(self, row: "_Row") -> Features:
        return {
            "items": self.numbers_of(row),
            "exclude": np.array(row.exclude_seen),
            "top_k": np.array(row.top_k or USUAL_TOP_K),
        }

    def numbers_of(self, row: "_Row") -> NDArray[np.int64]:
        """Returns the numbers of a row's known items, the newest first, each once."""
        own = (self._numbers[name] for name in reversed(row.items) if name in self._numbers)
        kept = () if row.user is None else self._learnt.histories.get(row.user, ())
        newest = islice(dict.fromkeys([*own, *kept]), self.max_items)
        return np.fromiter(newest, np.int64)

    def bucket(self, features: Features) -> int:
        """Returns the number of items rounded up to `pad_multiple`, one multiple at least."""
        return self.pad_multiple * max(1, -(-len(features["items"]) // self.pad_multiple))

    def batch(self, features: Sequence[Features]) -> dict[str, NDArray[Any]]:
        """Returns items, int64 (N, L), padded with the number after the last item; exclude, (N,); top_k, (N,)."""
        items = np.full((len(features), max(map(self.bucket, features))), len(self.names), dtype=np.int64)
        for index, row in enumerate(features):
            items[index, : len(row["items"])] = row["items"]
        settings = {name: np.array([row[name] for row in features]) for name in ("exclude", "top_k")}
        return {"items": items, **settings}

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """BYTES, (N, L): lists of items, with empty texts where one is shorter."""
        return (TensorSpec("items", "BYTES", (-1, -1)),)

    @property
    def row_schema(self) -> dict[str, Any]:
        """A list of items, or an object with items, a user, or both."""
        items = {"type": "array", "items": {"type": ["string", "integer"]}, "maxItems": MOST_ROW_ITEMS}
        properties = {"items": items, **self.row_key_schemas}
        either = [{"required": ["items"]}, {"required": ["user"]}]
        named = {"type": "object", "properties": properties, "anyOf": either, "additionalProperties": False}
        return {"anyOf": [items, named]}

    @property
    def row_key_schemas(self) -> dict[str, Any]:
        """A user, and how its items are ranked."""
        return {
            "user": {"type": ["string", "integer"]},
            "top_k": {"type": "integer", "minimum": 1, "maximum": MOST_RANKED},
            "exclude_seen": {"type": "boolean"},
        }

    @property
    def rows_rule(self) -> str:
        """Says that a list of items is one row."""
        return "A list of items is one input; a list of such lists, or of objects, is several."

    def is_many(self, value: object) -> bool:
        """A list of lists or of objects is many."""
        return isinstance(value, list) and bool(value) and isinstance(value[0], list | dict)

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """Batch and items."""
        return {"items": {0: "batch", 1: "items"}, "exclude": {0: "batch"}, "top_k": {0: "batch"}}

    @property
    def net_arguments(self) -> dict[str, Any]:
        """Nothing: the task head knows how many items there are."""
        return {}

    def settings(self) -> dict[str, Any]:
        """All arguments."""
        return {
            "max_items": self.max_items,
            "keep_histories": self.keep_histories,
            "pad_multiple": self.pad_multiple,
        }

    def save(self, folder: Path) -> None:
        """Writes `items.json`, and `histories.json` where histories are kept."""
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / ITEMS_FILE, self._learnt.names)
        if self.keep_histories:
            _write(folder / HISTORIES_FILE, self._learnt.histories)

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Rebuilds it from the settings and its files."""
        names = tuple(json.loads((folder / ITEMS_FILE).read_text(encoding="utf-8")))
        is_kept = settings.get("keep_histories", False)
        histories = json.loads((folder / HISTORIES_FILE).read_text(encoding="utf-8")) if is_kept else {}
        return cls(**settings, learnt=LearntItems(names, histories))


class _Row(NamedTuple):
    """One checked row.

    Args:
        items: names, the oldest first.
        user: name; None where none is given.
        top_k: number of items that are wanted; None where the row does not say.
        exclude_seen: whether the row's own items are left out of its ranking.
    """

    items: list[str]
    user: str | None = None
    top_k: int | None = None
    exclude_seen: bool = True

    @classmethod
    def of(cls, row: object, index: int) -> "_Row":
        """Reads a raw row.

        Raises:
            InputError: it is none; the message names it.
        """
        if isinstance(row, list | tuple | np.ndarray):
            return cls(_names(row, index))
        if not isinstance(row, Mapping):
            raise InputError(f"Row {index} is of type {type(row).__name__}; {RULE}.")
        if unknown := [name for name in row if name not in ROW_KEYS]:
            raise InputError(f"Row {index} has {shortened_value(str(unknown[0]))}; it may have {', '.join(ROW_KEYS)}.")
        items, user = row.get("items"), row.get("user")
        if items is None and user is None:
            raise InputError(f"Row {index} has neither items nor a user; {RULE}.")
        return cls(
            [] if items is None else _names(items, index),
            None if user is None else _name(user, index, "a user"),
            _top_k(row.get("top_k"), index),
            _truth(row.get("exclude_seen"), index),
        )


def _names(values: object, index: int) -> list[str]:
    """Returns the names of items; empty texts fill up the rows of a tensor, and are none."""
    if not isinstance(values, list | tuple | np.ndarray):
        raise InputError(f"Row {index} has items of type {type(values).__name__}; {RULE}.")
    if len(values) > MOST_ROW_ITEMS:
        raise InputError(f"Row {index} has {len(values):,} items; {MOST_ROW_ITEMS:,} are taken. Send the newest.")
    return [_name(value, index, "an item") for value in values if value != ""]


def _name(value: object, index: int, what: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return str(value)
    raise InputError(f"Row {index} has {what} of type {type(value).__name__}; it is a text or a whole number.")


def _top_k(value: object, index: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_RANKED:
        return value
    shown = shortened_value(str(value))
    raise InputError(f"Row {index} has top_k {shown}; it is a whole number from 1 to {MOST_RANKED}.")


def _truth(value: object, index: int) -> bool:
    if value is None or isinstance(value, bool):
        return value is None or value
    raise InputError(f"Row {index} has exclude_seen {shortened_value(str(value))}; it is true or false.")


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")

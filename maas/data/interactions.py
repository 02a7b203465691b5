"""Interactions as a table of user, item and time: read, and split by time into histories and what came after them.

Nothing that happened in the time of validation or testing is in training. A user's history is the input, so that users
and items that come later need no place in the table of a net.
"""

import hashlib
import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from maas.bounds import Count, PositiveFraction
from maas.data.cells import ONLY_EMPTY
from maas.data.histories import Histories
from maas.data.preparing import first_message_line
from maas.data.sheets import Sheet, require_columns
from maas.data.sources import Name, read_file, reading_of
from maas.data.splits import Split, Splits
from maas.data.system import file_of_package
from maas.errors import ConfigError, DataError
from maas.records.evidence import DataRecord

log = logging.getLogger("maas")
ItemNumbers = NDArray[np.int64]


@dataclass(frozen=True)
class Interactions:
    """N interactions, in any order.

    Args:
        users: int64 (N,), positions in `user_names`.
        items: int64 (N,), positions in `item_names`.
        times: float64 (N,), seconds, or whatever unit the table has.
        user_names: sorted.
        item_names: sorted.
        incomplete: rows that were left out, as they lack one of the three.
    """

    users: ItemNumbers
    items: ItemNumbers
    times: NDArray[np.float64]
    user_names: list[str]
    item_names: list[str]
    incomplete: int = 0

    def picked(self, chosen: NDArray[np.bool_] | ItemNumbers) -> "Interactions":
        """Returns some of them."""
        columns = (self.users[chosen], self.items[chosen], self.times[chosen])
        return Interactions(*columns, self.user_names, self.item_names, self.incomplete)


@dataclass(frozen=True)
class InteractionTable:
    """A file with a row for each interaction: CSV, TSV, JSON (lines) or Parquet, plain or compressed.

    Args:
        path: the file.
        user: column of users, texts or whole numbers.
        item: column of items, likewise.
        time: column of times: numbers, time stamps, or texts as ISO 8601 has them.
        package: an installed package that the path is relative to; null for a path on disk.
    """

    path: str
    user: Name = "user"
    item: Name = "item"
    time: Name = "time"
    package: str | None = None

    def read(self) -> Interactions:
        """Returns the interactions that have a user, an item and a time.

        Raises:
            DataError: the file cannot be read, lacks a column, or holds what is no name or no time.
        """
        path = file_of_package(self.package, self.path) if self.package else Path(self.path)
        if not path.is_file():
            raise DataError(f"There is no file {path}. Set data.source.path.")
        names = [str(self.user), str(self.item), str(self.time)]
        sheet = read_file(path, reading_of((), (), (), ONLY_EMPTY))
        require_columns(
            names, sheet.names, sheet.origin, "Set data.source.user, data.source.item and data.source.time."
        )
        users, items, times = (_column(sheet, name) for name in names)
        is_whole = pc.and_(pc.and_(_is_there(users), _is_there(items)), _is_there(times))
        users, items, times = (column.filter(is_whole) for column in (users, items, times))
        if not len(users):
            raise DataError(f"{sheet.origin} has no row with a user, an item and a time.")
        (user_codes, user_names), (item_codes, item_names) = _coded(users, names[0]), _coded(items, names[1])
        incomplete = len(is_whole) - len(users)
        return Interactions(user_codes, item_codes, _times(times, names[2]), user_names, item_names, incomplete)


def by_time(
    source: InteractionTable | Interactions,
    validation_fraction: PositiveFraction = 0.1,
    test_fraction: PositiveFraction = 0.1,
    min_item_users: Count = 5,
    max_users: Count | None = None,
) -> Splits:
    """Splits interactions by time: the newest are for testing, those before them for validation.

    An item counts once for a user, when it came first. A row of training is a user's history. One of validation or
    testing is a user's history up to the split's beginning, and its targets are the items that came within it. Items
    that fewer than `min_item_users` users had in training are left out everywhere, and so are users who are left with
    nothing to predict. Users without a history stay: their rows have no items.

    Args:
        source: the interactions, or what reads them.
        validation_fraction: fraction of all interactions, by time.
        test_fraction: likewise.
        min_item_users: training users that an item must have had.
        max_users: largest number of users to validate and to test with, evenly spread; null takes all.

    Raises:
        ConfigError: the two fractions leave no training rows.
        DataError: a split would be empty.
    """
    if validation_fraction + test_fraction >= 1:
        raise ConfigError(
            f"data.validation_fraction {validation_fraction} and data.test_fraction {test_fraction} leave nothing to "
            "train on; their sum must be below 1."
        )
    removed: Counter[str] = Counter()
    found = _once(source if isinstance(source, Interactions) else source.read(), removed)
    periods = _periods(found.times, validation_fraction, test_fraction)
    found, periods, names = _of_known_items(found, periods, min_item_users, removed)
    parts = {
        "train": _training_rows(found.picked(periods == 0), names),
        "validation": _later_rows(found, periods, 1, names, max_users),
        "test": _later_rows(found, periods, 2, names, max_users),
    }
    rows = {name: len(part) for name, part in parts.items()}
    new = sum(not row for row in parts["test"].inputs)
    log.info("data      %s users to test with, %s of them without a history", rows["test"], new)
    record = DataRecord(
        _fingerprint(found, periods, names), rows, {name: count for name, count in removed.items() if count}
    )
    return Splits(**parts, labels=names, record=record)


def _column(sheet: Sheet, name: str) -> pa.Array:
    chunks = [chunk for part in sheet.parts for chunk in part.chunks(name)]
    return pa.chunked_array(chunks).combine_chunks()


def _is_there(column: pa.Array) -> pa.Array:
    """Returns whether cells hold something."""
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if is_text:
        filled = pc.not_equal(pc.utf8_trim_whitespace(column), "")
    else:
        filled = pc.invert(pc.is_null(column, nan_is_null=pa.types.is_floating(column.type)))
    return pc.fill_null(filled, False)


def _coded(column: pa.Array, name: str) -> tuple[ItemNumbers, list[str]]:
    """Returns the position of each cell among the sorted names, and these names."""
    kind = column.type
    try:
        whole = column.cast(pa.int64()) if pa.types.is_floating(kind) else column  # of a frame with gaps
        encoded = whole.cast(pa.large_string()).dictionary_encode()
    except pa.ArrowException as error:
        raise DataError(
            f"The column {name} holds {kind}, and names are texts or whole numbers: {first_message_line(error)}."
        ) from error
    names = np.array(encoded.dictionary.to_pylist(), dtype=object)
    order = np.argsort(names)
    rank = np.empty(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    return rank[encoded.indices.to_numpy()], names[order].tolist()


def _times(column: pa.Array, name: str) -> NDArray[np.float64]:
    """Returns times as numbers: those of a column of numbers, and seconds of dates.

    Raises:
        DataError: a cell is none.
    """
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return np.asarray(column.cast(pa.timestamp("us"), safe=False).cast(pa.int64()).to_numpy() / 1e6)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy())  # nanoseconds since 1970 pass 2⁵³
    texts = pc.utf8_trim_whitespace(column)
    try:
        return np.asarray(texts.cast(pa.float64()).to_numpy())
    except pa.ArrowException:
        pass
    try:
        stamps = pd.to_datetime(texts.to_pandas(), format="ISO8601", utc=True)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"The column {name} holds what is neither a number nor a time such as 2024-05-01T12:30:00: "
            f"{first_message_line(error).split(' You might')[0]}"
        ) from error
    return np.asarray(stamps.dt.as_unit("us").astype("int64").to_numpy() / 1e6)


def _once(found: Interactions, removed: Counter[str]) -> Interactions:
    """Returns the first of each user's interactions with an item, by user and time."""
    order = np.lexsort((found.times, found.items, found.users))
    users, items = found.users[order], found.items[order]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
    removed["incomplete"] += found.incomplete
    removed["repeated"] += int((~is_first).sum())
    first = found.picked(order[is_first])
    return first.picked(np.lexsort((first.items, first.times, first.users)))


def _periods(times: NDArray[np.float64], validation: float, test: float) -> ItemNumbers:
    """Returns for each interaction 0 where it is for training, 1 for validation and 2 for testing.

    Raises:
        DataError: times are too much alike for that.
    """
    ordered = np.sort(times)
    starts = [ordered[int(len(times) * fraction)] for fraction in (1 - validation - test, 1 - test)]
    periods = np.searchsorted(starts, times, side="right").astype(np.int64)
    if len(np.unique(periods)) < 3:
        raise DataError(
            f"The times of {len(times):,} interactions lie between {ordered[0]:g} and {ordered[-1]:g} and do not split "
            "into training, validation and test. Set data.source.time to a column of finer times, or give more rows."
        )
    return periods


def _of_known_items(
    found: Interactions, periods: ItemNumbers, least: int, removed: Counter[str]
) -> tuple[Interactions, ItemNumbers, tuple[str, ...]]:
    """Returns the interactions with items that enough training users had, numbered by how many, then by name."""
    counts = np.bincount(found.items[periods == 0], minlength=len(found.item_names))
    known = np.flatnonzero(counts >= least)
    if len(known) < 2:
        raise DataError(
            f"{len(known)} items have {least} users in training, of {int((counts > 0).sum()):,} items there; 2 are "
            "needed. Lower data.min_item_users, or give more rows."
        )
    known = known[np.lexsort((known, -counts[known]))]
    numbers = np.full(len(counts), -1)
    numbers[known] = np.arange(len(known))
    is_known = numbers[found.items] >= 0
    is_rare = ~is_known & (counts[found.items] > 0)
    removed["rare_item"] += int(is_rare.sum())
    removed["unknown_item"] += int((~is_known & ~is_rare).sum())
    kept, names = found.picked(is_known), tuple(found.item_names[item] for item in known.tolist())
    renumbered = Interactions(kept.users, numbers[kept.items], kept.times, kept.user_names, list(names))
    return renumbered, periods[is_known], names


def _training_rows(train: Interactions, names: tuple[str, ...]) -> Split:
    """Returns each user's history, without targets: it is cut in every epoch."""
    users, starts = np.unique(train.users, return_index=True)
    named = [train.user_names[user] for user in users.tolist()]
    inputs = Histories(names, train.items, np.append(starts, len(train.users)), named)
    return Split(inputs, _lists([np.zeros(0, dtype=np.int64)] * len(users)))


def _later_rows(
    found: Interactions, periods: ItemNumbers, period: int, names: tuple[str, ...], most: int | None
) -> Split:
    """Returns the users who had something new in a period: what they had before, and what came.

    Raises:
        DataError: there are none.
    """
    within = found.picked(periods == period)
    users, starts = np.unique(within.users, return_index=True)
    if not len(users):
        raise DataError("No user had a known item in the time of validation or testing. Lower data.min_item_users.")
    targets = np.split(within.items, starts[1:])
    if most is not None and most < len(users):
        chosen = np.linspace(0, len(users) - 1, most).astype(int)
        users, targets = users[chosen], [targets[place] for place in chosen.tolist()]
    before = found.picked(periods < period)
    order = np.argsort(np.isin(users, before.users, invert=True), kind="stable")  # those without a history come last
    users, targets = users[order], [targets[place] for place in order.tolist()]
    begins, ends = (np.searchsorted(before.users, users, side=side) for side in ("left", "right"))
    pieces = [before.items[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
    places = np.concatenate([[0], np.cumsum(ends - begins)])
    return Split(Histories(names, np.concatenate(pieces), places), _lists(targets))


def _lists(lists: list[ItemNumbers]) -> NDArray[np.object_]:
    """Returns lists as objects, (N,)."""
    return np.fromiter(lists, dtype=object, count=len(lists))


def _fingerprint(found: Interactions, periods: ItemNumbers, names: tuple[str, ...]) -> str:
    digest = hashlib.sha256("\n".join((*names, "", *found.user_names)).encode("utf-8", "surrogatepass"))
    for column in (found.users, found.items, periods):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()

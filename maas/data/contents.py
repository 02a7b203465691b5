"""What rows hold, as numbers: the digest of each content, and each target. The inputs themselves stay where they are.

A row takes 32 bytes of digest and a few numbers of 8 bytes, however long it is.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from maas.data.cells import is_number
from maas.data.rows import ROWS_PER_BLOCK, blocks
from maas.data.tables import Table, column_of
from maas.errors import DataError

Target = Literal["label", "labels", "number", "text", "none"]
SplitTarget = Target | Literal["items"]
"""What rows of a split may carry; lists of items do not come from a table's column."""
Places = NDArray[np.int64]

DIGEST = np.dtype("S32")
COMPARED = 2**20
"""Digests that are compared at once."""


@dataclass(frozen=True)
class Contents:
    """Rows that are whole: N of them, of all splits.

    Args:
        columns: the inputs as the source gives them.
        splits: numbers of the rows of each split, in the source's order.
        places: int64 (N,), where each row's input stands, counted through all columns.
        digests: digests of the contents, 32 bytes (N,).
        ranks: int64 (N,), the rank of each digest among those there are; equal contents share one.
        targets: (N,), positions in `names`, in `texts` or in `sets`, or float64 numbers, or zeros.
        names: the labels in their order; none where targets are not labels.
        texts: the targets that are texts, each once; none where targets are not texts.
        sets: the targets that are sets of labels, each once, sorted; none where targets are not sets.
    """

    columns: Sequence[Sequence[Any]]
    splits: Mapping[str, Places]
    places: Places
    digests: NDArray[np.bytes_]
    ranks: Places
    targets: NDArray[Any]
    names: tuple[str, ...]
    texts: tuple[str, ...] = ()
    sets: tuple[tuple[str, ...], ...] = ()


def contents_of(source: Mapping[str, Table], target: Target, removed: Counter[str]) -> Contents:
    """Reads all rows once, a block at a time.

    Args:
        source: tables by split name.
        target: kind of their targets.
        removed: counter that takes the number of rows that are empty or lack a target, as `empty`.

    Raises:
        DataError: a target is no number where numbers are required.
    """
    columns = {name: column_of(table, "input") for name, table in source.items()}
    total = sum(map(len, columns.values()))
    digests, places = np.empty(total, dtype=DIGEST), np.empty(total, dtype=np.int64)
    targets = np.zeros(total, dtype=np.float64 if target == "number" else np.int64)
    positions: dict[Any, int] = {}
    splits: dict[str, Places] = {}
    count = offset = 0
    for name, column in columns.items():
        first, labels = count, column_of(source[name], "label") if target != "none" else None
        for start in blocks(len(column), "comparing"):
            inputs = column[start : start + ROWS_PER_BLOCK]
            raw = [""] * len(inputs) if labels is None else labels[start : start + ROWS_PER_BLOCK]
            for place, (value, found) in enumerate(zip(inputs, raw, strict=True), start=offset + start):
                wanted = _wanted(found, target)
                if value is None or wanted is None or (isinstance(value, str) and not value.strip()):
                    continue
                digests[count], places[count] = _digest(value), place
                targets[count] = wanted if target == "number" else positions.setdefault(wanted, len(positions))
                count += 1
        removed["empty"] += len(column) - (count - first)
        splits[name] = np.arange(first, count)
        offset += len(column)
    names = tuple(sorted(positions)) if target == "label" else ()
    if names:
        sorted_positions = {name: position for position, name in enumerate(names)}
        targets[:count] = np.array([sorted_positions[name] for name in positions])[targets[:count]]
    digests, texts = digests[:count], tuple(positions) if target == "text" else ()
    return Contents(
        columns=list(columns.values()),
        splits=splits,
        places=places[:count],
        digests=digests,
        ranks=ranks_of(digests),
        targets=targets[:count],
        names=names,
        texts=texts,
        sets=tuple(positions) if target == "labels" else (),
    )


def with_repeats_apart(table: Contents) -> Contents:
    """Returns contents that all differ: of rows that are equal, target and all, each has its number in its digest.

    Rows whose content stands once keep their digest; which row has which number does not matter, as they are equal.
    """
    order = np.lexsort((table.targets, table.ranks))
    ranks, targets = table.ranks[order], table.targets[order]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (np.diff(ranks) != 0) | (np.diff(targets) != 0)
    numbers = np.arange(len(order)) - np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))
    repeated = np.bincount(table.ranks, minlength=len(order))[ranks] > 1
    digests, names = table.digests.copy(), table.names or table.texts
    for place, number in zip(order[repeated].tolist(), numbers[repeated].tolist(), strict=True):
        target = names[table.targets[place]] if names else float(table.targets[place])
        digests[place] = _digest([table.digests[place].hex(), target, number])
    return replace(table, digests=digests, ranks=ranks_of(digests))


def ranks_of(digests: NDArray[np.bytes_]) -> Places:
    """Returns the rank of each digest among those there are, int64 (N,); equal ones share a rank."""
    order, is_new = np.argsort(digests, kind="stable"), np.ones(len(digests), dtype=bool)
    for start in range(1, len(digests), COMPARED):
        here = order[start : start + COMPARED]
        is_new[start : start + COMPARED] = digests[here] != digests[order[start - 1 : start - 1 + len(here)]]
    ranks = np.empty(len(digests), dtype=np.int64)
    ranks[order] = np.cumsum(is_new) - 1
    return ranks


def digests_of(values: Iterable[Any], count: int) -> NDArray[np.bytes_]:
    """Returns the digests of so many raw inputs, 32 bytes (N,)."""
    return np.fromiter(map(_digest, values), dtype=DIGEST, count=count)


def content_digest(value: object) -> str:
    """SHA-256 of a raw input's content: text without surrounding blanks, a file's bytes, numbers and rows as JSON."""
    return _digest(value).hex()


def _digest(value: object) -> bytes:
    return hashlib.sha256(_content(value)).digest()


def _content(value: object) -> bytes:
    if isinstance(value, bytes | Path):
        return value if isinstance(value, bytes) else value.read_bytes()
    if isinstance(value, str):
        return value.strip().encode("utf-8", "surrogatepass")
    if isinstance(value, np.ndarray) and value.dtype == np.uint8:
        return f"{value.shape}".encode() + value.tobytes()
    return _as_json(value).encode()


def _as_json(value: object) -> str:
    """Returns numbers as JSON, whatever their type, and rows of columns as they are."""
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True, default=str)
    try:
        return json.dumps(np.asarray(value, dtype=np.float64).tolist())
    except (TypeError, ValueError):  # a row of mixed columns
        return json.dumps(value, default=str)


def _wanted(raw: object, target: Target) -> float | str | tuple[str, ...] | None:
    """Returns a target as it is kept; None where it is missing."""
    if target == "number":
        return _number(raw)
    if target == "labels":
        return None if raw is None else tuple(sorted({raw} if isinstance(raw, str) else set(cast("list[str]", raw))))
    if isinstance(raw, list):
        raise DataError(
            f"The target {raw!r} is a set of labels, and data.target={target} requires one {target}. Set "
            "data.target=labels, and task=multilabel, or name another column."
        )
    text = cast("str | None", raw)
    return (text.strip() or None) if target == "text" and text is not None else text


def _number(raw: object) -> float | None:
    """Returns a target as a number; None where it is missing."""
    if raw is None or raw == "":
        return None
    if not isinstance(raw, int | float | np.number) and not (isinstance(raw, str) and is_number(raw)):
        raise DataError(
            f"The target {raw!r} is not a number, and data.target=number requires numbers. Set data.target=label to "
            "learn labels, name another column, or add it to data.source.missing where it stands for nothing."
        )
    number = float(raw)
    if math.isinf(number):
        raise DataError(f"The target {raw!r} is infinite; leave such rows out of the data.")
    return None if math.isnan(number) else number

"""Rows at the edges of what a processor lets in: missing, unseen, extreme, and at the thresholds of a model."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError
from maas.importing.base import LARGEST_FLOAT32
from maas.runtime.codec import Codec
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.tabular import TabularProcessor

Kind = Literal["missing", "unseen", "extreme", "equal"]
Thresholds = Mapping[str, Mapping[int, Sequence[float]]]
"""Feed → column → numbers at which a model's answer jumps."""

UNSEEN = "\u2400 unseen"
MOST_PLACES = 100
"""Columns, or values of an array, that are changed: some of them where there are more."""
MOST_THRESHOLDS = 200
"""Thresholds of one model, spread over its columns; each gives three rows."""


class Edge(NamedTuple):
    """One raw row, and what is unusual about it."""

    kind: Kind
    row: object


def edge_rows(
    processor: Codec, rows: Sequence[Any], thresholds: Thresholds, *, largest: float = LARGEST_FLOAT32
) -> list[Edge]:
    """Returns rows at the edges that a processor lets in; none for pictures, sound and text.

    Args:
        processor: fitted processor.
        rows: usual rows, one or more, of which one value at a time is changed.
        thresholds: numbers at which the model's prediction jumps.
        largest: size of extreme numbers, where the processor sets no narrower range.
    """
    if isinstance(processor, TabularProcessor):
        edges = _of_columns(processor, rows, thresholds, largest)
    elif isinstance(processor, ArrayProcessor):
        edges = _of_array(processor, rows, thresholds, largest)
    else:
        return []
    return [edge for edge in edges if _lets_in(processor, edge.row)]


def _of_columns(
    processor: TabularProcessor, rows: Sequence[Any], thresholds: Thresholds, largest: float
) -> Iterator[Edge]:
    names = processor.columns
    usual = [dict(row) if isinstance(row, Mapping) else dict(zip(names, row, strict=True)) for row in rows]
    spread = _spread(thresholds.get("numbers", {}))
    for place in _some(len(names)):
        name = names[place]
        for row in usual:
            yield Edge("missing", {**row, name: None})
        if place >= len(processor.numbers):
            yield from (Edge("unseen", {**row, name: UNSEEN}) for row in usual)
            continue
        yield from (Edge("extreme", {**usual[0], name: value}) for value in (-largest, largest))
        for index, value in enumerate(spread.get(place, ())):
            yield Edge("equal", {**usual[index % len(usual)], name: value})
    yield Edge("missing", dict.fromkeys(names))


def _of_array(processor: ArrayProcessor, rows: Sequence[Any], thresholds: Thresholds, largest: float) -> Iterator[Edge]:
    usual = [np.array(row, dtype=np.float64) for row in rows]
    spread = _spread(thresholds.get("features", {}))
    low = -largest if processor.low is None else processor.low
    high = largest if processor.high is None else processor.high
    for place in _some(usual[0].size):
        for value in (low, high):
            yield Edge("extreme", _changed(usual[0], place, value))
        for index, value in enumerate(spread.get(place, ())):
            yield Edge("equal", _changed(usual[index % len(usual)], place, value))


def _some(count: int) -> list[int]:
    """Returns positions below a count, evenly spread."""
    return sorted(set(np.linspace(0, count - 1, min(count, MOST_PLACES)).round().astype(int).tolist()))


def _changed(row: NDArray[np.float64], place: int, value: float) -> NDArray[np.float64]:
    changed = row.copy()
    changed.flat[place] = value
    return changed


def _spread(thresholds: Mapping[int, Sequence[float]]) -> dict[int, list[float]]:
    """Returns some thresholds of each column, each with its float32 neighbours on both sides."""
    each = max(1, MOST_THRESHOLDS // max(1, len(thresholds)))
    found = {}
    for column, values in thresholds.items():
        finite = np.unique([value for value in values if math.isfinite(value)])
        chosen = (
            finite[np.unique(np.linspace(0, max(0, len(finite) - 1), each).round().astype(int))] if finite.size else []
        )
        found[column] = [near for value in chosen for near in _around(float(value))]
    return found


def _around(value: float) -> tuple[float, float, float]:
    """Returns a number, and the float32 numbers just below and above it."""
    with np.errstate(over="ignore"):
        near = np.float32(value)
    below = near if float(near) < value else np.nextafter(near, np.float32(-np.inf))
    above = near if float(near) > value else np.nextafter(near, np.float32(np.inf))
    return value, float(below), float(above)


def _lets_in(processor: Codec, row: object) -> bool:
    try:
        processor.preprocess([row])
    except InputError:
        return False
    return True

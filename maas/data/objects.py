"""JSON: a list of objects, or one object a line. A column has one type, which all values of the file decide.

Whole numbers stay whole and exact, texts stay texts, whatever they look like. Where a column holds values of several
types, each is kept as JSON, so that it comes back as it was.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from maas.data.arrow_writer import JSON, ROWS_PER_BATCH, ArrowWriter, require_different, text_field

EXACT = 2**53
"""Whole numbers up to this size are exact as float64."""

Kinds = dict[str, str]
NULL, TRUTH, SMALL, WHOLE, NUMBER, TEXT, MIXED = "null", "truth", "small", "whole", "number", "text", "mixed"
TYPES = {NULL: pa.null(), TRUTH: pa.bool_(), SMALL: pa.int64(), WHOLE: pa.int64(), NUMBER: pa.float64()}
JOINED = {frozenset({SMALL, WHOLE}): WHOLE, frozenset({SMALL, NUMBER}): NUMBER}
LISTS = "lists"
"""Begins the kind of lists of numbers, nested as deeply as the digit after it."""


def read_objects(file: Path, writer: ArrowWriter, *, is_lines: bool, encoding: str = "utf-8-sig") -> None:
    """Reads objects, a row each; what an object lacks is null.

    Args:
        file: the file.
        writer: writer that takes the rows.
        is_lines: whether there is one object a line for certain; else a file that begins a list is read whole.
        encoding: encoding of the file.

    Raises:
        ValueError: a line or an item is no object, or an object names a column twice.
    """
    kinds: Kinds = {}
    is_stale = False
    for place, rows in enumerate(_blocks(file, is_lines, encoding)):
        before = dict(kinds)
        widen(kinds, {name: [row.get(name) for row in rows] for name in _names(rows)})
        is_stale = is_stale or (place > 0 and kinds != before)
        if not is_stale:
            writer.write(batch_of(rows, kinds))
    if is_stale:  # later rows hold more columns or types
        writer.restart()
        for rows in _blocks(file, is_lines, encoding):
            writer.write(batch_of(rows, kinds))


def batch_of(rows: Sequence[dict[str, Any]], kinds: Kinds) -> pa.RecordBatch:
    """Returns rows as columns of these kinds."""
    columns = {name: [row.get(name) for row in rows] for name in kinds}
    arrays = [array_of(columns[name], kind) for name, kind in kinds.items()]
    fields = [
        text_field(name, JSON if kind == MIXED else None) if kind in (TEXT, MIXED) else pa.field(name, array.type)
        for (name, kind), array in zip(kinds.items(), arrays, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def array_of(values: Sequence[Any], kind: str) -> pa.Array:
    """Returns values of a kind."""
    if kind == MIXED:
        return pa.array([None if value is None else json.dumps(value) for value in values], pa.string())
    if kind.startswith(LISTS):
        type_ = pa.float64()
        for _ in range(int(kind.removeprefix(LISTS))):
            type_ = pa.list_(type_)
        return pa.array(values, type_)
    return pa.array(values, TYPES.get(kind, pa.string()))


def widen(kinds: Kinds, columns: dict[str, list[Any]]) -> None:
    """Lets kinds hold what these columns hold as well."""
    for name, values in columns.items():
        kinds[name] = _joined(kinds.get(name, NULL), _kind(values))


def _joined(one: str, other: str) -> str:
    if other in (one, NULL):
        return one
    return other if one == NULL else JOINED.get(frozenset({one, other}), MIXED)


def _kind(values: list[Any]) -> str:
    types = set(map(type, values)) - {type(None)}
    if types == {str}:
        return _kind_of_texts(values)
    if types == {list}:
        return _kind_of_lists(values)
    if not types or types == {bool}:
        return TRUTH if types else NULL
    if not types <= {int, float}:
        return MIXED
    largest = max((abs(value) for value in values if type(value) is int), default=0)
    if float in types:
        return NUMBER if largest <= EXACT else MIXED
    return SMALL if largest <= EXACT else WHOLE if largest < 2**63 else MIXED


def _kind_of_texts(values: Iterable[str | None]) -> str:
    try:
        "".join(filter(None, values)).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can hold and Arrow cannot
        return MIXED
    return TEXT


def _kind_of_lists(values: Iterable[list[Any] | None]) -> str:
    depths = {_depth(value) for value in values if value is not None}
    (depth,) = depths if len(depths) == 1 else (0,)
    return f"{LISTS}{depth}" if depth else MIXED


def _depth(values: list[Any]) -> int:
    """Returns how deeply lists of numbers are nested; 0 where they hold anything else, or are nested unevenly."""
    types = set(map(type, values))
    if types and types <= {int, float}:
        return int(max(map(abs, values)) <= EXACT or float in types)
    depths = set(map(_depth, values)) if types == {list} else {0}
    (depth,) = depths if len(depths) == 1 else (0,)
    return depth + 1 if depth else 0


def _names(rows: Iterable[dict[str, Any]]) -> Iterable[str]:
    return dict.fromkeys(name for row in rows for name in row)


def _blocks(file: Path, is_lines: bool, encoding: str) -> Iterator[list[dict[str, Any]]]:
    rows = _rows(file, is_lines, encoding)
    while block := list(islice(rows, ROWS_PER_BATCH)):
        yield block


def _rows(file: Path, is_lines: bool, encoding: str) -> Iterator[dict[str, Any]]:
    if not is_lines and (items := read_items(file, encoding)) is not None:
        yield from items
        return
    with file.open(encoding=encoding) as lines:
        parsed = ((number, line) for number, line in enumerate(lines, 1) if not line.isspace())
        for number, line in parsed:
            yield parsed_object(line, f"line {number}")


def read_items(file: Path, encoding: str = "utf-8-sig") -> list[dict[str, Any]] | None:
    """Returns the objects of a file that is one list; None for another file.

    Args:
        file: the file.
        encoding: encoding of the file.

    Raises:
        ValueError: it is no JSON, or an item is no object.
    """
    with file.open(encoding=encoding) as lines:
        if not lines.read(64).lstrip().startswith("["):
            return None
        lines.seek(0)
        return _checked(_parsed(lines.read(), "it"), "item")


def parsed_object(text: str, where: str) -> dict[str, Any]:
    """Returns an object of JSON.

    Args:
        text: source of the object.
        where: name of its place, for messages.

    Raises:
        ValueError: it is no JSON or no object, or names a column twice.
    """
    row = _parsed(text, where)
    if type(row) is not dict:
        _refuse(row, where)
    return row


def _checked(items: list[Any], what: str) -> list[dict[str, Any]]:
    for number, item in enumerate(items, 1):
        if type(item) is not dict:
            _refuse(item, f"{what} {number}")
    return items


def _refuse(found: object, where: str) -> NoReturn:
    raise ValueError(f"{where} is a {type(found).__name__} and no object. Write a row as an object by column.")


def _parsed(text: str, where: str) -> Any:
    try:
        return DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} is no JSON: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        require_different([name for name, _ in pairs])
    return found


def _constant(name: str) -> float | None:
    """Returns what Python writes for numbers that JSON does not have: NaN is none."""
    return None if name == "NaN" else float(name)


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)

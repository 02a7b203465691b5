"""A table as its file or package gives it: columns by name, read as numbers, texts or labels.

What a column of untyped texts holds is decided once, over all of its cells; types that a format has of its own stay.
"""

import json
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from maas.data.arrow_writer import JSON, MARK, OBJECTS, UNTYPED
from maas.data.cells import (
    INPUT_ADVICE,
    INTEGER_PATTERN,
    LABEL_ADVICE,
    NUMBER_ADVICE,
    NUMBER_PATTERN,
    UNCODED_PATTERN,
    WHOLE_PATTERN,
    CellDecoder,
    ColumnDecoder,
    ColumnReading,
    ColumnUse,
    column_refusal,
    float_of,
    label_cell,
    list_fault,
    number_cells,
    text_cells,
    value_cell,
    with_decimal,
)
from maas.data.label_sets import SET_ADVICE, class_names_of, columns_of_one, labels_in
from maas.data.tables import ArrowRows, Column, decoder_of
from maas.errors import DataError
from maas.suggesting import hint_of

Make = Callable[[str], float]

NUMBER_KINDS: Mapping[ColumnUse, Sequence[tuple[str, Make]]] = {
    "number": ((INTEGER_PATTERN, int), (NUMBER_PATTERN, float)),
    "category": ((WHOLE_PATTERN, int),),
    "any": ((WHOLE_PATTERN, int), (UNCODED_PATTERN, float)),
    "text": (),
}
"""What a column's texts can be made, the strictest pattern first: the first one that all of them match."""


class Sheet:
    """Columns of one table.

    Args:
        parts: rows, one part after the other, of the same columns.
        origin: origin of the rows, for messages.
        reading: reading of the columns.

    Raises:
        DataError: the parts have unequal columns, or a column that `reading.texts` names is not there.
    """

    def __init__(self, parts: Sequence[ArrowRows], origin: str, reading: ColumnReading) -> None:
        self.parts = parts
        self.origin = origin
        self.names = parts[0].names
        self._reading = reading
        for part in parts:
            if unlike := set(part.names) ^ set(self.names):
                raise DataError(
                    f"{origin} has files of unequal columns: {', '.join(sorted(unlike))} is not in all of them. Give "
                    "them the same columns."
                )
        require_columns(reading.texts, self.names, origin, "Set data.source.texts.")

    def rows(self, names: Sequence[str], make: Callable[..., Any]) -> Column:
        """Returns rows made of some columns: numbers, texts and truth values, None for what is missing.

        Raises:
            DataError: at once or when rows are read: a column holds what no row can.
        """
        return Column(self.parts, names, make, {name: self._cells(name) for name in names})

    def column(self, name: str) -> Column:
        """Returns the values of a column as `rows` has them."""
        return Column(self.parts, [name], None, {name: self._cells(name)})

    def labels(self, name: str) -> Column:
        """Returns a column as labels, each the text that the file holds; None for what is missing.

        Raises:
            DataError: at once or when rows are read: the column holds what is no label.
        """
        return Column(self.parts, [name], None, {name: [self._label(part, name) for part in self.parts]})

    def label_sets(self, names: Sequence[str], separator: str | None) -> Column:
        """Returns sets of labels, a list of texts each: of columns of 0 and 1, of a column of lists, or of texts.

        Args:
            names: several columns, whose names are the labels, or one.
            separator: what stands between the labels of a text; None where there is one column of lists, or several.

        Raises:
            DataError: at once or when rows are read: a column holds something else.
        """
        if len(names) > 1:
            return Column(
                self.parts, names, partial(columns_of_one, names), {name: self._cells(name) for name in names}
            )
        (name,) = names
        decoders = [self._label_set(part, name, separator) for part in self.parts]
        return Column(self.parts, [name], None, {name: decoders})

    def has_lists(self, name: str) -> bool:
        """Whether a column holds lists."""
        return any(_is_lists(part, name) for part in self.parts)

    def inputs(self, name: str) -> Column:
        """Returns a column as raw inputs: texts, numbers, bytes, lists of numbers, images and sounds.

        Raises:
            DataError: at once or when rows are read: the column holds what is no input.
        """
        if self._reading.use_of(name) in ("text", "number"):
            return self.column(name)
        return Column(self.parts, [name], None, {name: [self._input(part, name) for part in self.parts]})

    def _cells(self, name: str) -> list[ColumnDecoder | None]:
        missing, use = self._reading.missing, self._reading.use_of(name)
        make = self._number_of(name, use)
        of_text = number_cells(make, missing) if make else text_cells(missing)
        return [self._cell(part, name, use, of_text) for part in self.parts]

    def _cell(self, part: ArrowRows, name: str, use: ColumnUse, of_text: ColumnDecoder) -> ColumnDecoder | None:
        type_ = part.field(name).type
        if found := _unfit(part, name):
            raise column_refusal(name, found)
        if _is_texts(part, name):
            return of_text
        cells = decoder_of(part.feature(name)) or _each(value_cell(name, use, self._reading.missing))
        is_plain = use != "text" and (pa.types.is_integer(type_) or pa.types.is_boolean(type_))
        if is_plain and decoder_of(part.feature(name)) is None:
            return None
        return _of_json(cells) if _mark(part, name) == JSON else cells

    def _label(self, part: ArrowRows, name: str) -> ColumnDecoder | None:
        missing = self._reading.missing
        if found := _unfit(part, name):
            raise column_refusal(name, found, LABEL_ADVICE)
        if _is_texts(part, name):
            cells = text_cells((*missing, ""))
            return _dotted(cells) if self._reading.decimal == "," and self._number_of(name, "any") else cells
        cells = decoder_of(part.feature(name)) or _each(label_cell(name, missing))
        return _of_json(cells) if _mark(part, name) == JSON else cells

    def _label_set(self, part: ArrowRows, name: str, separator: str | None) -> ColumnDecoder:
        cells = _each(label_cell(name, self._reading.missing))
        if _is_lists(part, name):
            listed = class_names_of(part.feature(name))
            sets = _each(lambda one: None if one is None else [name for name in cells(listed(one)) if name is not None])
            return _of_json(sets) if _mark(part, name) == JSON else sets
        if not _is_texts(part, name) or separator is None:
            raise column_refusal(name, str(part.field(name).type), SET_ADVICE)
        return lambda texts: [[] if text is None else labels_in(text, separator) for text in texts]

    def _input(self, part: ArrowRows, name: str) -> ColumnDecoder | None:
        if known := decoder_of(part.feature(name)):
            return known
        if _mark(part, name) == JSON:
            return self._json_inputs(part, name)
        if _is_texts(part, name) and _mark(part, name) != OBJECTS:
            return text_cells(self._reading.missing)
        inner = part.field(name).type
        while pa.types.is_list(inner) or pa.types.is_large_list(inner) or pa.types.is_fixed_size_list(inner):
            inner = inner.value_type
        if (found := _unfit(part, name)) and not (pa.types.is_integer(inner) or pa.types.is_floating(inner)):
            raise column_refusal(name, found, INPUT_ADVICE)
        return None

    def _json_inputs(self, part: ArrowRows, name: str) -> ColumnDecoder:
        """Returns what reads inputs of several types, which are lists where one of them has a gap."""
        cells = _of_json(_each(value_cell(name, "any", self._reading.missing, INPUT_ADVICE)))

        def inputs(texts: Sequence[Any]) -> list[Any]:
            try:
                return cells(texts)
            except DataError as error:
                raise _list_refusal(part, name, self.origin) or error from None

        return inputs

    def _number_of(self, name: str, use: ColumnUse) -> Make | None:
        """Returns what makes numbers of a column's texts; None where they stay texts.

        Raises:
            DataError: one is no number, and numbers are required.
        """
        texts = [
            part for part in self.parts if _mark(part, name) == UNTYPED or (use == "number" and _is_texts(part, name))
        ]
        kinds = self._kinds(use) if texts else []
        for part in texts:
            for cells in self._present(part, name):
                while kinds and not _all_match(cells, kinds[0][0]):
                    kinds.pop(0)
                if not kinds and use == "number":
                    number = _whole(self._decimal(NUMBER_PATTERN))
                    wrong = cells.filter(pc.invert(pc.match_substring_regex(cells, number)))[0].as_py()
                    raise DataError(
                        f"{self.origin} has {wrong!r} in the column {name}, and {NUMBER_ADVICE.format(name)}"
                    )
                if not kinds:
                    return None
        return kinds[0][1] if kinds else None

    def _kinds(self, use: ColumnUse) -> list[tuple[str, Make]]:
        make = float_of(self._reading.decimal)
        return [(self._decimal(pattern), make if of is float else of) for pattern, of in NUMBER_KINDS[use]]

    def _decimal(self, pattern: str) -> str:
        return with_decimal(pattern, self._reading.decimal)

    def _present(self, part: ArrowRows, name: str) -> Iterator[pa.Array]:
        """Yields the cells that are not missing, a batch at a time."""
        for cells in part.chunks(name):
            nothing = pa.array([*self._reading.missing, None], cells.type)
            yield cells.filter(pc.invert(pc.is_in(cells, nothing)))


def require_columns(wanted: Sequence[str], present: Sequence[str], origin: str, advice: str) -> None:
    """Refuses a table that lacks a column.

    Raises:
        DataError: naming what is missing, what is there, and what to do.
    """
    known = set(present)
    missing = [name for name in wanted if name not in known]
    if missing:
        found = f"{origin} has no column {', '.join(missing)}; its columns are {', '.join(present)}."
        raise DataError(f"{found}{hint_of(missing[0], present)} {advice}")


def _mark(part: ArrowRows, name: str) -> bytes | None:
    mark: bytes | None = (part.field(name).metadata or {}).get(MARK)
    return mark


def _is_texts(part: ArrowRows, name: str) -> bool:
    type_ = part.field(name).type
    return (pa.types.is_string(type_) or pa.types.is_large_string(type_)) and _mark(part, name) != JSON


def _is_lists(part: ArrowRows, name: str) -> bool:
    type_ = part.field(name).type
    if _mark(part, name) == JSON:  # values of several types, or lists of them
        texts = (text for cells in part.chunks(name) for text in cells.to_pylist() if text is not None)
        return next(texts, "").startswith("[")
    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_))


def _whole(pattern: str) -> str:
    return rf"\A(?:{pattern})\z"


def _all_match(cells: pa.Array, pattern: str) -> bool:
    return pc.all(pc.match_substring_regex(cells, _whole(pattern)), min_count=0).as_py() is True


def _each(cell: CellDecoder) -> ColumnDecoder:
    return lambda values: list(map(cell, values))


def _dotted(cells: ColumnDecoder) -> ColumnDecoder:
    """Returns what writes numbers with decimal commas as others are written."""
    return lambda texts: [None if text is None else text.replace(",", ".") for text in cells(texts)]


def _of_json(cells: ColumnDecoder) -> ColumnDecoder:
    return lambda texts: cells([None if text is None else json.loads(text) for text in texts])


def _list_refusal(part: ArrowRows, name: str, origin: str) -> DataError | None:
    """Returns the error for a column of lists, the first of which that has a gap it names; None where none has one."""
    texts = (text for cells in part.chunks(name) for text in cells.to_pylist())
    for number, text in enumerate(texts, 1):
        found = None if text is None else json.loads(text)
        if fault := list_fault(found):
            return DataError(
                f"{origin} holds {fault} in row {number} of the column {name}: {reprlib.repr(found)}; an input that is "
                "a list holds numbers, one at least. Fill the gap, or leave the row out."
            )
    return None


def _unfit(part: ArrowRows, name: str) -> str | None:
    """Returns what a column holds where neither a row nor a label can hold it."""
    type_ = part.field(name).type
    if pa.types.is_nested(type_):
        return "dictionary" if pa.types.is_struct(type_) or pa.types.is_map(type_) else "list"
    return "Python object" if _mark(part, name) == OBJECTS else None

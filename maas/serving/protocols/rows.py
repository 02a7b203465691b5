"""Rows from the forms in which protocols write them as JSON: instances, columns, records and tables.

What a model's processor reads is decided by its tensors: one tensor is the row itself, several are its columns. Values
are not checked here; the processor does that.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence

from maas.errors import InputError, shortened_value
from maas.records.signature import TensorSpec
from maas.serving.call import Row

BASE64 = "b64"
"""The only key of an object that holds bytes."""


def rows_of_instances(instances: Sequence[object], specs: Sequence[TensorSpec]) -> list[Row]:
    """Returns the rows of a list with a value, or an object by input, for each.

    Args:
        instances: values, `{"b64": …}` for bytes, or objects by name.
        specs: tensors that the model takes.

    Raises:
        InputError: an object lacks the model's only input or has another, or bytes are not base64.
    """
    if len(specs) == 1:
        return [_plain(_only(value, specs[0], index), specs[0], index) for index, value in enumerate(instances)]
    return [_by_name(value, specs, index) for index, value in enumerate(instances)]


def rows_of_columns(columns: object, specs: Sequence[TensorSpec]) -> list[Row]:
    """Returns the rows of a list of values a name; a list alone is the model's only input.

    Args:
        columns: lists by name, or one list.
        specs: tensors that the model takes.

    Raises:
        InputError: it is neither, names are not the model's, or lists are of unequal length.
    """
    if isinstance(columns, list):
        return rows_of_instances(columns, specs)
    if not isinstance(columns, Mapping) or not all(isinstance(values, list) for values in columns.values()):
        raise InputError('The inputs are a list for each name, {"name": [value, …]}, or one list.')
    if len(specs) == 1:
        if list(columns) != [specs[0].name]:
            raise InputError(f"The inputs are {_names(columns)}; the model takes one input, {specs[0].name!r}.")
        return rows_of_instances(columns[specs[0].name], specs)
    sizes = {shortened_value(name, ""): len(values) for name, values in columns.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"The inputs have unequal numbers of rows: {sizes}.")
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return rows_of_instances(rows, specs)


def rows_of_records(records: Sequence[Mapping[str, object]], specs: Sequence[TensorSpec]) -> list[Row]:
    """Returns the rows of a table that is written as one object by column for each.

    Args:
        records: rows; a model with one input takes their values, whatever their names.
        specs: tensors that the model takes.
    """
    if len(specs) == 1:
        return [_of_cells(list(record.values()), specs[0]) for record in records]
    return list(records)


def rows_of_table(
    names: Sequence[str] | None, data: Sequence[Sequence[object]], specs: Sequence[TensorSpec]
) -> list[Row]:
    """Returns the rows of a table that is written as the names of its columns and a list of values for each row.

    Args:
        names: of the columns; null for the model's own, in their order.
        data: (N, columns).
        specs: tensors that the model takes; one alone takes the values of a row, whatever their names.

    Raises:
        InputError: a row has more or fewer values than there are columns.
    """
    if names is not None:
        for index, cells in enumerate(data):
            if len(cells) != len(names):
                raise InputError(f"Row {index} has {len(cells)} values; the table has {len(names)} columns.")
    if len(specs) == 1:
        return [_of_cells(cells, specs[0]) for cells in data]
    return list(data) if names is None else [dict(zip(names, cells, strict=True)) for cells in data]


def _of_cells(cells: Sequence[object], spec: TensorSpec) -> Row:
    """Returns the value of a row with one cell, or all its values; a number alone is a value of a row of numbers."""
    is_value = len(cells) == 1 and (len(spec.shape) == 1 or not isinstance(cells[0], int | float))
    return cells[0] if is_value else list(cells)


def _only(value: object, spec: TensorSpec, index: int) -> object:
    """Returns the value of the model's only input."""
    if not isinstance(value, dict) or _is_bytes(value):
        return value
    if list(value) != [spec.name]:
        raise InputError(f"Row {index} has {_names(value)}; the model takes one input, {spec.name!r}.")
    return value[spec.name]


def _by_name(value: object, specs: Sequence[TensorSpec], index: int) -> Row:
    """Returns a row by column; lists of values pass as they are."""
    if not isinstance(value, dict):
        return value
    known = {spec.name: spec for spec in specs}
    return {
        name: _plain(one, known[name], index) if name in known and isinstance(one, list | dict) else one
        for name, one in value.items()
    }


def _plain(value: object, spec: TensorSpec, index: int) -> Row:
    """Returns what a processor reads: bytes of base64, and a value alone of a list of one where a row is a value."""
    if isinstance(value, list) and len(spec.shape) == 1 and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict) or not _is_bytes(value):
        return value
    try:
        content = base64.b64decode(value[BASE64], validate=True)
        return content.decode() if spec.datatype == "BYTES" else content
    except (binascii.Error, ValueError):  # the second for letters that are not ASCII, and for bytes that are not UTF-8
        held = "the base64 of a text in UTF-8" if spec.datatype == "BYTES" else "base64"
        raise InputError(f"Row {index} has {spec.name} as b64 that is not {held}.") from None


def _is_bytes(value: Mapping[str, object]) -> bool:
    return len(value) == 1 and isinstance(value.get(BASE64), str)


def _names(value: Mapping[str, object]) -> str:
    return str([shortened_value(name, "") for name in list(value)[:8]])

"""Values that a program holds, an array or a list with a target for each, as a table with names of columns."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from maas.errors import DataError
from maas.runtime.table_rows import LISTERS

TARGET, TEXT = "target", "text"
"""Columns of values that have no names."""


@runtime_checkable
class ArrowTable(Protocol):
    """What gives its columns as Arrow has them, such as a table of pyarrow, a frame of polars or a relation of DuckDB.

    Source: https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html
    """

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Returns the columns as a stream."""
        ...


def labelled_table(data: object, target: object) -> pa.Table:
    """Returns an array or texts with their targets as a table.

    Raises:
        DataError: they are none, or their number differs.
    """
    values = _values_of(data)
    texts = None if values is None else _texts(values)
    if values is None or (texts is None and (values.ndim not in (1, 2) or values.dtype.kind not in "biuf")):
        raise DataError(
            f"maas.fit was given {shown_type(data)}; it takes a file or folder, a frame, a data set of datasets, an "
            f"array (N, D) of numbers, or a list of N texts. {_remedy(data)}"
        )
    if target is None or isinstance(target, str) or not hasattr(target, "__len__"):
        raise DataError(f"target is {shown_type(target)}; {len(values):,} rows without columns need as many values.")
    if len(target) != len(values):
        raise DataError(f"target holds {len(target):,} values; the data has {len(values):,} rows. Give one for each.")
    if values.ndim == 1:
        columns = {"x0": values.tolist()} if texts is None else {TEXT: texts}
    else:
        columns = {f"x{place}": column.tolist() for place, column in enumerate(values.T)}
    return pa.table({**columns, TARGET: _targets(target)})


def _values_of(data: object) -> NDArray[Any] | None:
    """Returns values as an array; None where they are none, or of unequal lengths."""
    if isinstance(data, np.ndarray):
        return data
    is_column = isinstance(data, pd.Series) or (isinstance(data, ArrowTable) and is_one_column(data))
    if is_column and (lister := next((one for one in LISTERS if hasattr(data, one)), None)):
        data = getattr(data, lister)()
    if not isinstance(data, list | tuple) and not (hasattr(data, "__array__") and hasattr(data, "shape")):
        return None
    try:
        return _array_of(data)
    except (ValueError, TypeError, RuntimeError):  # rows of unequal length; a tensor that cannot leave its device
        return None


def _array_of(values: object) -> NDArray[Any]:
    """Returns values as an array; a list with texts becomes objects, as numpy's texts all have the longest's length."""
    if isinstance(values, list | tuple) and any(isinstance(one, str) for one in values):
        return np.fromiter(values, dtype=object, count=len(values))
    return np.asarray(values)


def _texts(values: NDArray[Any]) -> list[str | None] | None:
    """Returns texts, None for a missing one; None where the values are anything else."""
    if values.ndim != 1 or values.dtype.kind not in "UO":
        return None
    listed = [None if _is_gap(one) else one for one in values.tolist()]
    is_of_texts = all(isinstance(one, str | None) for one in listed) and any(one is not None for one in listed)
    return listed if is_of_texts else None


def _is_gap(value: object) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def is_one_column(data: object) -> bool:
    """Returns whether data is the values of one column, without names of columns."""
    return getattr(data, "ndim", 2) == 1 or not (hasattr(data, "columns") or hasattr(data, "column_names"))


def _remedy(data: object) -> str:
    """Returns what to do with data that is none of these."""
    first = data[0] if isinstance(data, list) and data else data
    remedies = (
        (hasattr(data, "toarray"), "Make it dense: data.toarray()."),
        (isinstance(first, dict), "Make a frame of it: pandas.DataFrame(data)."),
        (hasattr(data, "detach"), "Make an array of it: data.detach().cpu().numpy()."),
        (isinstance(data, Iterator), "Make a list of it: list(data)."),
        (isinstance(data, tuple) and len(data) == 2, "Give inputs and targets one by one: maas.fit(X, y)."),
        (isinstance(data, list | tuple), "Give all rows as many numbers."),
    )
    return next((words for applies, words in remedies if applies), "Write pictures into a folder for each label.")


def _targets(target: object) -> list[Any]:
    """Returns one target for each row.

    Raises:
        DataError: there are several for each, or one is infinite.
    """
    values = _array_of(target)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(
            f"target is {shown_type(values)}; each row has one. Of a column for each label, take target.argmax(axis=1)."
        )
    if values.dtype.kind == "f" and np.isinf(values).any():
        place = int(np.isinf(values).argmax())
        raise DataError(f"target is {values[place]} in row {place}, which nothing can learn. Leave such rows out.")
    if values.dtype.kind != "O":
        return list(values.tolist())
    listed = [None if _is_gap(one) else one for one in values.tolist()]
    has_texts = any(isinstance(one, str) for one in listed)
    return [one if one is None or not has_texts else str(one) for one in listed]


def shown_type(value: object) -> str:
    """Returns what a value is, for a message."""
    if isinstance(value, np.ndarray):
        return f"an array {value.shape} of {value.dtype}"
    return repr(value) if isinstance(value, str | None) else f"a {type(value).__name__}"

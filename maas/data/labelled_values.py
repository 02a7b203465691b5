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
    if (
        values is None
        or values.ndim not in (1, 2)
        or values.dtype.kind not in ("biufU" if values.ndim == 1 else "biuf")
    ):
        raise DataError(
            f"maas.fit was given {shown_type(data)}; it takes a file or folder, a frame, a data set of datasets, an "
            f"array (N, D) of numbers, or a list of N texts. {_remedy(data)}"
        )
    if target is None or isinstance(target, str) or not hasattr(target, "__len__"):
        raise DataError(f"target is {shown_type(target)}; {len(values):,} rows without columns need as many values.")
    if len(target) != len(values):
        raise DataError(f"target holds {len(target):,} values; the data has {len(values):,} rows. Give one for each.")
    if values.ndim == 1:
        columns = {TEXT if values.dtype.kind == "U" else "x0": values.tolist()}
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
        return np.asarray(data)
    except (ValueError, TypeError, RuntimeError):  # rows of unequal length; a tensor that cannot leave its device
        return None


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
    values = np.asarray(target)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(
            f"target is {shown_type(values)}; each row has one. Of a column for each label, take target.argmax(axis=1)."
        )
    if values.dtype.kind == "f" and np.isinf(values).any():
        place = int(np.isinf(values).argmax())
        raise DataError(f"target is {values[place]} in row {place}, which nothing can learn. Leave such rows out.")
    return list(values.tolist())


def shown_type(value: object) -> str:
    """Returns what a value is, for a message."""
    if isinstance(value, np.ndarray):
        return f"an array {value.shape} of {value.dtype}"
    return repr(value) if isinstance(value, str | None) else f"a {type(value).__name__}"

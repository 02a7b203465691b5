"""DataFrames of pandas as Arrow tables, so that they are read as files are."""

import logging

import pandas as pd
import pyarrow as pa

from maas.data.arrow_writer import JSON, MARK, OBJECTS, require_different, text_field
from maas.data.columnar import decoded_array
from maas.data.objects import MIXED, array_of
from maas.data.tables import ArrowRows
from maas.errors import DataError

log = logging.getLogger("maas")


def arrow_rows_of_frame(frame: pd.DataFrame, origin: str) -> ArrowRows:
    """Returns a frame's rows, as `arrow_table_of_frame` has them.

    Raises:
        DataError: two columns have one name.
    """
    return ArrowRows(arrow_table_of_frame(frame, origin))


def arrow_table_of_frame(frame: pd.DataFrame, origin: str) -> pa.Table:
    """Returns a frame's columns, and its index where that has a name.

    Args:
        frame: frame of any types; a column of several is kept as JSON, so that each value comes back as it was.
        origin: origin of the rows, for messages.

    Raises:
        DataError: two columns have one name, or one has several.
    """
    if frame.columns.nlevels > 1:
        raise DataError(
            f"{origin} has names of columns of {frame.columns.nlevels} levels, e.g. {frame.columns[0]}; a column has "
            "one name. Join them: frame.columns = ['_'.join(map(str, name)) for name in frame.columns]."
        )
    levels = [name for name in frame.index.names if name is not None]
    names = list(map(str, [*levels, *frame.columns]))
    try:
        require_different(names)
    except ValueError as error:
        raise DataError(f"{origin} cannot be read: {error}") from error
    named = frame.reset_index(levels)
    columns = [_column(name, named.iloc[:, place]) for place, name in enumerate(names)]
    fields, arrays = zip(*columns, strict=True) if columns else ((), ())
    return pa.Table.from_arrays(list(arrays), schema=pa.schema(list(fields)))


def without_objects(table: pa.Table) -> pa.Table:
    """Returns a table without columns of objects that no file holds, such as complex numbers; each is named."""
    objects = [field.name for field in table.schema if (field.metadata or {}).get(MARK) == OBJECTS]
    for name in objects:
        log.warning("data      %r is left out: it holds objects, not numbers, texts, truth values or dates", name)
    return table.drop_columns(objects)


def _column(name: str, series: pd.Series) -> tuple[pa.Field, pa.Array]:
    try:
        series = series.sparse.to_dense() if isinstance(series.dtype, pd.SparseDtype) else series
        is_float = pd.api.types.is_float_dtype(series)  # which is how pandas keeps whole numbers with a gap
        array = decoded_array(pa.Array.from_pandas(series.convert_dtypes() if is_float else series))
        return pa.field(name, array.type), array
    except (pa.ArrowException, TypeError, OverflowError):  # values of several types, or whole numbers beyond 64 bits
        values = series.astype(object).where(series.notna(), None).tolist()
    try:
        return text_field(name, JSON), array_of(values, MIXED)
    except TypeError:  # what JSON does not know
        return text_field(name, OBJECTS), pa.nulls(len(values), pa.string())

"""What a model takes of the rows of a file: columns by name, one column of inputs, or files; and its predictions."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from maas.data.cells import MISSING, value_cell
from maas.errors import DataError, InputError
from maas.predicting.blocks import RowBlock
from maas.predicting.cells import Cells, Faults, cell_values, input_column, number_column, plain_column
from maas.predicting.prediction_columns import PredictionColumns
from maas.runtime.codec import Codec, Outputs
from maas.runtime.columns import CodedColumn
from maas.runtime.model import Predictor, not_finite
from maas.runtime.processors.tabular import TabularProcessor

_OWN_ROW = re.compile(r"\b([Rr])ow 0\b")


class PredictedPart(NamedTuple):
    """Predictions of a part of the rows.

    Args:
        table: a row for each of them, with nothing in it for a row that has no prediction.
        faults: why a row has none, by its place.
    """

    table: pa.Table
    faults: Mapping[int, str]


class PartPredictor(Protocol):
    """Gives predictions, columns of a `schema`, for parts of `part_rows` rows."""

    schema: pa.Schema
    part_rows: int

    def predicted(self, part: RowBlock) -> PredictedPart:
        """Returns the predictions of a part."""
        ...


class FileRowReader(Protocol):
    """Makes raw rows of a block."""

    def rows(self, block: RowBlock) -> tuple[Sequence[object], Faults]:
        """Returns a raw row for each of the block's, and why some of them are none."""
        ...


class ColumnsReader:
    """Makes a row by column for a model that reads columns.

    Args:
        processor: the model's.
    """

    def __init__(self, processor: Codec) -> None:
        self.numbers = [spec.name for spec in processor.input_specs if spec.datatype != "BYTES"]
        self.names = [spec.name for spec in processor.input_specs]

    def rows(self, block: RowBlock) -> tuple[Sequence[object], Faults]:
        """Returns rows by column."""
        faults: Faults = {}
        columns: list[list[object]] = []
        for name in self.names:
            if name in self.numbers:
                values, wrong = plain_column(block.column(name), name, "number", block.decimal)
            else:
                values, wrong = plain_column(block.column(name), name, "category")
            faults = {**wrong, **faults}
            columns.append(values)
        return [dict(zip(self.names, row, strict=True)) for row in zip(*columns, strict=True)], faults


class InputsReader:
    """Makes a row of one column, or a list of several columns of numbers.

    Args:
        names: names of the columns.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)

    def rows(self, block: RowBlock) -> tuple[Sequence[object], Faults]:
        """Returns raw inputs."""
        if len(self.names) == 1:
            return input_column(block.column(self.names[0])), {}
        faults: Faults = {}
        columns: list[list[object]] = []
        for name in self.names:
            values, wrong = plain_column(block.column(name), name, "number", block.decimal)
            faults = {**wrong, **faults}
            columns.append(values)
        return list(map(list, zip(*columns, strict=True))), faults


class FileReader:
    """Makes a row of a file's path.

    Args:
        folder: folder that the paths are relative to.
        name: column of the paths.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.names = folder, [name]

    def rows(self, block: RowBlock) -> tuple[Sequence[object], Faults]:
        """Returns paths."""
        return [self.folder / str(name) for name in cell_values(block.column(self.names[0]))], {}


class PredictingModel:
    """Predicts parts by the one inference path; a row that it refuses has no prediction, and others keep theirs.

    Args:
        predictor: the model.
        reader: makes rows of a part.
        columns: makes columns of the outputs.
        part_rows: rows of a part, a multiple of the predictor's batch size.
    """

    def __init__(self, predictor: Predictor, reader: FileRowReader, columns: PredictionColumns, part_rows: int) -> None:
        self._predictor, self._reader, self._columns = predictor, reader, columns
        self.schema, self.part_rows = columns.schema, part_rows

    def predicted(self, part: RowBlock) -> PredictedPart:
        """Returns the predictions of a part."""
        found = self._by_columns(part) or self._by_rows(part)
        places, outputs, faults = found
        if outputs is not None:
            is_whole = _finite_rows(outputs)
            for place in np.flatnonzero(~is_whole).tolist():
                one = {name: array[place : place + 1] for name, array in outputs.items()}
                faults[int(places[place])] = _of_its_row(not_finite(one) or "")
            if not is_whole.all():
                places, outputs = places[is_whole], {name: array[is_whole] for name, array in outputs.items()}
        table = self.schema.empty_table() if outputs is None or not len(places) else self._columns.of(outputs)
        return PredictedPart(_placed(table, places, len(part)), faults)

    def _by_columns(self, part: RowBlock) -> "_Run | None":
        """Predicts whole columns at once; None where the model does not take them, or refuses a row."""
        processor = self._predictor.processor
        if not isinstance(processor, TabularProcessor) or not isinstance(self._reader, ColumnsReader):
            return None
        faults = dict(part.faults)
        try:
            numbers = [number_column(part.column(name), name, part.decimal) for name in processor.numbers]
            categories = [coded_column(part.column(name), name) for name in processor.categories]
            dates = [plain_column(part.column(name), name, "category") for name in processor.dates]
            for _, wrong in (*numbers, *categories, *dates):
                faults = {**wrong, **faults}
            columns = ([one for one, _ in numbers], [one for one, _ in categories], [one for one, _ in dates])
            features = processor.preprocess_columns(*columns)
        except InputError:
            return None
        places = _others(len(part), faults)
        if len(places) < len(part):
            features = type(features)(features.feature, features.array[places])
        return _Run(places, self._predictor.outputs_of(features) if len(places) else None, faults)

    def _by_rows(self, part: RowBlock) -> "_Run":
        rows, wrong = self._reader.rows(part)
        faults = {**wrong, **part.faults}
        places = _others(len(part), faults)
        if not len(places):
            return _Run(places, None, faults)
        try:
            return _Run(places, self._predictor.outputs([rows[place] for place in places]), faults)
        except InputError:
            faults |= self._refused(rows, places.tolist())
        places = _others(len(part), faults)
        outputs = self._predictor.outputs([rows[place] for place in places]) if len(places) else None
        return _Run(places, outputs, faults)

    def _refused(self, rows: Sequence[object], places: Sequence[int]) -> Faults:
        """Returns why the model does not take rows, each by itself."""
        faults: Faults = {}
        for place in places:
            try:
                self._predictor.preprocess([rows[place]])
            except InputError as error:
                faults[place] = _of_its_row(str(error))
        return faults


class _Run(NamedTuple):
    """Which rows were predicted, the graph's outputs for them, and why others were not."""

    places: NDArray[np.int64]
    outputs: Outputs | None
    faults: Faults


def coded_column(column: Cells, name: str) -> tuple[CodedColumn, Faults]:
    """Returns a column of categories by its different values, and the faults by row.

    Args:
        column: (N,) of any type.
        name: name of the column, for messages.
    """
    if isinstance(column, pa.ChunkedArray):
        encoded = column.combine_chunks().dictionary_encode()
        different = encoded.dictionary.to_pylist()
        codes = encoded.indices.fill_null(len(different)).to_numpy(zero_copy_only=False)
        cell = value_cell(name, "category", MISSING)
        try:
            return CodedColumn(codes, [*map(cell, different), None]), {}
        except DataError:
            pass
    values, faults = plain_column(column, name, "category")
    return CodedColumn(None, values), faults


def _finite_rows(outputs: Outputs) -> NDArray[np.bool_]:
    """Returns which rows have finite numbers alone, (N,)."""
    arrays = [array.reshape(len(array), -1) for array in outputs.values() if array.dtype.kind == "f"]
    rows = len(next(iter(outputs.values())))
    is_finite = np.ones(rows, dtype=bool)
    for array in arrays:
        is_finite &= np.isfinite(array).all(axis=1)
    return is_finite


def _others(rows: int, faults: Mapping[int, str]) -> NDArray[np.int64]:
    is_sound = np.ones(rows, dtype=bool)
    is_sound[list(faults)] = False
    return np.flatnonzero(is_sound)


def _placed(table: pa.Table, places: NDArray[np.int64], rows: int) -> pa.Table:
    """Returns predictions at the places of their rows, and nothing in the others."""
    if len(places) == rows:
        return table
    order = np.zeros(rows, dtype=np.int64)
    is_empty = np.ones(rows, dtype=bool)
    order[places], is_empty[places] = np.arange(len(places)), False
    return table.take(pa.array(order, mask=is_empty))


def _of_its_row(message: str) -> str:
    """Returns the message of a row that was looked at alone, without the number that it had there."""
    return _OWN_ROW.sub(lambda found: "The row" if found[1] == "R" else "the row", message)

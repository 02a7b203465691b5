"""Labelled rows of tables: lines of text, files, the Hugging Face hub and scikit-learn.

Rows of mixed columns, folders of files and arrays of pixels have files of their own beside this one. A source returns
tables by split name; `all` stands for rows not split yet. Each table has the columns `input` and `label`, labels as
text. A source neither cleans nor splits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

from maas.bounds import ExistingPath
from maas.data.cells import ONLY_EMPTY, ColumnReading, DecimalMark
from maas.data.formats import TEXT, FileSettings, format_of
from maas.data.hub import loaded
from maas.data.preparing import first_message_line, prepared
from maas.data.sheets import Sheet, require_columns
from maas.data.system import file_of_package, python_package_missing
from maas.data.tables import ArrowRows, Column, Table, Tables
from maas.data.workbooks import SheetName
from maas.errors import DataError

__all__ = ["Tables", "files", "hub", "labelled_lines", "scikit_learn"]

Name: TypeAlias = str | int
"""Of a column; YAML reads a name of digits as a whole number."""


class HasTarget(Protocol):
    """A data set of scikit-learn; `target` is (N,) or (N, targets)."""

    target: NDArray[Any]


def labelled_lines(files: Mapping[str, str], package: str | None = None) -> Tables:
    """Reads text files of one row a line, a file for each label, plain or compressed.

    Args:
        files: label → file.
        package: an installed package that the paths are relative to; null for paths on disk.

    Raises:
        DataError: the package or a file is missing, or a file is no text in UTF-8.
    """
    parts: list[ArrowRows] = []
    labels: list[str] = []
    for label, file in files.items():
        path = file_of_package(package, file) if package else Path(file)
        if not path.is_file():
            raise DataError(f"There is no file {file}.")
        lines = prepared(path, TEXT)
        parts += lines
        labels += [label] * sum(map(len, lines))
    return {"all": {"input": Column(parts, ["text"]), "label": labels}}


def files(
    path: ExistingPath,
    input: Name | Sequence[Name] = "text",  # noqa: A002 - the recipe's word
    label: Name | Sequence[Name] | None = "label",
    test_path: ExistingPath | None = None,
    texts: Sequence[Name] = (),
    numbers: Sequence[Name] = (),
    categories: Sequence[Name] = (),
    missing: Sequence[str] = ONLY_EMPTY,
    encoding: str | None = None,
    separator: str | None = None,
    decimal: DecimalMark = ".",
    sheet: SheetName | None = None,
    label_separator: str | None = None,
) -> Tables:
    """Reads a table from CSV, TSV, JSON (lines), Parquet or a workbook, plain or compressed.

    A single column of a CSV file is read as texts; of several, those are numbers whose cells all are.

    Args:
        path: the file.
        input: the column of inputs, or several columns that make one row, a list in this order.
        label: the column of labels or numbers to learn, or of lists of labels, or several columns of 0 and 1 whose
            names are the labels; null where rows carry none.
        test_path: a second file that holds the test split.
        texts: columns that are texts though they look like numbers, or are numbers in the file.
        numbers: columns whose cells must be numbers.
        categories: columns that keep their own text, so that 1.0 is not 1.
        missing: texts that stand for nothing.
        encoding: encoding of a text file, as Python names it; null for UTF-8.
        separator: what separates cells; null for a comma in .csv and a tab in .tsv.
        decimal: what comes before the fraction of a number in a file of texts.
        sheet: sheet of a workbook, by its name or its place from 0; null for the first that holds anything.
        label_separator: what stands between the labels of a cell that holds several; null where it holds one.

    Raises:
        DataError: the format is unknown, the file cannot be read or lacks a column.
    """
    reading = replace(reading_of(texts, numbers, categories, missing), decimal=decimal)
    settings = FileSettings(encoding, separator, sheet)
    paths = {"train": path, "test": test_path} if test_path else {"all": path}
    return {
        split: labelled(read_file(file, reading, settings), input, label, label_separator)
        for split, file in paths.items()
    }


def hub(
    id: str,  # noqa: A002 - the hub's word
    input: Name | Sequence[Name] = "text",  # noqa: A002 - the recipe's word
    label: Name | Sequence[Name] | None = "label",
    config: str | None = None,
    revision: str | None = None,
    texts: Sequence[Name] = (),
    numbers: Sequence[Name] = (),
    categories: Sequence[Name] = (),
    missing: Sequence[str] = ONLY_EMPTY,
    label_separator: str | None = None,
) -> Tables:
    """Loads a data set of the Hugging Face hub, or a local folder that `datasets` understands.

    Images and sounds stay as they were encoded: the recipe's processor decodes them, in training as in serving. Files
    of CSV and JSON are read as those of `files`, unless the data set itself declares their types.

    Args:
        id: OWNER/NAME or a folder.
        input: the column of inputs, or several columns that make one row, a list in this order.
        label: the column of labels or numbers to learn, or of lists of labels, or several columns of 0 and 1 whose
            names are the labels; null where rows carry none.
        config: the data set's configuration.
        revision: a commit, so that the rows cannot change.
        texts: columns that are texts though they look like numbers, or are numbers in the file.
        numbers: columns whose cells must be numbers.
        categories: columns that keep their own text, so that 1.0 is not 1.
        missing: texts that stand for nothing.
        label_separator: what stands between the labels of a cell that holds several; null where it holds one.

    Raises:
        DataError: it cannot be loaded or lacks a column.
    """
    reading = reading_of(texts, numbers, categories, missing)
    found = loaded(id, config, revision)
    return {split: labelled(Sheet(parts, id, reading), input, label, label_separator) for split, parts in found.items()}


def scikit_learn(loader: str, sets: Mapping[str, Sequence[Name]] | None = None) -> Tables:
    """Loads a data set of numbers that scikit-learn ships, of labels or of numbers to learn.

    Args:
        loader: e.g. `sklearn.datasets.load_digits` or `sklearn.datasets.load_diabetes`.
        sets: label → the targets of which it is true, so that each row has a set of labels, e.g. `{even: [0, 2, 4]}`;
            null takes the targets as they are.

    Raises:
        DataError: there is no such loader, or its rows have several targets.
    """
    bunch = called(loader)
    rows = bunch.data if isinstance(bunch.data, list) else bunch.data.tolist()
    targets: Sequence[Any] = targets_of(bunch, loader)
    if sets is not None:
        members = {label: set(map(str, those)) for label, those in sets.items()}
        targets = [[label for label, those in members.items() if target in those] for target in targets]
    return {"all": {"input": rows, "label": targets}}


def called(loader: str, distribution: str | None = None) -> Any:
    """Returns what a function of an installed package returns, or the value itself where it is none.

    Args:
        loader: the dotted name.
        distribution: pip's name of the package, where that differs.

    Raises:
        DataError: the package is not installed, or has nothing of that name.
    """
    package = loader.partition(".")[0]
    try:
        found = resolve_name(loader)
        return found() if callable(found) else found
    except (ImportError, AttributeError, ValueError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            raise python_package_missing(distribution or package) from error
        raise DataError(f"{loader} cannot be loaded: {first_message_line(error)}") from error


def targets_of(bunch: HasTarget, loader: str) -> list[str | None]:
    """Returns the targets of a data set of scikit-learn as text: names where it has names, else numbers.

    Raises:
        DataError: a row has several targets.
    """
    if bunch.target.ndim != 1:
        raise DataError(f"{loader} has {bunch.target.shape[1]} targets a row; exactly one is needed.")
    names = getattr(bunch, "target_names", None)
    if names is None or bunch.target.dtype.kind not in "iu":  # where targets are numbers, it names their column
        return [None if value != value else str(value) for value in bunch.target.tolist()]  # noqa: PLR0124 - NaN
    return [str(names[value]) for value in bunch.target.tolist()]


def read_file(path: str | Path, reading: ColumnReading, settings: FileSettings | None = None) -> Sheet:
    """Returns a table of a known format.

    Raises:
        DataError: the format is unknown, or the file cannot be read.
    """
    return Sheet(prepared(Path(path), format_of(path, settings)), str(path), reading)


def reading_of(
    texts: Sequence[Name], numbers: Sequence[Name], categories: Sequence[Name], missing: Sequence[str]
) -> ColumnReading:
    """Returns how a recipe wants columns to be read; columns may be named by whole numbers."""
    texts, numbers, categories = (tuple(map(str, names)) for names in (texts, numbers, categories))
    return ColumnReading(texts, numbers, categories, tuple(missing))


def labelled(
    sheet: Sheet, inputs: Name | Sequence[Name], label: Name | Sequence[Name] | None, separator: str | None = None
) -> Table:
    """Keeps inputs and labels as `input` and `label`, labels as text, sets of labels as lists of texts."""
    several = None if isinstance(inputs, str | int) else list(map(str, inputs))
    wanted = [str(inputs)] if several is None else several
    labels = column_names(label)
    require_columns([*wanted, *labels], sheet.names, sheet.origin, "Set data.source.input and data.source.label.")
    rows = sheet.inputs(str(inputs)) if several is None else sheet.rows(several, lambda *values: list(values))
    return {"input": rows, "label": labels_of(sheet, labels, separator) if labels else [None] * len(rows)}


def column_names(names: Name | Sequence[Name] | None) -> list[str]:
    """Returns the columns that a recipe names: none, one or several."""
    return [] if names is None else [str(names)] if isinstance(names, str | int) else list(map(str, names))


def labels_of(sheet: Sheet, names: Sequence[str], separator: str | None) -> Sequence[Any]:
    """Returns each row's label, or its set of labels where several columns, a separator or lists give sets."""
    if len(names) > 1 or separator is not None or sheet.has_lists(names[0]):
        return sheet.label_sets(names, separator)
    return sheet.labels(names[0])

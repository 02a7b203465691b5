"""Labelled rows of tables: lines of text, files, the Hugging Face hub and scikit-learn.

Rows of mixed columns, folders of files and arrays of pixels have files of their own beside this one. A source returns
tables by split name; `all` stands for rows not split yet. Each table has the columns `input` and `label`, labels as
text. A source neither cleans nor splits.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from datasets import DatasetDict, load_dataset

from maas.bounds import ExistingPath
from maas.data.mapped import ArrowRows, Column, parts_of
from maas.data.preparing import first_line, prepared, reason_of
from maas.data.system import file_of_package, python_package_missing
from maas.data.tables import Table, Tables
from maas.errors import DataError

__all__ = ["Tables", "files", "hub", "labelled_lines", "scikit_learn"]

FORMATS = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}
COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz")


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
        lines = prepared(path, "text", {"encoding": "utf-8-sig"})
        parts += lines
        labels += [label] * sum(map(len, lines))
    return {"all": {"input": Column(parts, ["text"]), "label": labels}}


def files(
    path: ExistingPath,
    input: str | Sequence[str] = "text",  # noqa: A002 - the recipe's word
    label: str | None = "label",
    test_path: ExistingPath | None = None,
) -> Tables:
    """Reads a table from CSV, TSV, JSON (lines) or Parquet, plain or compressed.

    Args:
        path: the file.
        input: the column of inputs, or several columns that make one row, a list in this order.
        label: the column of labels or numbers to learn; null where rows carry none.
        test_path: a second file that holds the test split.

    Raises:
        DataError: the format is unknown, the file cannot be read or lacks a column.
    """
    tables = {"train" if test_path else "all": read_file(path)}
    if test_path:
        tables["test"] = read_file(test_path)
    origins = {"test": test_path}
    return {split: labelled(table, input, label, origins.get(split) or path) for split, table in tables.items()}


def hub(
    id: str,  # noqa: A002 - the hub's word
    input: str | Sequence[str] = "text",  # noqa: A002 - the recipe's word
    label: str | None = "label",
    config: str | None = None,
    revision: str | None = None,
) -> Tables:
    """Loads a data set of the Hugging Face hub, or a local folder that `datasets` understands.

    Images and sounds stay as they were encoded: the recipe's processor decodes them, in training as in serving.

    Args:
        id: OWNER/NAME or a folder.
        input: the column of inputs, or several columns that make one row, a list in this order.
        label: the column of labels or numbers to learn; null where rows carry none.
        config: the data set's configuration.
        revision: a commit, so that the rows cannot change.

    Raises:
        DataError: it cannot be loaded or lacks a column.
    """
    return {split: labelled(table, input, label, id) for split, table in loaded(id, config, revision).items()}


def scikit_learn(loader: str) -> Tables:
    """Loads a data set of numbers that scikit-learn ships, of labels or of numbers to learn.

    Args:
        loader: e.g. `sklearn.datasets.load_digits` or `sklearn.datasets.load_diabetes`.

    Raises:
        DataError: there is no such loader, or its rows have several targets.
    """
    bunch = called(loader)
    rows = bunch.data if isinstance(bunch.data, list) else bunch.data.tolist()
    return {"all": {"input": rows, "label": targets_of(bunch, loader)}}


def called(loader: str, distribution: str | None = None) -> Any:
    """Returns what a function of an installed package returns, or the value itself where it is none.

    Args:
        loader: the dotted name.
        distribution: what pip calls the package, where that is another name.

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
        raise DataError(f"{loader} cannot be loaded: {first_line(error)}") from error


def targets_of(bunch: Any, loader: str) -> list[str]:
    """Returns the targets of a data set of scikit-learn as text: names where it has names, else numbers.

    Raises:
        DataError: a row has several targets.
    """
    if bunch.target.ndim != 1:
        raise DataError(f"{loader} has {bunch.target.shape[1]} targets a row; exactly one is needed.")
    names = getattr(bunch, "target_names", None)
    if names is None or bunch.target.dtype.kind not in "iu":  # where targets are numbers, it names their column
        return [str(value) for value in bunch.target.tolist()]
    return [str(names[value]) for value in bunch.target.tolist()]


def loaded(id: str, config: str | None = None, revision: str | None = None) -> dict[str, list[ArrowRows]]:  # noqa: A002
    """Loads the splits of a data set of the hub that a training can use; arguments as in `hub`."""
    try:
        found = load_dataset(id, config, revision=revision)
    except Exception as error:  # the hub's client raises network, value and file errors alike
        raise DataError(f"The data set {id} cannot be loaded: {reason_of(error)}") from error
    tables = found if isinstance(found, DatasetDict) else {"all": found}
    if set(tables) == {"train"}:
        tables = {"all": tables["train"]}
    return {split: parts_of(tables[split]) for split in ("all", "train", "validation", "test") if split in tables}


def labelled(parts: Sequence[ArrowRows], inputs: str | Sequence[str], label: str | None, origin: str) -> Table:
    """Keeps inputs and labels as `input` and `label`, labels as text."""
    wanted = [inputs] if isinstance(inputs, str) else list(inputs)
    advice = "Set data.source.input and data.source.label."
    require_columns([*wanted, *([label] if label else [])], list(parts[0].features), origin, advice)
    rows = Column(parts, wanted, None if isinstance(inputs, str) else lambda *values: list(values))
    return {"input": rows, "label": Column(parts, [label], as_label) if label else [None] * len(rows)}


def require_columns(wanted: Sequence[str], present: Sequence[str], origin: str, advice: str) -> None:
    """Refuses a table that lacks a column.

    Raises:
        DataError: naming what is missing, what is there, and what to do.
    """
    missing = [name for name in wanted if name not in present]
    if missing:
        raise DataError(f"{origin} has no column {', '.join(missing)}; its columns are {', '.join(present)}. {advice}")


def format_of(path: str | Path) -> tuple[str, str]:
    """Returns the format of a file and its ending, both read from its name.

    Raises:
        DataError: the ending is unknown.
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes if suffix.lower() not in COMPRESSIONS]
    kind = FORMATS.get(suffixes[-1]) if suffixes else None
    if kind is None:
        raise DataError(
            f"{path} is of no known format; known are: {', '.join(FORMATS)}, plain or {'/'.join(COMPRESSIONS)}."
        )
    return kind, suffixes[-1]


def as_label(value: Any) -> str | None:
    """Returns a label as text; 1.0 is 1, as a column of whole numbers with a gap is read as numbers with a point."""
    if value is None or value == "" or value != value:  # noqa: PLR0124 - NaN alone differs from itself
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def read_file(path: str | Path) -> list[ArrowRows]:
    """Returns the rows of a table of a known format.

    Raises:
        DataError: the format is unknown, or the file cannot be read.
    """
    kind, suffix = format_of(path)
    options: dict[str, Any] = {"keep_default_na": False, "na_values": [""]} if kind == "csv" else {}  # "None" is a word
    if suffix == ".tsv":
        options["sep"] = "\t"
    return prepared(Path(path), kind, options)

"""Where labelled rows come from. A source returns tables by split name; `all` stands for rows not split yet.

Each table has the columns `input` and `label`. A source neither cleans nor splits.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, TypeAlias

from datasets import ClassLabel, Dataset, DatasetDict, load_dataset

from maas.bounds import ExistingPath
from maas.errors import DataError

Tables: TypeAlias = dict[str, Dataset]

FORMATS = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}
COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz")


def labelled_lines(files: Mapping[str, str], package: str | None = None) -> Tables:
    """Reads text files of one row a line, a file for each label.

    Args:
        files: label → file.
        package: an installed package that the paths are relative to; null for paths on disk.

    Raises:
        DataError: the package or a file is missing.
    """
    if package and find_spec(package) is None:
        raise DataError(f"The package {package} holds this data and is not installed. Run: pip install {package}")
    rows: dict[str, list[str]] = {"input": [], "label": []}
    for label, file in files.items():
        path = resources.files(package) / file if package else Path(file)
        if not path.is_file():
            raise DataError(f"There is no file {file}" + (f" in the package {package}." if package else "."))
        lines = path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
        rows["input"] += lines
        rows["label"] += [label] * len(lines)
    return {"all": Dataset.from_dict(rows)}


def files(
    path: ExistingPath,
    input: str | Sequence[str] = "text",  # noqa: A002 - the recipe's word
    label: str = "label",
    test_path: ExistingPath | None = None,
) -> Tables:
    """Reads a table from CSV, TSV, JSON (lines) or Parquet, plain or compressed.

    Args:
        path: the file.
        input: the column of inputs, or several columns of numbers that make one row.
        label: the column of labels.
        test_path: a second file that holds the test split.

    Raises:
        DataError: the format is unknown, the file cannot be read or lacks a column.
    """
    tables = {"train" if test_path else "all": _read_file(path)}
    if test_path:
        tables["test"] = _read_file(test_path)
    origins = {"test": test_path}
    return {split: _columns(table, input, label, origins.get(split) or path) for split, table in tables.items()}


def hub(
    id: str,  # noqa: A002 - the hub's word
    input: str | Sequence[str] = "text",  # noqa: A002 - the recipe's word
    label: str = "label",
    config: str | None = None,
    revision: str | None = None,
) -> Tables:
    """Loads a data set of the Hugging Face hub, or a local folder that `datasets` understands.

    Args:
        id: OWNER/NAME or a folder.
        input: the column of inputs.
        label: the column of labels.
        config: the data set's configuration.
        revision: a commit, so that the rows cannot change.

    Raises:
        DataError: it cannot be loaded or lacks a column.
    """
    try:
        loaded = load_dataset(id, config, revision=revision)
    except Exception as error:  # the hub's client raises network, value and file errors alike
        raise DataError(f"The data set {id} cannot be loaded: {_first_line(error)}") from error
    tables = loaded if isinstance(loaded, DatasetDict) else {"all": loaded}
    if set(tables) == {"train"}:
        tables = {"all": tables["train"]}
    known = {split: table for split, table in tables.items() if split in ("all", "train", "validation", "test")}
    return {split: _columns(table, input, label, id) for split, table in known.items()}


def scikit_learn(loader: str) -> Tables:
    """Loads a classification data set that scikit-learn ships.

    Args:
        loader: e.g. `sklearn.datasets.load_digits`.
    """
    bunch = resolve_name(loader)()
    names = [str(name) for name in bunch.target_names]
    table = Dataset.from_dict({"input": bunch.data.tolist(), "label": [names[index] for index in bunch.target]})
    return {"all": table}


def _read_file(path: str) -> Dataset:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes if suffix.lower() not in COMPRESSIONS]
    kind = FORMATS.get(suffixes[-1]) if suffixes else None
    if kind is None:
        raise DataError(
            f"{path} is of no known format; known are: {', '.join(FORMATS)}, plain or {'/'.join(COMPRESSIONS)}."
        )
    options: dict[str, Any] = {"keep_default_na": False, "na_values": [""]} if kind == "csv" else {}  # "None" is a word
    if suffixes[-1] == ".tsv":
        options["sep"] = "\t"
    try:
        return load_dataset(kind, data_files=str(path), split="train", **options)
    except Exception as error:  # datasets wraps whatever its parsers raise
        raise DataError(f"{path} cannot be read as {kind}: {_first_line(error.__cause__ or error)}") from error


def _columns(table: Dataset, inputs: str | Sequence[str], label: str, origin: str) -> Dataset:
    """Keeps inputs and labels as `input` and `label`, labels as text."""
    wanted = [inputs] if isinstance(inputs, str) else list(inputs)
    missing = [name for name in [*wanted, label] if name not in table.column_names]
    if missing:
        raise DataError(
            f"{origin} has no column {', '.join(missing)}; its columns are {', '.join(table.column_names)}. "
            "Set data.source.input and data.source.label."
        )
    feature = table.features[label]
    labels = [feature.int2str(value) if isinstance(feature, ClassLabel) else value for value in table[label]]
    values = table[inputs][:] if isinstance(inputs, str) else list(_joined(table, wanted))
    return Dataset.from_dict({"input": values, "label": [_named(value) for value in labels]})


def _named(label: Any) -> str | None:
    """Returns a label as text; 1.0 is 1, as a column of whole numbers with a gap is read as numbers with a point."""
    if label is None or label == "":
        return None
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def _joined(table: Dataset, names: Sequence[str]) -> Iterator[list[Any]]:
    for row in table.select_columns(list(names)):
        yield [row[name] for name in names]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

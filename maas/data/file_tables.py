"""Tables that name files: a column of paths to pictures or sounds, and one to learn.

Rows are paths; what is inside a file is read by the recipe's processor, in training as in serving.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from maas.bounds import ExistingPath
from maas.data.cells import ONLY_EMPTY
from maas.data.folders import FILES_NAMED, require_readable
from maas.data.sheets import require_columns
from maas.data.sources import Name, column_names, labels_of, read_file, reading_of
from maas.data.tables import Table, Tables
from maas.errors import DataError

FILE_ADVICE = "Set data.source.file and data.source.label."


def file_table(
    path: ExistingPath,
    file: Name = "path",
    label: Name | Sequence[Name] | None = "label",
    folder: ExistingPath | None = None,
    test_path: ExistingPath | None = None,
    label_separator: str | None = None,
) -> Tables:
    """Reads a table (CSV, TSV, JSON lines, Parquet) with a column of files and one of labels, or of numbers to learn.

    Args:
        path: the table.
        file: column of paths, absolute or relative to `folder`.
        label: column to learn, or several columns of 0 and 1 whose names are the labels; null where rows carry
            nothing to learn.
        folder: what paths are relative to; null is the table's own folder.
        test_path: a second table that holds the test split.
        label_separator: what stands between the labels of a cell that holds several; null where it holds one.

    Raises:
        DataError: the table cannot be read or lacks a column, or a file is not there or cannot be read.
    """
    paths = {"train": path, "test": test_path} if test_path else {"all": path}
    return {
        split: _read(Path(table), str(file), column_names(label), folder, label_separator)
        for split, table in paths.items()
    }


def _read(path: Path, file: str, labels: Sequence[str], folder: str | None, separator: str | None) -> Table:
    sheet = read_file(path, reading_of((), (), (), ONLY_EMPTY))
    require_columns([file, *labels], sheet.names, str(path), FILE_ADVICE)
    names: Sequence[str | None] = sheet.labels(file)[:]
    base = Path(folder) if folder else path.parent
    files = [None if name is None else base / name for name in names]
    _require_present(path, [one for one in files if one is not None])
    return {
        "input": [None if one is None else require_readable(one) for one in files],
        "label": labels_of(sheet, labels, separator) if labels else [None] * len(files),
    }


def _require_present(table: Path, files: Sequence[Path]) -> None:
    absent = [one for one in files if not os.path.isfile(one)]  # noqa: PTH113 - a third of the time of Path's
    if absent:
        shown = ", ".join(map(str, absent[:FILES_NAMED])) + (", …" if len(absent) > FILES_NAMED else "")
        raise DataError(
            f"{table} names {len(absent)} of {len(files)} files that are not there: {shown}. Set data.source.folder to "
            "what its paths are relative to, or correct them."
        )

"""Rows that are given together with an imported model: files, lines, tables, arrays.

Nothing is decoded here: the model's processor gives a row its meaning, the model's graph an array.
"""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.data.cells import MISSING, ONLY_EMPTY, ColumnReading
from maas.data.columns import table_rows
from maas.data.contents import Target, digests_of
from maas.data.media_files import SUFFIXES_OF_MODALITY, files_below, require_readable
from maas.data.sheets import require_columns
from maas.data.sources import labelled, labelled_lines, read_file
from maas.data.splits import Splits, prepare
from maas.data.tables import Table
from maas.errors import DataError
from maas.runtime.codec import Codec

INPUTS, TARGETS = "inputs", "targets"
ARRAYS, LINES = (".npz", ".npy"), (".txt",)
MIN_ROWS = 30
"""Rows of different content: ten to calibrate with, ten to choose by, ten to evaluate what was chosen."""


def given_rows(
    path: Path, processor: Codec, labels: Sequence[str], column: str | None = None, label: str | None = None
) -> Table:
    """Reads raw inputs as a processor takes them.

    Args:
        path: a folder of pictures or sounds, a file of lines, a table, or arrays (`inputs`, and maybe `targets`).
        processor: processor of the model.
        labels: the model's; files in folders of these names have the folder's label.
        column: column of a table that holds the inputs; None takes the processor's own name of a row.
        label: column of a table that holds the targets; None for rows without targets.

    Raises:
        DataError: the rows cannot be read as such.
    """
    if not path.exists():
        raise DataError(f"There is no {path}. Set calibration=PATH to rows that the model can answer.")
    is_table = path.is_file() and path.suffix.lower() not in ARRAYS + LINES
    if (column or label) and not is_table:
        raise DataError(
            f"{path} has no columns; leave out input= and label=, or name a table (.csv, .jsonl, .parquet)."
        )
    if path.is_dir():
        return _files(path, processor, labels)
    if is_table:
        return _table(path, processor, column, label)
    if path.suffix.lower() in LINES:
        lines = labelled_lines({"": str(path)})["all"]
        return {"input": lines["input"], "label": [None] * len(lines["input"])}
    arrays = given_arrays(path)
    if INPUTS not in arrays or set(arrays) - {INPUTS, TARGETS}:
        raise DataError(f"{path} holds {', '.join(arrays)}; it must hold {INPUTS}, and may hold {TARGETS}.")
    return given_table(list(arrays[INPUTS]), arrays.get(TARGETS), labels, path)


def given_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Reads arrays by name; the only one of an .npy file is called `inputs`.

    Raises:
        DataError: the file is missing, holds no arrays or pickled objects, or arrays of unequal length.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}. Set calibration=FILE.npz to arrays with the rows first.")
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            arrays = {INPUTS: found} if isinstance(found, np.ndarray) else dict(found)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} cannot be read as arrays: {error}. Write it with numpy.savez, without objects."
        ) from error
    lengths = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items()) or "nothing"
        raise DataError(
            f"{path} holds arrays of unequal length ({listed}); the first axis is the row, the same for all."
        )
    return arrays


def given_table(rows: Sequence[Any], targets: NDArray[Any] | None, labels: Sequence[str], path: Path) -> Table:
    """Puts rows and targets side by side.

    Args:
        rows: N raw inputs.
        targets: (N,), positions in `labels` or names of them, or numbers where there are none; None for nothing.
        labels: labels of the model.
        path: path of the rows, for messages.

    Raises:
        DataError: the targets are no labels of the model.
    """
    if targets is None:
        return {"input": rows, "label": [None] * len(rows)}
    if targets.ndim != 1:
        raise DataError(f"{TARGETS} of {path} has shape {list(targets.shape)}; it must be one for each row.")
    if labels and targets.dtype.kind in "iub":
        if targets.size and not 0 <= int(targets.min()) <= int(targets.max()) < len(labels):
            raise DataError(
                f"{TARGETS} of {path} holds {targets.min()} to {targets.max()}; the model has {len(labels)} labels, "
                f"0 to {len(labels) - 1}."
            )
        return {"input": rows, "label": [labels[position] for position in targets.astype(int).tolist()]}
    listed = [None if value != value else str(value) for value in targets.tolist()]  # noqa: PLR0124 - NaN
    return {"input": rows, "label": listed}


def parted(table: Mapping[str, Sequence[Any]], labels: Sequence[str], path: Path, *, are_texts: bool = False) -> Splits:
    """Splits rows into thirds by the digest of their content: to calibrate with, to choose by, to evaluate the choice.

    Args:
        table: rows and their labels, which may all be None.
        labels: labels of the model; none where targets are numbers or texts.
        path: path of the rows, for messages.
        are_texts: whether the model gives texts.

    Raises:
        DataError: there are too few of them, or they have labels that the model has not.
    """
    found = {value for value in table["label"] if value is not None}
    if labels and (unknown := sorted(found - set(labels))):
        raise DataError(f"{path} has the labels {', '.join(unknown)}; those of the model are {', '.join(labels)}.")
    different = len(np.unique(digests_of(table["input"], len(table["input"]))))
    if different < MIN_ROWS:
        raise DataError(
            f"{path} holds {different} different rows; at least {MIN_ROWS} are needed, and hundreds to evaluate with."
        )
    target: Target = "none" if not found else "text" if are_texts else "label" if labels else "number"
    return prepare({"all": table}, 1 / 3, 1 / 3, target, labels or None)


def _files(path: Path, processor: Codec, labels: Sequence[str]) -> Table:
    suffixes = SUFFIXES_OF_MODALITY.get(processor.modality)
    if suffixes is None:
        raise DataError(
            f"{path} is a folder; a {processor.kind} processor takes lines (.txt), a table or arrays (.npz)."
        )
    files = [file for file in files_below(path) if file.suffix.lower() in suffixes]
    if not files:
        raise DataError(f"{path} holds no file of {'/'.join(suffixes)}.")
    folders = {file.parent.name for file in files}
    if folders & set(labels) and folders - set(labels):
        others = ", ".join(sorted(folders - set(labels)))
        raise DataError(f"{path} holds folders of the model's labels and others ({others}); keep one kind.")
    files = list(map(require_readable, files))
    return {"input": files, "label": [file.parent.name if folders <= set(labels) else None for file in files]}


def _table(path: Path, processor: Codec, column: str | None, label: str | None) -> Table:
    target = [label] if label else []
    is_of_columns = isinstance(processor.row_schema.get("properties"), dict)
    specs = processor.input_specs if is_of_columns else ()
    names = [spec.name for spec in specs] or [column or processor.input_name]
    numbers = [spec.name for spec in specs if spec.datatype != "BYTES"]
    categories = [name for name in names if name not in numbers]
    sheet = read_file(path, ColumnReading((), numbers, categories, MISSING if is_of_columns else ONLY_EMPTY))
    require_columns([*names, *target], sheet.names, str(path), "Set input=COLUMN and label=COLUMN, or rename them.")
    return table_rows(sheet, names, label) if is_of_columns else labelled(sheet, names[0], label)

"""Folders of files, a folder for each label: images by class, sounds by word.

Rows are paths; what is inside a file is read by the recipe's processor, in training as in serving.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from maas.bounds import ExistingPath
from maas.data.media_files import IMAGES, SOUNDS, files_below, refuse_folder, require_readable
from maas.data.tables import Table, Tables
from maas.errors import DataError

__all__ = [
    "IMAGES",
    "SOUNDS",
    "audio_folder",
    "files_below",
    "files_by_label",
    "folders_by_split",
    "image_folder",
    "require_readable",
]

SPLIT_FOLDERS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""Names of folders that hold a split, whatever their case."""

FILES_NAMED = 3
"""Files that a warning names; it counts the others."""

log = logging.getLogger("maas")


def image_folder(path: ExistingPath) -> Tables:
    """Reads images by class: PATH/LABEL/*.png, or PATH/{train,validation,test}/LABEL/*.png.

    Args:
        path: the folder.

    Raises:
        DataError: there are no folders of labels, one of them is empty, or a file cannot be read.
    """
    return files_by_label(Path(path), IMAGES)


def audio_folder(path: ExistingPath) -> Tables:
    """Reads sounds by word: PATH/LABEL/*.wav, or PATH/{train,validation,test}/LABEL/*.wav.

    Args:
        path: the folder.

    Raises:
        DataError: there are no folders of labels, one of them is empty, or a file cannot be read.
    """
    return files_by_label(Path(path), SOUNDS)


def files_by_label(path: Path, suffixes: Sequence[str]) -> Tables:
    """Lists the files below a folder for each label, in the order of their names.

    Hidden files are passed over; files of another kind are left out, with a warning that names some of them.

    Args:
        path: holds a folder for each label, or for each split one that does.
        suffixes: endings of the files that count, in lower case.

    Raises:
        DataError: there are no folders of labels, one of them holds no such file, or a file cannot be read.
    """
    left_out = [file for file in _visible(path) if file.is_file()]
    tables = {split: _table(folder, suffixes, left_out) for split, folder in folders_by_split(path).items()}
    if left_out:
        _warn(path, suffixes, [file.relative_to(path).as_posix() for file in left_out])
    return tables


def folders_by_split(path: Path) -> dict[str, Path]:
    """Returns the folders of a folder by the split that each holds; the folder itself as `all` where none holds one.

    Raises:
        DataError: there are others beside them, two hold one split, or a folder cannot be read.
    """
    folders = [folder for folder in _visible(path) if folder.is_dir()]
    if not any(SPLIT_FOLDERS.get(folder.name.lower()) == "train" for folder in folders):
        return {"all": path}
    found: dict[str, Path] = {}
    for folder in folders:
        split = SPLIT_FOLDERS.get(folder.name.lower())
        if split is None:
            raise DataError(
                f"{path} holds the folder {folder.name} beside train: its folders must be splits "
                f"({', '.join(SPLIT_FOLDERS)}) or labels, not both. Move {folder.name} away, or into train."
            )
        if split in found:
            raise DataError(f"{path} holds the folders {found[split].name} and {folder.name}, which are one split.")
        found[split] = folder
    return found


def _table(path: Path, suffixes: Sequence[str], left_out: list[Path]) -> Table:
    folders = [folder for folder in _visible(path) if folder.is_dir()]
    if not folders:
        raise DataError(f"{path} holds no folders; put the files of a label into a folder of its name: {path}/LABEL/.")
    inputs: list[Path] = []
    labels: list[str] = []
    for folder in folders:
        files = list(files_below(folder))
        chosen = [file for file in files if file.suffix.lower() in suffixes]
        if not chosen:
            raise DataError(
                f"{folder} holds no file of {'/'.join(suffixes)}, but {len(files)} others. "
                "Put such files into it, or remove it."
            )
        left_out += [file for file in files if file.suffix.lower() not in suffixes]
        inputs += map(require_readable, chosen)
        labels += [folder.name] * len(chosen)
    return {"input": inputs, "label": labels}


def _warn(path: Path, suffixes: Sequence[str], names: Sequence[str]) -> None:
    shown = ", ".join(names[:FILES_NAMED]) + (", …" if len(names) > FILES_NAMED else "")
    wanted = "/".join(suffixes)
    log.warning(
        "data      %s: left out %s files that are not %s in a label's folder: %s", path, len(names), wanted, shown
    )


def _visible(path: Path) -> list[Path]:
    try:
        return sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        refuse_folder(error)

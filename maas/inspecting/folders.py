"""What lies in a folder of pictures or of sounds by label, by the headers of all files."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import soundfile
from PIL import Image, UnidentifiedImageError

from maas.data.folders import files_by_label
from maas.data.media_files import IMAGES, SOUNDS, files_below
from maas.errors import DataError
from maas.inspecting.description import DataDescription, FolderFiles

GREY_MODES = ("1", "L", "LA", "I;16")
"""Pillow's modes of pictures without colour."""
NEARLY_ALL = 0.95
HIGHEST_RATE = 16_000
"""Samples a second that speech needs; what has more is resampled."""


def inspect_folder(path: Path) -> DataDescription:
    """Returns what a folder of files by label holds.

    Raises:
        DataError: it holds neither pictures nor sounds, or no folders of labels, or a file cannot be read.
    """
    endings = Counter(file.suffix.lower() for file in files_below(path))
    pictures, sounds = (sum(endings[ending] for ending in kind) for kind in (IMAGES, SOUNDS))
    if not pictures and not sounds:
        raise DataError(
            f"{path} holds neither pictures ({'/'.join(IMAGES)}) nor sounds ({'/'.join(SOUNDS)}). Put the files of a "
            f"label into a folder of its name: {path}/LABEL/."
        )
    is_of_pictures = pictures >= sounds
    tables = files_by_label(path, IMAGES if is_of_pictures else SOUNDS)
    files = [Path(file) for table in tables.values() for file in table["input"]]
    labels = Counter(label for table in tables.values() for label in table["label"])
    if len(labels) < 2:
        raise DataError(f"{path} holds one label, {next(iter(labels))}; a classifier needs two or more folders.")
    found = _pictures(files, labels) if is_of_pictures else _sounds(files, labels)
    return DataDescription(str(path), "image" if is_of_pictures else "audio", len(files), files=found)


def _pictures(files: Sequence[Path], labels: Counter[str]) -> FolderFiles:
    sizes, unreadable, is_grey = [], [], True
    for file in files:
        try:
            with Image.open(file) as opened:
                sizes.append(opened.size)
                is_grey = is_grey and opened.mode in GREY_MODES
        except (UnidentifiedImageError, OSError, ValueError):
            unreadable.append(str(file))
    if not sizes:
        raise DataError(f"No picture of {len(files)} can be read, e.g. {files[0]}. See whether they are pictures.")
    width, height = (round(median(size[axis] for size in sizes)) for axis in (0, 1))
    return FolderFiles(dict(labels), tuple(unreadable), height, width, 1 if is_grey else 3)


def _sounds(files: Sequence[Path], labels: Counter[str]) -> FolderFiles:
    lengths, rates, unreadable = [], Counter[int](), []
    for file in files:
        try:
            header = soundfile.info(file)
        except (soundfile.SoundFileError, OSError):
            unreadable.append(str(file))
            continue
        lengths.append(header.frames / header.samplerate)
        rates[header.samplerate] += 1
    if not lengths:
        raise DataError(f"No sound of {len(files)} can be read, e.g. {files[0]}. See whether they are sounds.")
    seconds = sorted(lengths)[min(len(lengths) - 1, int(NEARLY_ALL * len(lengths)))]
    rate = min(rates.most_common(1)[0][0], HIGHEST_RATE)
    return FolderFiles(dict(labels), tuple(unreadable), rate=rate, seconds=round(seconds, 2))

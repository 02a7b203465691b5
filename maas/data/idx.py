"""Images and labels in IDX files, plain or gzipped: MNIST and its kin.

Source: Y. LeCun, C. Cortes, C. Burges: The MNIST database, "File formats", http://yann.lecun.com/exdb/mnist/
"""

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from maas.bounds import ExistingPath
from maas.data.system import debian_package_missing
from maas.data.tables import Table, Tables
from maas.errors import DataError

FASHION_FOLDER = "/usr/share/datasets/fashion-mnist"
FASHION_FILES = {"train": "train", "test": "t10k"}
FASHION_LABELS = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
FASHION_ON_THE_HUB = "data=hub data.source.id=zalando-datasets/fashion_mnist data.source.input=image"

UNSIGNED_BYTES = 0x08
LARGEST_BYTES = 2**31
"""Of one array; a header that claims more is refused before anything is read."""

IDX_PIECE_BYTES = 2**20
GZIP_MAGIC = b"\x1f\x8b"


def fashion_mnist(folder: str = FASHION_FOLDER) -> Tables:
    """Reads Fashion-MNIST, 60,000 + 10,000 images of 28×28 pixels, as Debian ships it.

    Args:
        folder: folder of the four files, plain or gzipped.

    Raises:
        DataError: a file is missing or broken.
    """
    tables = {
        split: [_plain_or_packed(Path(folder) / f"{prefix}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1")]
        for split, prefix in FASHION_FILES.items()
    }
    return {split: _table(images, labels, FASHION_LABELS) for split, (images, labels) in tables.items()}


def idx_images(
    images: ExistingPath,
    labels: ExistingPath,
    test_images: ExistingPath | None = None,
    test_labels: ExistingPath | None = None,
    names: Sequence[str] | None = None,
) -> Tables:
    """Reads images as uint8 arrays (H, W) or (H, W, C), and their labels.

    Args:
        images: IDX file of N images.
        labels: IDX file of N numbers.
        test_images: images of the test split.
        test_labels: labels of the test split.
        names: names of the labels 0, 1, …; null takes the numbers themselves.

    Raises:
        DataError: a file is broken, two files do not belong together, or a label has no name.
    """
    if test_images is None and test_labels is None:
        return {"all": _table(Path(images), Path(labels), names)}
    if test_images is None or test_labels is None:
        raise DataError("A test split has two files. Set data.source.test_images and data.source.test_labels.")
    return {
        "train": _table(Path(images), Path(labels), names),
        "test": _table(Path(test_images), Path(test_labels), names),
    }


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Returns the array of an IDX file; memory is bounded by what the file really holds.

    Raises:
        DataError: it is no IDX file of unsigned bytes, is truncated or holds more than its header says.
    """
    try:
        with path.open("rb") as file:
            is_packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            return _array(gzip.GzipFile(fileobj=file) if is_packed else file, path)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}. Fetch it again.") from error


def _array(file: BinaryIO | gzip.GzipFile, path: Path) -> NDArray[np.uint8]:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0":
        raise DataError(f"{path} is no IDX file: it begins with {head.hex(' ') or 'nothing'}, not with 00 00.")
    kind, axes = head[2], head[3]
    if kind != UNSIGNED_BYTES:
        raise DataError(f"{path} holds values of type 0x{kind:02X}; it must be 0x08, unsigned bytes.")
    sizes = file.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise DataError(f"{path} is truncated: its header ends early.")
    shape = struct.unpack(f">{axes}I", sizes)
    count = math.prod(shape)
    if count > LARGEST_BYTES:
        raise DataError(f"{path} claims {count:,} bytes; at most {LARGEST_BYTES:,} are read.")
    values = _read(file, count + 1)
    if len(values) != count:
        found = f"only {len(values):,}" if len(values) < count else "more"
        raise DataError(f"{path} claims {count:,} values and holds {found}. Fetch it again.")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


def _read(file: BinaryIO | gzip.GzipFile, count: int) -> bytearray:
    """Reads at most `count` bytes, a piece at a time: a header that lies takes no memory."""
    values = bytearray()
    while len(values) < count and (piece := file.read(min(IDX_PIECE_BYTES, count - len(values)))):
        values += piece
    return values


def _table(images: Path, labels: Path, names: Sequence[str] | None) -> Table:
    pixels, numbers = read_idx(images), read_idx(labels)
    if pixels.ndim not in (3, 4) or numbers.ndim != 1:
        raise DataError(
            f"{images} has {pixels.ndim} axes and {labels} {numbers.ndim}; images must have 3 or 4 and labels 1. "
            "Are the two files exchanged?"
        )
    if len(pixels) != len(numbers):
        raise DataError(f"{images} holds {len(pixels):,} images and {labels} {len(numbers):,} labels.")
    known = [str(number) for number in range(256)] if names is None else list(names)
    if len(numbers) and numbers.max() >= len(known):
        raise DataError(f"{labels} holds the label {numbers.max()}; data.source.names names {len(known)}, from 0 on.")
    return {"input": list(pixels), "label": [known[number] for number in numbers.tolist()]}


def _plain_or_packed(path: Path) -> Path:
    packed = path.with_name(f"{path.name}.gz")
    found = next((file for file in (path, packed) if file.is_file()), None)
    if found is None and path.is_relative_to(FASHION_FOLDER):
        raise debian_package_missing("dataset-fashion-mnist", "holds these images", FASHION_ON_THE_HUB)
    if found is None:
        raise DataError(f"There is neither {packed} nor {path.name} beside it. Set data.source.folder.")
    return found

"""Packed files, unpacked whole or not at all: the usual readers of .zst stop silently where a file is cut off."""

import bz2
import gzip
import lzma
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

import zstandard

OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
PACKED_ENDINGS = (".gz", ".zst", ".bz2", ".xz", ".zip")
"""Of packed files."""
ZST_PIECE_BYTES = 64 * 2**10


@contextmanager
def unpacked(path: Path, folder: Path) -> Iterator[Path]:
    """Yields what a .gz, .bz2, .xz, .zst or .zip file holds, or any other file itself.

    Args:
        path: the file.
        folder: folder for the unpacked file, which is removed when the block ends.

    Raises:
        OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, zipfile.BadZipFile: the file is cut off or
            damaged.
        ValueError: a .zip file holds another number of files than one.
    """
    ending = path.suffix.lower()
    if ending not in PACKED_ENDINGS:
        yield path
        return
    with NamedTemporaryFile(dir=folder, suffix=Path(path.stem).suffix) as file:
        if ending == ".zst":
            _unpack_frames(path, file)
        else:
            with _member(path) if ending == ".zip" else OPENERS[ending](path) as packed:
                shutil.copyfileobj(packed, file)
        file.flush()
        yield Path(file.name)


@contextmanager
def _member(path: Path) -> Iterator[IO[bytes]]:
    """Yields the only file of an archive; those that macOS adds beside it do not count."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
        if len(names) != 1:
            raise ValueError(f"it holds {len(names)} files. Unpack it, and name the one to read.")
        with archive.open(names[0]) as member:
            yield member


def _unpack_frames(path: Path, out: IO[bytes]) -> None:
    """Writes what all frames of a .zst file hold, one after the other."""
    frame = None
    with path.open("rb") as file:
        while piece := file.read(ZST_PIECE_BYTES):
            while piece:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                out.write(frame.decompress(piece))
                piece, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame is not None:
        raise zstandard.ZstdError("the file ends in the midst of its content")

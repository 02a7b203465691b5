"""Packed files, unpacked whole or not at all: the usual readers of .zst stop silently where a file is cut off."""

import bz2
import gzip
import lzma
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

import zstandard

PIECE_BYTES = 64 * 2**10


@contextmanager
def plain(path: Path, folder: Path) -> Iterator[Path]:
    """Yields what a .gz, .bz2, .xz or .zst file holds, or any other file itself.

    Args:
        path: the file.
        folder: takes the unpacked file, which goes when the block ends.

    Raises:
        OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError: the file is cut off or damaged.
    """
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    ending = path.suffix.lower()
    if ending not in (*openers, ".zst"):
        yield path
        return
    with NamedTemporaryFile(dir=folder, suffix=Path(path.stem).suffix) as file:
        if ending == ".zst":
            _unpack_frames(path, file)
        else:
            with openers[ending](path) as packed:
                shutil.copyfileobj(packed, file)
        file.flush()
        yield Path(file.name)


def _unpack_frames(path: Path, out: IO[bytes]) -> None:
    """Writes what all frames of a .zst file hold, one behind the other."""
    frame = None
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            while piece:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                out.write(frame.decompress(piece))
                piece, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame is not None:
        raise zstandard.ZstdError("the file ends in the midst of its content")

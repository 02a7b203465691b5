"""Predictions that are kept beside a file until it is whole, so that a killed process loses seconds of work at most.

`FILE.unfinished` begins with a line that names the work; parts follow, each with its length and a checksum, so that one
that a kill or a crash of the machine cut is known, and is predicted again.
"""

import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec
import pyarrow as pa

from maas.errors import ConfigError
from maas.files import lock_alone
from maas.predicting.model_rows import PredictedPart

_HEAD = struct.Struct("<QI")
FLUSHED_S = 0.5
"""Seconds of work that stay in memory: parts of small models come by the hundred a second."""


class KeptParts:
    """Predictions of a file's parts, in their order.

    Args:
        file: the unfinished one, open behind the parts that it holds.
        parts: those that an earlier process left, in their order.
    """

    def __init__(self, file: BinaryIO, parts: Iterator[PredictedPart]) -> None:
        self._file, self._parts = file, parts
        self._is_reading = True
        self._flushed = time.monotonic()

    @classmethod
    @contextmanager
    def of(cls, out: Path, work: str) -> Iterator["KeptParts"]:
        """Opens the parts of a piece of work, those that an earlier process left included.

        Args:
            out: file that they become.
            work: digest of all that they depend on.

        Raises:
            ConfigError: the file cannot be written, is being written, or was begun for other work.
        """
        path = unfinished(out)
        try:
            file = path.open("a+b")
        except OSError as error:
            raise ConfigError(f"{out} cannot be written: {error.strerror}. Name another file.") from error
        with file:
            lock_alone(file, out)
            file.seek(0)
            head = file.readline()
            if head.strip() not in (b"", work.encode()):
                raise ConfigError(
                    f"{path} was begun with another model, other rows or other settings. Remove it, or name another "
                    "file."
                )
            if head != work.encode() + b"\n":
                file.truncate(0)
                file.write(work.encode() + b"\n")
                file.flush()
            yield cls(file, _parts_in(file))

    def next(self, make: Callable[[], PredictedPart]) -> PredictedPart:
        """Returns the next part: the one that is kept, or else what is made, which is kept from now on."""
        if self._is_reading:
            if (found := next(self._parts, None)) is not None:
                return found
            self._is_reading = False
        made = make()
        payload = _packed(made)
        self._file.write(_HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
        if time.monotonic() - self._flushed > FLUSHED_S:
            self._file.flush()
            self._flushed = time.monotonic()
        return made


def unfinished(out: Path) -> Path:
    """Returns where parts of a file are kept."""
    return out.with_name(f"{out.name}.unfinished")


def _parts_in(file: BinaryIO) -> Iterator[PredictedPart]:
    """Yields the whole parts of a file, and cuts it behind the last of them."""
    while True:
        begin = file.tell()
        head = file.read(_HEAD.size)
        length, checksum = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0)
        left = os.fstat(file.fileno()).st_size - file.tell()
        payload = file.read(length) if length <= left else b""
        if not payload or zlib.crc32(payload) != checksum:
            file.truncate(begin)
            file.seek(begin)
            return
        yield _unpacked(payload)


def _packed(part: PredictedPart) -> bytes:
    table = pa.BufferOutputStream()
    with pa.ipc.new_stream(table, part.table.schema) as stream:
        stream.write_table(part.table)
    return msgspec.msgpack.encode((dict(part.faults), table.getvalue().to_pybytes()))


def _unpacked(payload: bytes) -> PredictedPart:
    faults, table = msgspec.msgpack.decode(payload, type=tuple[dict[int, str], bytes])
    return PredictedPart(pa.ipc.open_stream(table).read_all(), faults)

"""Lines that are written a part at a time, and become a file once all are there; a kill loses at most a part."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from maas.errors import ConfigError
from maas.files import lock_alone, write_atomically


class UnfinishedLines:
    """The lines of a file so far. The first line beside it, in `FILE.unfinished`, names the work that they are of.

    Args:
        out: the file that they become.
        file: the unfinished one, open.
        lines: those that it holds.
    """

    def __init__(self, out: Path, file: BinaryIO, lines: list[bytes]) -> None:
        self._out, self._file, self._lines = out, file, lines

    @classmethod
    @contextmanager
    def of(cls, out: Path, work: str, part: int, total: int) -> Iterator["UnfinishedLines"]:
        """Opens the lines of a piece of work, those that an earlier process left included.

        Args:
            out: file that they become.
            work: digest of all that they depend on.
            part: number of lines that are added together; part of them is written again.
            total: number of all lines.

        Raises:
            ConfigError: the file cannot be written, is being written, or was begun for other work.
        """
        path = out.with_name(f"{out.name}.unfinished")
        try:
            file = path.open("a+b")
        except OSError as error:
            raise ConfigError(f"{out} cannot be written: {error.strerror}. Name another file by out=.") from error
        with file:
            lock_alone(file, out)
            file.seek(0)
            head, *lines = file.read().split(b"\n")[:-1] or [b""]
            if head not in (b"", work.encode()):
                raise ConfigError(
                    f"{path} was begun with another model, other prompts or other settings. Remove it, or name "
                    "another file by out=."
                )
            kept = lines[: len(lines) if len(lines) == total else len(lines) // part * part]
            file.truncate(sum(len(line) + 1 for line in (head, *kept)) if head else 0)
            if not head:
                file.write(work.encode() + b"\n")
            yield cls(out, file, kept)

    @property
    def count(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def add(self, lines: Iterable[bytes]) -> None:
        """Adds a part."""
        added = list(lines)
        self._file.write(b"".join(line + b"\n" for line in added))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._lines += added

    def publish(self) -> list[bytes]:
        """Writes the file, removes what was unfinished, and returns the lines."""
        write_atomically(self._out, b"".join(line + b"\n" for line in self._lines))
        Path(self._file.name).unlink()
        return self._lines

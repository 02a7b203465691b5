"""Where a text appears while it is generated: a terminal, a pipe or a file."""

import sys
from typing import TextIO

from maas.errors import InputError
from maas.explaining.colours import printable


class Screen:
    """Standard output, written piece by piece.

    On a terminal, characters are replaced that would move its cursor or recolour it: a model may write anything.

    Args:
        stream: where to write.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()

    def write(self, text: str) -> None:
        """Writes a piece at once."""
        self._stream.write(printable(text) if self._is_terminal else text)
        self._stream.flush()


def read_input() -> str:
    """Returns what standard input holds, less the line break at its end, which `echo` adds.

    Raises:
        InputError: it is no UTF-8.
    """
    if sys.stdin.isatty():
        sys.stderr.write("The prompt, up to Ctrl-D:\n")
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"The prompt on standard input is no UTF-8: {error.reason} at byte {error.start}.") from error

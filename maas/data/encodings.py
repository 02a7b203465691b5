"""Which encoding a text file is in, and what separates its cells: found in the whole file, never guessed by its start.

UTF-8 and UTF-16 prove themselves: by their mark, or by having no wrong byte. GB18030 and Windows-1252 have next to no
wrong bytes; which of the two it is, is seen by whether bytes above 127 stand in pairs. Other encodings must be named.
"""

import codecs
import csv
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from maas.errors import DataError, one_line

UTF_8, GB18030, WINDOWS_1252 = "utf-8", "gb18030", "cp1252"
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""What a file may begin with, and the encoding that reads it."""

SEPARATORS = (",", ";", "\t", "|")
"""What separates cells; of equally good ones, the first."""
SEPARATOR_NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}

SEVERAL_LETTERS = 10
FIRST_OF_SEVERAL = 0xC0
"""From here on, a byte of UTF-8 is the first of several that are one letter."""

_PIECE_BYTES = 2**20
_ROWS_TRIED = 1000
_MOST_LONE = 0.2
"""Fraction of the bytes above 127 that may stand alone: in Chinese, those of rare characters do."""


def encoding_of(file: Path) -> str:
    """Returns the encoding of a text file, by all of its bytes.

    Returns:
        `utf-8`, `utf-8-sig`, `utf-16`, `gb18030` or `cp1252`.

    Raises:
        DataError: it is in none of these.
    """
    with file.open("rb") as opened:
        start = opened.read(4)
    for mark, name in MARKS:
        if start.startswith(mark):
            return name
    if any(b"\0" in piece for piece in _pieces(file)):
        raise DataError(
            f"{file} holds bytes of 0, which no text in UTF-8, GB18030 or Windows-1252 does. Name its encoding, e.g. "
            "encoding=utf-16-le, or name another file."
        )
    if _decodes(file, UTF_8):
        return UTF_8
    if _is_chinese(file) and _decodes(file, GB18030):
        return GB18030
    if _decodes(file, WINDOWS_1252):
        return WINDOWS_1252
    raise DataError(
        f"{file} is no text in UTF-8, UTF-16, GB18030 or Windows-1252. Name its encoding, e.g. encoding=big5, or name "
        "another file."
    )


def require_encoding(file: Path, encoding: str) -> None:
    """Refuses an encoding that would read a text in UTF-8 as other letters, without an error.

    GB18030 and those of one byte a letter read nearly any bytes. A text of several letters beyond ASCII that is in one
    of these and by chance has no byte that UTF-8 forbids is not met with.

    Args:
        file: a file of text.
        encoding: as it was set.

    Raises:
        DataError: the file is in UTF-8.
    """
    name = codecs.lookup(encoding).name
    is_other = not name.startswith(("utf", "ascii", "u8"))
    if is_other and _letters_beyond_ascii(file) >= SEVERAL_LETTERS and _decodes(file, UTF_8):
        raise DataError(
            f"{file} is a text in UTF-8, and encoding is {encoding}, which would read other letters. Leave encoding "
            "out, or set encoding=utf-8."
        )


def _letters_beyond_ascii(file: Path) -> int:
    """Returns how many letters of a text in UTF-8 take more than one byte."""
    return sum(int((np.frombuffer(piece, np.uint8) >= FIRST_OF_SEVERAL).sum()) for piece in _pieces(file))


def separator_of(file: Path, encoding: str) -> str:
    """Returns what separates the cells of a file: what gives its first thousand rows the most columns, as many to each.

    Args:
        file: the file.
        encoding: its encoding.

    Returns:
        A comma where nothing separates all rows alike.

    Raises:
        DataError: the file is not in that encoding.
    """
    counts = {separator: _columns(file, encoding, separator) for separator in SEPARATORS}
    return max(SEPARATORS, key=lambda separator: counts[separator])


def _columns(file: Path, encoding: str, separator: str) -> int:
    """Returns how many columns the first row names; 1 where another has fewer cells, or more that hold anything."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with file.open(encoding=encoding, newline="") as lines:
            rows = [row for row in islice(csv.reader(lines, delimiter=separator), _ROWS_TRIED) if row]
    except csv.Error:
        return 1
    except UnicodeError as error:
        raise DataError(
            f"{file} is no text in {encoding}: {one_line(error)}. Leave encoding out, or set another."
        ) from error
    finally:
        csv.field_size_limit(limit)
    width = len(rows[0]) if rows else 1
    while width > 1 and not rows[0][width - 1]:
        width -= 1
    return width if all(len(row) >= width and not any(row[width:]) for row in rows) else 1


def _decodes(file: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for piece in _pieces(file):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is_chinese(file: Path) -> bool:
    """Returns whether bytes above 127 stand together, as in Chinese, rather than alone among letters, as accents do."""
    count = lone = 0
    for piece in _pieces(file):
        is_high = np.frombuffer(b" " + piece + b" ", dtype=np.uint8) > 127
        alone = is_high[1:-1] & ~is_high[:-2] & ~is_high[2:]
        count, lone = count + int(is_high.sum()), lone + int(alone.sum())
    return lone <= _MOST_LONE * count


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            yield piece

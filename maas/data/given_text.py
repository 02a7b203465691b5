"""One text as rows: pieces of a file, or of texts that a recipe's source reads, split by their content."""

from collections.abc import Iterator
from pathlib import Path

from maas.data.given import MIN_ROWS, parted
from maas.data.splits import Splits
from maas.errors import DataError, one_line

PIECE_CHARACTERS = 2000
"""Most characters of a piece: some hundred tokens."""


def given_text(path: Path) -> Splits:
    """Reads a file as pieces: a third each to calibrate with, to choose by, and to prove the choice with.

    Args:
        path: text in UTF-8.

    Raises:
        DataError: it cannot be read, or is too short.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"texts is {path}, which cannot be read: {one_line(error)}.") from error
    return text_in_pieces(text, str(path))


def text_in_pieces(text: str, origin: str) -> Splits:
    """Splits one text; its pieces end between words.

    Args:
        text: the text.
        origin: where it comes from, for messages.

    Raises:
        DataError: it is too short, or repeats itself.
    """
    pieces = list(pieces_of(text))
    if len(pieces) < MIN_ROWS:
        raise DataError(
            f"{origin} holds {len(text):,} characters; at least {MIN_ROWS * PIECE_CHARACTERS:,} are needed: a third "
            "each to calibrate with, to choose by, and to prove the choice with."
        )
    return parted({"input": pieces, "label": [None] * len(pieces)}, (), Path(origin))


def pieces_of(text: str, size: int = PIECE_CHARACTERS) -> Iterator[str]:
    """Yields pieces of a text of at most `size` characters; a piece ends at a blank where there is one in it."""
    start = 0
    while start < len(text):
        end = start + size
        if end < len(text):
            end = max(text.rfind(blank, start + 1, end) for blank in " \n")
            end = end if end > start else start + size
        if piece := text[start:end].strip():
            yield piece
        start = end

"""Files that stand for a row: their bytes, the base64 text of them, a data: URL, or a path. It decodes no format.

An `InputError` of this module says what the row is; whoever knows which one it was puts that before it.
"""

import binascii
from pathlib import Path

from maas.errors import InputError

MAX_FILE_BYTES = 32 * 2**20


def content_of(row: object, forms: str) -> bytes:
    """Returns the bytes of the file that a row stands for.

    Args:
        row: bytes, text or a path. Text is never a path: a caller far away must not name files of this machine.
        forms: what the model takes, for the message where the row is none of these.

    Raises:
        InputError: it is none of these, is not base64, cannot be read or is too large.
    """
    if isinstance(row, bytes | bytearray | memoryview):
        return _bounded(bytes(row), "is a file")
    if isinstance(row, str):
        return _bounded(_decoded(row), "is the text of a file")
    if isinstance(row, Path):
        return _read(row)
    raise InputError(f"is {'null' if row is None else f'of type {type(row).__name__}'}; the model takes {forms}.")


def _decoded(text: str) -> bytes:
    if text.startswith("data:"):
        head, _, text = text.partition(",")
        if not head.endswith(";base64"):
            raise InputError(f"is a data: URL that begins with {head[:60]!r}; send data:TYPE;base64,…")
    if len(text) > 2 * MAX_FILE_BYTES:
        raise InputError(f"is a text of {len(text)} characters; files of at most {MAX_FILE_BYTES} bytes are read.")
    try:
        return binascii.a2b_base64(text.encode("ascii").translate(None, b" \t\r\n"), strict_mode=True)
    except ValueError as error:
        raise InputError(
            f"is the text {text[:20]!r}, which is not base64: {error}. Send a file in base64, or a pathlib.Path."
        ) from error


def row_name(row: object, index: int) -> str:
    """Returns how messages call a row: its file, relative to the working directory where it lies below, or its number.

    Args:
        row: raw input.
        index: position among the rows that came with it.
    """
    if not isinstance(row, Path):
        return f"Row {index}"
    return str(row.relative_to(Path.cwd()) if row.is_relative_to(Path.cwd()) else row)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _bounded(file.read(MAX_FILE_BYTES + 1), "is a file")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}.") from error


def _bounded(content: bytes, what: str) -> bytes:
    if len(content) > MAX_FILE_BYTES:
        raise InputError(f"{what} of more than {MAX_FILE_BYTES} bytes, the most that are read. Send a smaller one.")
    return content

"""Raw rows as JSON: what `bundle.predict` takes, written so that a server reads the same rows."""

import base64
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec

from maas.errors import InputError

FORMS = "texts, numbers, lists, dictionaries, numpy arrays, and files as bytes or pathlib.Path"
_SCALARS = frozenset({str, int, float, bool, type(None)})
_encode = msgspec.json.Encoder().encode


@runtime_checkable
class Picture(Protocol):
    """A Pillow image, which need not be installed here."""

    def getexif(self) -> Any:
        """Returns what its file said of it."""

    def save(self, fp: io.BytesIO, format: str, **options: Any) -> None:  # noqa: A002  Pillow's own name
        """Writes it as a file."""


@runtime_checkable
class HasValues(Protocol):
    """An array or a number of numpy, or of a library that looks alike."""

    def tolist(self) -> Any:
        """Returns its values as Python's own."""


def encoded_rows(inputs: Any) -> list[bytes]:
    """Returns each row as JSON.

    Args:
        inputs: list of rows as `bundle.predict` takes them.

    Raises:
        InputError: it is no list of rows, or a row cannot be sent.
    """
    _require_list(inputs)
    return [_encoded(row, index) for index, row in enumerate(inputs)]


def _require_list(inputs: Any) -> None:
    if isinstance(inputs, str | bytes | bytearray | Mapping | Path) or not hasattr(inputs, "__len__"):
        raise InputError(f"predict takes a list of inputs; it was given one {type(inputs).__name__}. Write [input].")
    if hasattr(inputs, "columns"):
        raise InputError("predict takes a list of inputs; it was given a table. Write e.g. list(table['text']).")
    if not len(inputs):
        raise InputError("No rows were given; the model needs at least one.")


def _encoded(row: object, index: int) -> bytes:
    try:
        return _encode(_plain(row))
    except InputError as error:
        raise InputError(f"Row {index} {error}") from None
    except (OverflowError, UnicodeEncodeError, RecursionError, msgspec.MsgspecError) as error:
        raise InputError(f"Row {index} cannot be written as JSON: {error}. Send {FORMS}.") from None


def _plain(value: Any) -> object:
    """Returns a value as JSON has it: files as base64 text, arrays as lists, NaN as null."""
    if type(value) in _SCALARS:
        return _finite(value)
    for kind, converted in _CONVERSIONS:
        if isinstance(value, kind):
            return converted(value)
    raise InputError(f"holds a {type(value).__name__}; a client sends {FORMS}.")


def _finite(value: object) -> object:
    if isinstance(value, float) and math.isinf(value):
        raise InputError("holds a number that is not finite; send null for a value that is missing.")
    return value


def _list(values: Sequence[Any]) -> object:
    kinds = set(map(type, values))
    if not kinds <= _SCALARS:
        return list(map(_plain, values))
    if float in kinds and (math.inf in values or -math.inf in values):
        _finite(math.inf)
    return values


def _mapping(values: Mapping[Any, Any]) -> dict[str, object]:
    if unnamed := [name for name in values if not isinstance(name, str)]:
        raise InputError(f"has the column {unnamed[0]!r}; names of columns are texts.")
    return {name: _plain(value) for name, value in values.items()}


def _file(path: Path) -> str:
    try:
        return _base64(path.read_bytes())
    except OSError as error:
        raise InputError(f"is the file {path.name}, which cannot be read: {error.strerror}.") from None


def _picture(image: Picture) -> str:
    """Returns an image as a PNG, which keeps its pixels, and how it is to be turned."""
    file = io.BytesIO()
    try:
        image.save(file, "PNG", exif=image.getexif())
    except OSError as error:
        raise InputError(f"is a picture that is not written as PNG: {error}. Convert it, or send its file.") from None
    return _base64(file.getvalue())


def _base64(content: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(content).decode("ascii")


_CONVERSIONS: Iterable[tuple[Any, Callable[[Any], object]]] = (
    (list | tuple, _list),
    (Mapping, _mapping),
    (bytes | bytearray | memoryview, _base64),
    (Path, _file),
    (str, str),
    (Picture, _picture),
    (HasValues, lambda array: _plain(array.tolist())),
)
"""By type; the first that fits. A memoryview has `tolist` as well."""

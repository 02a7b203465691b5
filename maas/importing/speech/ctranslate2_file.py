"""The variables of a model of CTranslate2, `model.bin`, as float32: those of 8 or 16 bits are what they stand for.

Source: https://github.com/OpenNMT/CTranslate2, python/ctranslate2/specs/model_spec.py, `_serialize` and `_quantize`.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.errors import ConfigError, one_line

Variables = Mapping[str, NDArray[Any]]
OLDEST, NEWEST = 4, 6
"""Versions of the file that are read; older ones say less of a variable."""
STORED_TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16, np.uint16)
"""By their number in the file; the last one holds the upper halves of float32 (bfloat16)."""
HALVES_OF_FLOAT32 = 5
SCALE = "_scale"
"""End of the name of what a quantised variable is divided by: a number for each of its rows, or one for all."""


@dataclass(frozen=True)
class CTranslate2File:
    """What a file holds.

    Args:
        kind: name of the model's specification, such as `WhisperSpec`.
        variables: by their names and aliases; weights are float32, and numbers of layers as they are.
    """

    kind: str
    variables: Variables


def read_ctranslate2(path: Path) -> CTranslate2File:
    """Reads a file.

    Args:
        path: `model.bin`.

    Raises:
        ConfigError: it cannot be read, or is of another version.
    """
    try:
        content = _Content(path.read_bytes())
        version = content.number("I")
        if not OLDEST <= version <= NEWEST:
            raise ConfigError(
                f"{path} is of version {version} of CTranslate2's files; {OLDEST} to {NEWEST} are read. Convert the "
                "model again."
            )
        kind = content.text()
        content.number("I")  # the specification's revision
        stored = dict(content.variable() for _ in range(content.number("I")))
        aliases = [(content.text(), content.text()) for _ in range(content.number("I"))]
    except (OSError, struct.error, ValueError, IndexError) as error:
        raise ConfigError(f"{path} cannot be read as a model of CTranslate2: {one_line(error)}.") from error
    found = {name: _dequantised(name, stored) for name in stored if not name.endswith(SCALE)}
    return CTranslate2File(kind, {**found, **{alias: found[name] for alias, name in aliases if name in found}})


class _Content:
    """The bytes of a file, read from its beginning; numbers are little-endian."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def number(self, form: str) -> int:
        """Returns the next number, by `struct`'s letter."""
        (found,) = struct.unpack_from(f"<{form}", self._content, self._at)
        self._at += struct.calcsize(f"<{form}")
        return int(found)

    def text(self) -> str:
        """Returns the next text; it ends with a zero byte, which its length counts."""
        length = self.number("H")
        found = self._content[self._at : self._at + length]
        self._at += length
        return found.rstrip(b"\0").decode()

    def variable(self) -> tuple[str, NDArray[Any]]:
        """Returns name and values of the next variable."""
        name = self.text()
        shape = [self.number("I") for _ in range(self.number("B"))]
        kind, size = self.number("B"), self.number("I")
        values = np.frombuffer(
            self._content, STORED_TYPES[kind], size // np.dtype(STORED_TYPES[kind]).itemsize, self._at
        )
        self._at += size
        if kind == HALVES_OF_FLOAT32:
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return name, values.reshape(shape)


def _dequantised(name: str, stored: Variables) -> NDArray[Any]:
    """Returns a variable as what it stands for."""
    values, scale = stored[name], stored.get(name + SCALE)
    if scale is not None:
        rows = scale.astype(np.float32).reshape(-1, *[1] * (values.ndim - 1)) if scale.ndim else scale
        return (values / rows).astype(np.float32)
    return values.astype(np.float32) if values.dtype == np.float16 else values

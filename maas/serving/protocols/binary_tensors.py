"""The data of tensors as bytes, little-endian and in row-major order; texts are each preceded by their length.

Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError
from maas.records.signature import TensorSpec
from maas.serving.call import Row
from maas.serving.protocols.tensors import (
    WIRE_TYPES,
    DeclaredTensor,
    TensorValues,
    in_datatype_of,
    shape_of,
    size_of_shape,
)

_LENGTH = struct.Struct("<I")


class RawData(NamedTuple):
    """A tensor's data within a body, which is not copied.

    Args:
        body: bytes of all tensors.
        start: place of the tensor's first byte.
        size: number of its bytes.
    """

    body: bytes | bytearray
    start: int
    size: int


def binary_values(raw: RawData, tensor: DeclaredTensor, spec: TensorSpec) -> TensorValues:
    """Returns a tensor's values, (N, …): numbers as an array that shares the body's memory, or texts.

    Args:
        raw: the tensor's data.
        tensor: as it was declared.
        spec: what the model takes.

    Raises:
        InputError: the data is not what was declared.
    """
    count = size_of_shape(tensor)
    if spec.datatype == "BYTES":
        return _texts(raw, count, tensor)
    kind = WIRE_TYPES[tensor.datatype]
    if raw.size != count * kind.itemsize:
        raise InputError(
            f"Input {tensor.name!r} has {raw.size} bytes of binary data; its shape {tensor.shape} of "
            f"{tensor.datatype} needs {count * kind.itemsize}."
        )
    array = np.frombuffer(raw.body, kind, count, raw.start) if count else np.empty(0, kind)
    if tensor.datatype == "BOOL":
        array = array.view(np.uint8) != 0
    return in_datatype_of(array, tensor, spec).reshape(shape_of(tensor, spec))


def binary_data(array: NDArray[np.generic], datatype: str) -> bytes:
    """Returns an output's data."""
    if datatype != "BYTES":
        return array.astype(WIRE_TYPES[datatype], copy=False).tobytes()
    if array.size == 1:
        return sized_text(array.item())
    return b"".join(map(sized_text, array.ravel().tolist()))


def sized_text(value: object) -> bytes:
    """Returns a text after its length."""
    text = str(value).encode()
    return _LENGTH.pack(len(text)) + text


def _texts(raw: RawData, count: int, tensor: DeclaredTensor) -> list[Row]:
    """Returns texts, each of which its length precedes."""
    end = raw.start + raw.size
    texts: list[Row] = []
    if raw.size >= count * _LENGTH.size:
        place, body = raw.start, memoryview(raw.body)
        while len(texts) < count and place + _LENGTH.size <= end:
            start = place + _LENGTH.size
            place = start + _LENGTH.unpack_from(body, place)[0]
            texts.append(_text(body[start:place], len(texts), tensor))
        if len(texts) == count and place == end:
            return texts
    raise InputError(
        f"Input {tensor.name!r} has {raw.size} bytes of binary data, which are not {count} texts, each after its "
        "length as four bytes, little-endian."
    )


def _text(content: memoryview, index: int, tensor: DeclaredTensor) -> str:
    try:
        return str(content, "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"Input {tensor.name!r} holds bytes at {index} that are not UTF-8: {error.reason}.") from None

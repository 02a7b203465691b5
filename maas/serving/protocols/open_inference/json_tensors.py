"""The data of tensors as JSON, flat or nested, in and out."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError
from maas.records.signature import TensorSpec
from maas.serving.call import OUTPUT_VALUES_AT_ONCE, Row
from maas.serving.protocols.bodies import encoded_list
from maas.serving.protocols.tensors import (
    WIRE_TYPES,
    DeclaredTensor,
    TensorValues,
    in_datatype_of,
    shape_of,
    size_of_shape,
)

_BLANK = b" \t\r\n"
_DIGITS = frozenset({b"-", *(b"%d" % digit for digit in range(10))})


def json_values(
    data: bytes | msgspec.Raw, tensor: DeclaredTensor, spec: TensorSpec, *, is_optional: bool
) -> TensorValues:
    """Returns a tensor's values, (N, …): numbers as an array, or whatever a tensor of bytes holds.

    Args:
        data: JSON, flat or nested as the tensor's shape says.
        tensor: as it was declared.
        spec: what the model takes.
        is_optional: whether numbers may be missing, as null; they are a list then.

    Raises:
        InputError: the data is not what was declared.
    """
    data, size = bytes(data), size_of_shape(tensor)
    depth = _nesting(data, len(tensor.shape))
    _require_size(data, size, tensor)
    values = _decoded(data, depth, tensor, is_optional=is_optional)
    if depth > 1:
        _require_nested(values, tensor)
        values = _flat(values, depth)
    elif len(values) != size:
        raise InputError(f"Input {tensor.name!r} holds {len(values)} values; its shape {tensor.shape} needs {size}.")
    if spec.datatype == "BYTES" or (is_optional and None in values):
        return values
    return in_datatype_of(_array(values, tensor), tensor, spec).reshape(shape_of(tensor, spec))


def flat_values(values: NDArray[np.float64], tensor: DeclaredTensor, spec: TensorSpec) -> TensorValues:
    """Returns a tensor's values, (N, …), from numbers that were read already.

    Args:
        values: in row-major order.
        tensor: as it was declared.
        spec: what the model takes.

    Raises:
        InputError: there are more numbers than the tensor's shape has, or less.
    """
    if len(values) != (size := size_of_shape(tensor)):
        raise InputError(f"Input {tensor.name!r} holds {len(values)} values; its shape {tensor.shape} needs {size}.")
    return in_datatype_of(_array(values, tensor), tensor, spec).reshape(shape_of(tensor, spec))


def json_parts(array: NDArray[np.generic]) -> Iterator[bytes]:
    """Yields an output's data as a flat JSON list, a part at a time."""
    flat = array.ravel()
    starts = range(0, flat.size, OUTPUT_VALUES_AT_ONCE)
    return encoded_list(flat[start : start + OUTPUT_VALUES_AT_ONCE].tolist() for start in starts)


def _nesting(data: bytes, rank: int) -> int:
    """Returns how many brackets data begins with: 1 where it is flat, the rank where it is nested."""
    if data[1:2] in _DIGITS:
        return 1
    brackets = data[: 64 * (rank + 1)].translate(None, _BLANK)
    return len(brackets[: rank + 1]) - len(brackets[: rank + 1].lstrip(b"["))


def _require_size(data: bytes, size: int, tensor: DeclaredTensor) -> None:
    """Refuses data with more commas than its shape has values, before it is read."""
    if tensor.datatype != "BYTES" and (commas := data.count(b",")) >= max(1, size):
        raise InputError(f"Input {tensor.name!r} holds {commas + 1} values; its shape {tensor.shape} needs {size}.")


@lru_cache(maxsize=64)
def _data_decoder(datatype: str, depth: int, *, is_optional: bool) -> "msgspec.json.Decoder[list[object]]":
    kind: object = {"b": bool, "i": int, "u": int, "f": float, "O": object}[WIRE_TYPES[datatype].kind]
    if is_optional and kind is not object:
        kind = kind | None  # type: ignore[operator]  # a type that is made at run time
    for _ in range(depth):
        kind = list[kind]  # type: ignore[valid-type]  # likewise
    return msgspec.json.Decoder(kind)


def _decoded(data: bytes, depth: int, tensor: DeclaredTensor, *, is_optional: bool) -> list[Row]:
    if tensor.datatype == "BF16":
        raise InputError(f"Input {tensor.name!r} has datatype BF16, which JSON has no numbers of; send binary data.")
    try:
        return _data_decoder(tensor.datatype, max(1, depth), is_optional=is_optional).decode(data)
    except msgspec.ValidationError:
        raise InputError(
            f"Input {tensor.name!r} holds something else than numbers of datatype {tensor.datatype}, flat or nested as "
            f"its shape {tensor.shape} says."
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"Input {tensor.name!r} has data that cannot be read: {error}.") from None


def _require_nested(values: list[Row], tensor: DeclaredTensor) -> None:
    """Requires that nested lists have the sizes of the shape, each of them."""
    found: list[int] = []
    level: list[list[Row]] = [values]
    while level:
        sizes = set(map(len, level))
        if len(sizes) > 1:
            raise InputError(f"Input {tensor.name!r} has rows of unequal length; its shape is {tensor.shape}.")
        found += sizes
        level = [value for one in level for value in one if isinstance(value, list)]
    if found != tensor.shape:
        raise InputError(
            f"Input {tensor.name!r} has data nested as {found}; its shape is {tensor.shape}. Send data flat, or nested "
            "as the shape says."
        )


def _flat(values: list[Row], depth: int) -> list[Row]:
    for _ in range(depth - 1):
        values = [value for one in values for value in one]  # type: ignore[attr-defined]  # nested lists
    return values


def _array(values: Sequence[Row] | NDArray[np.float64], tensor: DeclaredTensor) -> NDArray[np.generic]:
    """Returns checked numbers as an array; what becomes infinite is refused by the processor, with its row."""
    try:
        with np.errstate(over="ignore"):
            return np.array(values, dtype=WIRE_TYPES[tensor.datatype])
    except OverflowError:
        raise InputError(f"Input {tensor.name!r} holds a number that datatype {tensor.datatype} does not.") from None

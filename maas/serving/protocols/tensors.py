"""Tensors of the Open Inference Protocol to rows, and outputs to tensors; the REST and gRPC forms of it meet here.

Sizes, types and nesting are known before an array is made: what a client declares decides what its data may hold.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError, shortened_value
from maas.records.signature import NUMPY_TYPES, Datatype, TensorSpec
from maas.serving.call import OUTPUT_VALUES_AT_ONCE, Row
from maas.serving.faults import require_rows
from maas.serving.protocols.bodies import encode, encoded_list

_ELEMENTS: dict[Datatype, type] = {
    "BOOL": bool, "UINT8": int, "INT8": int, "INT32": int, "INT64": int, "FP32": float, "FP64": float, "BYTES": object,
}  # fmt: skip
_BLANK = b" \t\r\n"
_DIGITS = frozenset({b"-", *(b"%d" % digit for digit in range(10))})


class InputTensor(msgspec.Struct):
    """A tensor as a client sends it, its data flat or nested, and not read yet."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw
    parameters: dict[str, object] | None = None


class OutputTensor(msgspec.Struct):
    """A tensor as the protocol writes it, its data flat."""

    name: str
    datatype: str
    shape: list[int]
    data: list[object]


def rows_of(tensors: Sequence[InputTensor], specs: Sequence[TensorSpec], max_rows: int) -> list[Row]:
    """Returns the rows that a request's tensors hold.

    Args:
        tensors: as they were sent.
        specs: those that the model takes.
        max_rows: largest number of rows; of more, the data is not read.

    Raises:
        InputError: they are not the tensors that the model takes.
    """
    names, wanted = [tensor.name for tensor in tensors], [spec.name for spec in specs]
    if names != wanted and sorted(names) != sorted(wanted):
        takes = f"one input, {wanted[0]!r}" if len(wanted) == 1 else f"the inputs {', '.join(wanted)}"
        raise InputError(f"The request's inputs are {_listed(names)}; the model takes {takes}.")
    by_name = {tensor.name: tensor for tensor in tensors}
    for spec in specs:
        _require_declared(by_name[spec.name], spec)
    if len(specs) == 1:
        require_rows(tensors[0].shape[0], max_rows)
        return _values(tensors[0], specs[0])
    sizes = {spec.name: by_name[spec.name].shape[0] for spec in specs}
    if len(set(sizes.values())) > 1:
        raise InputError(f"The request's inputs have unequal numbers of rows: {sizes}.")
    require_rows(min(sizes.values()), max_rows)
    columns = [_values(by_name[spec.name], spec) for spec in specs]
    return [dict(zip(wanted, values, strict=True)) for values in zip(*columns, strict=True)]


def output_tensor(spec: TensorSpec, array: NDArray[np.generic]) -> OutputTensor:
    """Returns an output as the protocol writes it."""
    return OutputTensor(spec.name, spec.datatype, list(array.shape), array.ravel().tolist())


def encoded_tensor(spec: TensorSpec, array: NDArray[np.generic], separator: bytes) -> Iterator[bytes]:
    """Yields a large output as JSON, its data a part at a time.

    Args:
        spec: of the output.
        array: (N, …).
        separator: what stands before it.
    """
    flat = array.ravel()
    head = OutputTensor(spec.name, spec.datatype, list(array.shape), [])
    yield separator + encode(head)[: -len(b"[]}")]
    starts = range(0, flat.size, OUTPUT_VALUES_AT_ONCE)
    yield from encoded_list(flat[start : start + OUTPUT_VALUES_AT_ONCE].tolist() for start in starts)
    yield b"}"


def require_outputs(wanted: Sequence[str], known: Mapping[str, object]) -> None:
    """Refuses outputs that the model does not have, and those that are wanted twice.

    Raises:
        InputError: with their names.
    """
    if unknown := [name for name in wanted if name not in known]:
        raise InputError(f"The outputs {_listed(unknown)} are wanted; the model has {', '.join(known)}.")
    if len(set(wanted)) < len(wanted):
        twice = next(name for name in wanted if wanted.count(name) > 1)
        raise InputError(f"The output {twice!r} is wanted {wanted.count(twice)} times; name each output once.")


def _require_declared(tensor: InputTensor, spec: TensorSpec) -> None:
    """Requires the datatype and the shape that the model takes."""
    if tensor.datatype != spec.datatype:
        raise InputError(
            f"Input {spec.name!r} has datatype {shortened_value(tensor.datatype)}; the model takes {spec.datatype}."
        )
    fits = len(tensor.shape) == len(spec.shape) and all(
        found >= 0 and wanted in (-1, found) for wanted, found in zip(spec.shape, tensor.shape, strict=True)
    )
    if not fits:
        raise InputError(f"Input {spec.name!r} has shape {_listed(tensor.shape)}; the model takes {list(spec.shape)}.")


def _values(tensor: InputTensor, spec: TensorSpec) -> list[Row]:
    """Returns a tensor's rows: arrays of numbers, or whatever a tensor of bytes holds."""
    data, size = bytes(tensor.data), math.prod(tensor.shape)
    depth = _nesting(data, len(tensor.shape))
    _require_size(data, size, tensor)
    values = _decoded(data, spec.datatype, depth, tensor)
    if depth > 1:
        _require_nested(values, tensor)
        values = _flat(values, depth)
    elif len(values) != size:
        raise InputError(f"Input {tensor.name!r} holds {len(values)} values; its shape {tensor.shape} needs {size}.")
    if spec.datatype == "BYTES":
        return values
    return list(_array(values, spec.datatype, tensor).reshape(tensor.shape))


def _nesting(data: bytes, rank: int) -> int:
    """Returns how many brackets data begins with: 1 where it is flat, the rank where it is nested."""
    if data[1:2] in _DIGITS:
        return 1
    brackets = data[: 64 * (rank + 1)].translate(None, _BLANK)
    return len(brackets[: rank + 1]) - len(brackets[: rank + 1].lstrip(b"["))


def _require_size(data: bytes, size: int, tensor: InputTensor) -> None:
    """Refuses data with more commas than its shape has values, before it is read."""
    if tensor.datatype != "BYTES" and (commas := data.count(b",")) >= max(1, size):
        raise InputError(f"Input {tensor.name!r} holds {commas + 1} values; its shape {tensor.shape} needs {size}.")


@lru_cache(maxsize=64)
def _data_decoder(datatype: Datatype, depth: int) -> "msgspec.json.Decoder[list[object]]":
    kind: object = _ELEMENTS[datatype]
    for _ in range(depth):
        kind = list[kind]  # type: ignore[valid-type]  # a type that is made at run time
    return msgspec.json.Decoder(kind)


def _decoded(data: bytes, datatype: Datatype, depth: int, tensor: InputTensor) -> list[Row]:
    try:
        return _data_decoder(datatype, max(1, depth)).decode(data)
    except msgspec.ValidationError:
        raise InputError(
            f"Input {tensor.name!r} holds something else than numbers of datatype {datatype}, flat or nested as its "
            f"shape {tensor.shape} says."
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"Input {tensor.name!r} has data that cannot be read: {error}.") from None


def _require_nested(values: list[Row], tensor: InputTensor) -> None:
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


def _array(values: Sequence[Row], datatype: Datatype, tensor: InputTensor) -> NDArray[np.generic]:
    """Returns checked numbers as an array; what becomes infinite is refused by the processor, with its row."""
    try:
        with np.errstate(over="ignore"):
            return np.array(values, dtype=NUMPY_TYPES[datatype])
    except OverflowError:
        raise InputError(f"Input {tensor.name!r} holds a number that datatype {datatype} does not.") from None


def _listed(values: Sequence[object]) -> str:
    """Returns the first of some values, for a message."""
    return str([shortened_value(one, "") if isinstance(one, str) else one for one in values[:8]]) + (
        f" and {len(values) - 8} more" if len(values) > 8 else ""
    )

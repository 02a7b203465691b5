"""Declared tensors to rows: what the JSON, the binary and the gRPC form of a tensor have in common.

Names, datatypes and shapes are checked before data is read: what a client declares decides what its data may hold.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError, shortened_value
from maas.records.signature import NUMPY_TYPES, TensorSpec
from maas.serving.call import Row
from maas.serving.faults import require_rows

TensorValues: TypeAlias = list[Row] | NDArray[np.generic]
"""What a tensor holds, the batch axis first."""
WIRE_TYPES: dict[str, np.dtype[np.generic]] = {
    name: np.dtype(kind).newbyteorder("<")
    for name, kind in {
        **NUMPY_TYPES, "INT16": np.int16, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64,
        "FP16": np.float16, "BF16": np.uint16,
    }.items()
}  # fmt: skip
"""How numbers of each datatype are sent; of BF16 their bits."""
_NUMBERS = WIRE_TYPES.keys() - {"BOOL", "BYTES"}
_EXACT_INTEGERS = 2**53


class DeclaredTensor(Protocol):
    """A tensor as a client declares it, whatever the form of its data."""

    name: str
    shape: list[int]
    datatype: str


T = TypeVar("T", bound=DeclaredTensor)


def rows_of(
    tensors: Sequence[T],
    specs: Sequence[TensorSpec],
    max_rows: int,
    read: Callable[[T, TensorSpec], TensorValues],
    optional: frozenset[str] = frozenset(),
) -> Sequence[Row]:
    """Returns the rows that a request's tensors hold.

    Args:
        tensors: as they were declared.
        specs: those that the model takes.
        max_rows: largest number of rows; of more, the data is not read.
        read: returns a tensor's values, (N, …).
        optional: names of the inputs that may be left out.

    Raises:
        InputError: they are not the tensors that the model takes.
    """
    _require_names([tensor.name for tensor in tensors], specs, optional)
    if len(specs) == 1:
        _require_taken(tensors[0], specs[0])
        require_rows(tensors[0].shape[0], max_rows)
        values = read(tensors[0], specs[0])
        if specs[0].datatype == "BYTES" and len(specs[0].shape) > 1:
            return _lists_of_texts(values, tensors[0])
        return cast("Sequence[Row]", values)  # an array is read as a sequence of its rows
    by_name = {spec.name: spec for spec in specs}
    for tensor in tensors:
        _require_taken(tensor, by_name[tensor.name])
    sizes = {tensor.name: tensor.shape[0] for tensor in tensors}
    if len(set(sizes.values())) > 1:
        raise InputError(f"The request's inputs have unequal numbers of rows: {sizes}.")
    require_rows(tensors[0].shape[0], max_rows)
    columns = [_listed_rows(read(tensor, by_name[tensor.name])) for tensor in tensors]
    return [dict(zip(sizes, values, strict=True)) for values in zip(*columns, strict=True)]


def shape_of(tensor: DeclaredTensor, spec: TensorSpec) -> list[int]:
    """Returns a tensor's shape with as many sizes as the model takes: [N, 1] is [N] where it takes [N]."""
    return tensor.shape[: len(spec.shape)]


def _require_taken(tensor: DeclaredTensor, spec: TensorSpec) -> None:
    """Requires the datatype and the shape that the model takes; a datatype that holds less is taken as well.

    Raises:
        InputError: with what it is, and what the model takes.
    """
    if tensor.datatype != spec.datatype and not _is_widened(tensor.datatype, spec.datatype):
        raise InputError(
            f"Input {spec.name!r} has datatype {shortened_value(tensor.datatype)}; the model takes {spec.datatype}."
        )
    found, wanted = tensor.shape, spec.shape
    if len(found) == len(wanted) + 1 and found[-1] == 1:
        found = found[:-1]
    if len(found) != len(wanted) or not all(
        size >= 0 and most in (-1, size) for most, size in zip(wanted, found, strict=True)
    ):
        raise InputError(f"Input {spec.name!r} has shape {listed(tensor.shape)}; the model takes {list(spec.shape)}.")


def in_datatype_of(array: NDArray[np.generic], tensor: DeclaredTensor, spec: TensorSpec) -> NDArray[np.generic]:
    """Returns numbers of a tensor's datatype in that of the model.

    Raises:
        InputError: a whole number is too large for it.
    """
    if tensor.datatype == spec.datatype:
        return array
    if tensor.datatype == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    if tensor.datatype in ("INT64", "UINT64") and array.size and _largest(array) > _EXACT_INTEGERS:
        raise InputError(f"Input {tensor.name!r} holds a whole number that datatype {spec.datatype} does not.")
    return array.astype(NUMPY_TYPES[spec.datatype])


def require_outputs(wanted: Sequence[str], known: Mapping[str, object]) -> None:
    """Refuses outputs that the model does not have, and those that are wanted twice.

    Raises:
        InputError: with their names.
    """
    if unknown := [name for name in wanted if name not in known]:
        raise InputError(f"The outputs {listed(unknown)} are wanted; the model has {', '.join(known)}.")
    if len(set(wanted)) < len(wanted):
        twice = next(name for name in wanted if wanted.count(name) > 1)
        raise InputError(f"The output {twice!r} is wanted {wanted.count(twice)} times; name each output once.")


def size_of_shape(tensor: DeclaredTensor) -> int:
    """Returns how many values a tensor's shape has."""
    return math.prod(tensor.shape)


def listed(values: Sequence[object]) -> str:
    """Returns the first of some values, for a message."""
    return str([shortened_value(one, "") if isinstance(one, str) else one for one in values[:8]]) + (
        f" and {len(values) - 8} more" if len(values) > 8 else ""
    )


def decoded_text(value: bytes, kind: str, name: str) -> str:
    """Returns the text that bytes are.

    Args:
        value: in UTF-8.
        kind: what holds them, for messages: `Input` or `Feature`.
        name: name of that.

    Raises:
        InputError: they are not UTF-8.
    """
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{kind} {name!r} holds bytes that are not UTF-8: {error.reason}.") from None


def _require_names(names: list[str], specs: Sequence[TensorSpec], optional: frozenset[str]) -> None:
    """Requires each input of the model once; those that are optional may be absent."""
    wanted = [spec.name for spec in specs]
    if names == wanted:
        return
    lacking = set(wanted).difference(names)
    if not names or len(set(names)) < len(names) or not set(names).issubset(wanted) or not lacking <= optional:
        takes = f"one input, {wanted[0]!r}" if len(wanted) == 1 else f"the inputs {', '.join(wanted)}"
        raise InputError(f"The request's inputs are {listed(names)}; the model takes {takes}.")


def _is_widened(found: str, wanted: str) -> bool:
    """Whether a datatype of numbers is taken where another is wanted, as it loses nothing."""
    if found not in _NUMBERS or wanted not in _NUMBERS:
        return False
    kind = np.dtype(np.float32) if found == "BF16" else WIRE_TYPES[found]
    return np.can_cast(kind, NUMPY_TYPES[wanted])


def _largest(array: NDArray[np.generic]) -> int:
    return max(abs(int(array.min())), abs(int(array.max())))


def _lists_of_texts(values: TensorValues, tensor: DeclaredTensor) -> list[Row]:
    """Returns texts, which were read one after the other, as a list for each row."""
    width = math.prod(tensor.shape[1:])
    return [list(values[row * width : (row + 1) * width]) for row in range(tensor.shape[0])]


def _listed_rows(values: TensorValues) -> list[Row]:
    """Returns a column's values one by one, a row of numbers as an array."""
    if isinstance(values, list):
        return values
    return values.tolist() if values.ndim == 1 else list(values)

"""Tensors of the Open Inference Protocol to rows, and outputs to tensors; the REST and gRPC forms of it meet here."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError
from maas.records.signature import NUMPY_TYPES, TensorSpec

_KINDS = {"BOOL": "b", "UINT8": "iu", "INT8": "iu", "INT32": "iu", "INT64": "iu", "FP32": "iuf", "FP64": "iuf"}


class InputTensor(msgspec.Struct):
    """A tensor as a client sends it, its data flat or nested."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


def rows_of(tensors: Sequence[InputTensor], specs: Sequence[TensorSpec]) -> list[Any]:
    """Returns the rows that a request's tensor holds.

    Raises:
        InputError: it is not the tensor that the model takes.
    """
    names, wanted = [tensor.name for tensor in tensors], [spec.name for spec in specs]
    if sorted(names) != sorted(wanted):
        takes = f"one input, {wanted[0]!r}" if len(wanted) == 1 else f"the inputs {', '.join(wanted)}"
        raise InputError(f"The request's inputs are {names}; the model takes {takes}.")
    by_name = {tensor.name: tensor for tensor in tensors}
    columns = [_column(by_name[spec.name], spec) for spec in specs]
    if len(columns) == 1:
        return columns[0]
    sizes = {name: len(column) for name, column in zip(wanted, columns, strict=True)}
    if len(set(sizes.values())) > 1:
        raise InputError(f"The request's inputs have unequal numbers of rows: {sizes}.")
    return [dict(zip(wanted, values, strict=True)) for values in zip(*columns, strict=True)]


def _column(tensor: InputTensor, spec: TensorSpec) -> list[Any]:
    if tensor.datatype != spec.datatype:
        raise InputError(f"Input {spec.name!r} has datatype {tensor.datatype!r}; the model takes {spec.datatype}.")
    if not _fits(tensor.shape, spec):
        raise InputError(f"Input {spec.name!r} has shape {tensor.shape}; the model takes {list(spec.shape)}.")
    return _array(tensor, spec)


def tensors_of(outputs: Mapping[str, NDArray[Any]], specs: Sequence[TensorSpec], wanted: Sequence[str]) -> list[Any]:
    """Returns output tensors as the protocol writes them, their data flat.

    Raises:
        InputError: an output is wanted that the model does not have.
    """
    known = {spec.name: spec for spec in specs}
    if unknown := [name for name in wanted if name not in known]:
        raise InputError(f"The outputs {unknown} are wanted; the model has {', '.join(known)}.")
    return [
        {
            "name": name,
            "datatype": known[name].datatype,
            "shape": list(outputs[name].shape),
            "data": outputs[name].ravel().tolist(),
        }
        for name in wanted or known
    ]


def _fits(shape: Sequence[int], spec: TensorSpec) -> bool:
    return len(shape) == len(spec.shape) and all(
        found >= 0 and wanted in (-1, found) for wanted, found in zip(spec.shape, shape, strict=True)
    )


def _array(tensor: InputTensor, spec: TensorSpec) -> list[Any]:
    """Returns the tensor's rows: arrays of numbers, or texts."""
    size = math.prod(tensor.shape)
    if spec.datatype == "BYTES":
        _check_size(len(tensor.data), size, tensor)
        return tensor.data
    try:
        array = np.asarray(tensor.data)
    except ValueError as error:
        raise InputError(f"Input {tensor.name!r} has rows of unequal length: {error}.") from None
    if array.size and array.dtype.kind not in _KINDS[spec.datatype]:
        raise InputError(f"Input {tensor.name!r} holds something else than numbers of datatype {spec.datatype}.")
    _check_size(array.size, size, tensor)
    if array.ndim > 1 and array.shape != tuple(tensor.shape):
        raise InputError(
            f"Input {tensor.name!r} has data nested as {list(array.shape)}; its shape is {tensor.shape}. Send data "
            "flat, or nested as the shape says."
        )
    with np.errstate(over="ignore"):  # what becomes infinite is refused by the processor, with its row
        converted: NDArray[Any] = array.astype(NUMPY_TYPES[spec.datatype]).reshape(tensor.shape)
    return list(converted)


def _check_size(found: int, wanted: int, tensor: InputTensor) -> None:
    if found != wanted:
        raise InputError(f"Input {tensor.name!r} holds {found} values; its shape {tensor.shape} needs {wanted}.")

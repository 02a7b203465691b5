"""TensorFlow's tensors as gRPC's messages hold them: bytes, or values in the field of their datatype.

Fewer values than the shape has stand for as many: the last one is repeated, and none are zeros, as TensorFlow writes
tensors of equal values.
Source: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/tensor.proto
"""

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from google.protobuf.message_factory import GetMessageClass
from numpy.typing import NDArray

from maas.errors import InputError
from maas.records.signature import TensorSpec
from maas.serving.protocols.binary_tensors import RawData, binary_values
from maas.serving.protocols.grpc_methods import POOL
from maas.serving.protocols.tensors import (
    WIRE_TYPES,
    TensorValues,
    decoded_text,
    in_datatype_of,
    shape_of,
    size_of_shape,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

MOST_REPEATED_VALUES = 2**20
"""Of a tensor that is larger than what was sent for it."""
_NUMBERS = {name: value.number for name, value in POOL.FindEnumTypeByName("tensorflow.DataType").values_by_name.items()}
_NAMES = {number: name for name, number in _NUMBERS.items()}
_TENSOR = GetMessageClass(POOL.FindMessageTypeByName("tensorflow.TensorProto"))


class _Form(NamedTuple):
    """How TensorFlow writes a datatype: its name, the field of its values, and the type of that field."""

    name: str
    field: str
    kind: type[np.generic]


_FORMS = {
    "BOOL": _Form("DT_BOOL", "bool_val", np.bool_),
    "INT8": _Form("DT_INT8", "int_val", np.int32),
    "INT16": _Form("DT_INT16", "int_val", np.int32),
    "INT32": _Form("DT_INT32", "int_val", np.int32),
    "INT64": _Form("DT_INT64", "int64_val", np.int64),
    "UINT8": _Form("DT_UINT8", "int_val", np.int32),
    "UINT16": _Form("DT_UINT16", "int_val", np.int32),
    "UINT32": _Form("DT_UINT32", "uint32_val", np.uint32),
    "UINT64": _Form("DT_UINT64", "uint64_val", np.uint64),
    "FP16": _Form("DT_HALF", "half_val", np.int32),
    "BF16": _Form("DT_BFLOAT16", "half_val", np.int32),
    "FP32": _Form("DT_FLOAT", "float_val", np.float32),
    "FP64": _Form("DT_DOUBLE", "double_val", np.float64),
    "BYTES": _Form("DT_STRING", "string_val", np.bytes_),
}
_DATATYPES = {_NUMBERS[form.name]: datatype for datatype, form in _FORMS.items()}


class TfTensor(msgspec.Struct):
    """A tensor of a request, by its name.

    Args:
        name: of the input.
        shape: as it was declared.
        datatype: as the Open Inference Protocol calls it; TensorFlow's own name where that has none.
        message: holds its values.
    """

    name: str
    shape: list[int]
    datatype: str
    message: "Message"


def declared_tensor(name: str, message: "Message") -> TfTensor:
    """Returns what a tensor is declared to be."""
    number = message.dtype
    datatype = _DATATYPES.get(number) or _NAMES.get(number, f"number {number}")
    return TfTensor(name, [one.size for one in message.tensor_shape.dim], datatype, message)


def tensor_values(tensor: TfTensor, spec: TensorSpec) -> TensorValues:
    """Returns what a tensor holds, (N, …).

    Args:
        tensor: as it was declared, of a datatype that the model takes.
        spec: what the model takes.

    Raises:
        InputError: the data is not what was declared.
    """
    content = tensor.message.tensor_content
    if content and tensor.datatype != "BYTES":
        return binary_values(RawData(content, 0, len(content)), tensor, spec)
    form, count = _FORMS[tensor.datatype], size_of_shape(tensor)
    given = getattr(tensor.message, form.field)
    if tensor.datatype == "BYTES":
        if len(given) != count:
            raise _count_error(tensor, form, len(given), count)
        return [decoded_text(value, "Input", tensor.name) for value in given]
    if len(given) != count and (len(given) > count or count > MOST_REPEATED_VALUES):
        raise _count_error(tensor, form, len(given), count)
    array = _as_declared(np.array(given, form.kind), tensor)
    if len(array) < count:
        array = np.pad(array, (0, count - len(array)), "edge") if len(array) else np.zeros(count, array.dtype)
    return in_datatype_of(array, tensor, spec).reshape(shape_of(tensor, spec))


def tensor_message(array: NDArray[np.generic], datatype: str) -> "Message":
    """Returns an output as a message, its values in the field of their datatype, as TensorFlow Serving replies.

    Args:
        array: (N, …).
        datatype: of the output.
    """
    form, values = _FORMS[datatype], array.ravel().tolist()
    message = _TENSOR(dtype=_NUMBERS[form.name])
    for size in array.shape:
        message.tensor_shape.dim.add(size=size)
    getattr(message, form.field).extend([str(one).encode() for one in values] if datatype == "BYTES" else values)
    return message


def _as_declared(array: NDArray[np.generic], tensor: TfTensor) -> NDArray[np.generic]:
    """Returns values of a wider field in the datatype that was declared; of half floats the field has the bits.

    Raises:
        InputError: the datatype does not hold a value.
    """
    kind = WIRE_TYPES[tensor.datatype]
    if array.dtype == kind:
        return array
    bits = np.dtype(np.uint16) if tensor.datatype in ("FP16", "BF16") else kind
    narrow = array.astype(bits)
    if not np.array_equal(narrow, array):
        raise InputError(f"Input {tensor.name!r} holds a number that {_FORMS[tensor.datatype].name} does not.")
    return narrow.view(kind)


def _count_error(tensor: TfTensor, form: _Form, found: int, count: int) -> InputError:
    return InputError(
        f"Input {tensor.name!r} holds {found} values in {form.field}; its shape {tensor.shape} needs {count}."
    )

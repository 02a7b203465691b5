"""Messages of the Open Inference Protocol over gRPC, as `open_inference.proto` writes them, and what they say.

The messages have a pool of their own, as clients of the protocol bring messages of the same names.
"""

from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from maas.errors import InputError
from maas.records.signature import TensorSpec
from maas.serving.protocols.binary_tensors import RawData, binary_values
from maas.serving.protocols.tensors import (
    WIRE_TYPES,
    DeclaredTensor,
    TensorValues,
    in_datatype_of,
    shape_of,
    size_of_shape,
)
from maas.serving.protocols.v2_messages import InferRequest, InputTensor, RequestedOutput

if TYPE_CHECKING:
    from google.protobuf.message import Message

SERVICE = "inference.GRPCInferenceService"
POOL = DescriptorPool()
for _file in FileDescriptorSet.FromString(
    resources.files(__package__).joinpath("open_inference.binpb").read_bytes()
).file:
    POOL.Add(_file)
METHODS = {method.name: method for method in POOL.FindServiceByName(SERVICE).methods}
_CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip
"""Where a tensor's contents are, by its datatype; FP16 and BF16 are sent as raw contents alone."""


def request_type(method: str) -> "type[Message]":
    """Returns the message that a method takes."""
    made: type[Message] = GetMessageClass(METHODS[method].input_type)
    return made


def reply_type(method: str) -> "type[Message]":
    """Returns the message that a method gives."""
    made: type[Message] = GetMessageClass(METHODS[method].output_type)
    return made


def infer_request(message: "Message") -> InferRequest:
    """Returns what a request says in the protocol's own terms, without its data."""
    return InferRequest(
        inputs=[
            InputTensor(name=one.name, shape=list(one.shape), datatype=one.datatype, parameters=_parameters(one))
            for one in message.inputs
        ],
        id=message.id,
        outputs=[RequestedOutput(one.name, _parameters(one)) for one in message.outputs],
        parameters=_parameters(message),
    )


def message_values(message: "Message", tensor: DeclaredTensor, spec: TensorSpec) -> TensorValues:
    """Returns what a tensor of a request holds, (N, …).

    Args:
        message: the request.
        tensor: one of its inputs.
        spec: what the model takes.

    Raises:
        InputError: the data is not what was declared.
    """
    place = next(place for place, one in enumerate(message.inputs) if one.name == tensor.name)
    raw = message.raw_input_contents
    if len(raw) == len(message.inputs):
        return binary_values(RawData(raw[place], 0, len(raw[place])), tensor, spec)
    if raw:
        raise InputError(
            f"The request has {len(message.inputs)} inputs and {len(raw)} raw_input_contents; send as many of them, or "
            "the contents of each input."
        )
    return _contents(message.inputs[place], tensor, spec)


def _contents(message: "Message", tensor: DeclaredTensor, spec: TensorSpec) -> TensorValues:
    field = _CONTENTS.get(tensor.datatype)
    values = getattr(message.contents, field) if field else ()
    if len(values) != size_of_shape(tensor):
        raise InputError(
            f"Input {tensor.name!r} holds {len(values)} values; its shape {tensor.shape} needs {size_of_shape(tensor)}."
        )
    if tensor.datatype == "BYTES":
        return [_text(value, tensor) for value in values]
    try:
        array = np.array(list(values), dtype=WIRE_TYPES[tensor.datatype])  # an array of them would wrap around
    except OverflowError:
        raise InputError(f"Input {tensor.name!r} holds a number that datatype {tensor.datatype} does not.") from None
    return in_datatype_of(array, tensor, spec).reshape(shape_of(tensor, spec))


def _text(value: bytes, tensor: DeclaredTensor) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"Input {tensor.name!r} holds bytes that are not UTF-8: {error.reason}.") from None


def _parameters(message: "Message") -> dict[str, object] | None:
    chosen = {name: (one, one.WhichOneof("parameter_choice")) for name, one in message.parameters.items()}
    return {name: getattr(one, choice) if choice else None for name, (one, choice) in chosen.items()} or None

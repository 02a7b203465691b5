"""What the messages of the Open Inference Protocol over gRPC say, in the protocol's own terms."""

from typing import TYPE_CHECKING

import numpy as np

from maas.errors import InputError
from maas.records.signature import TensorSpec
from maas.serving.protocols.binary_tensors import RawData, binary_values
from maas.serving.protocols.open_inference.messages import InferRequest, InputTensor, RequestedOutput
from maas.serving.protocols.tensors import (
    WIRE_TYPES,
    DeclaredTensor,
    TensorValues,
    decoded_text,
    in_datatype_of,
    shape_of,
    size_of_shape,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

_CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip
"""Where a tensor's contents are, by its datatype; FP16 and BF16 are sent as raw contents alone."""


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
        return [decoded_text(value, "Input", tensor.name) for value in values]
    try:
        array = np.array(list(values), dtype=WIRE_TYPES[tensor.datatype])  # an array of them would wrap around
    except OverflowError:
        raise InputError(f"Input {tensor.name!r} holds a number that datatype {tensor.datatype} does not.") from None
    return in_datatype_of(array, tensor, spec).reshape(shape_of(tensor, spec))


def _parameters(message: "Message") -> dict[str, object] | None:
    chosen = {name: (one, one.WhichOneof("parameter_choice")) for name, one in message.parameters.items()}
    return {name: getattr(one, choice) if choice else None for name, (one, choice) in chosen.items()} or None

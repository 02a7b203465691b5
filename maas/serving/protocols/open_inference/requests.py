"""Reads requests of the Open Inference Protocol, version 2: the JSON, and the tensors in it or after it."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import NamedTuple, cast

import msgspec
import numpy as np

from maas.errors import shortened_value
from maas.records.signature import Signature, TensorSpec
from maas.serving.call import Row
from maas.serving.faults import UnreadableError
from maas.serving.protocols.binary_tensors import RawData, binary_values
from maas.serving.protocols.bodies import decode
from maas.serving.protocols.open_inference.content_types import values_of_content_type
from maas.serving.protocols.open_inference.flat_numbers import FLOATS, Numbers, flat_request
from maas.serving.protocols.open_inference.json_tensors import flat_values, json_values
from maas.serving.protocols.open_inference.messages import (
    INFER_DECODER,
    InferRequest,
    InputTensor,
    priority_in,
    raw_data,
    require_parameters,
    timeout_s_of,
)
from maas.serving.protocols.open_inference.outputs import JSON_LENGTH, WantedOutput, wanted_outputs
from maas.serving.protocols.operations import Request
from maas.serving.protocols.schemas import require_body_size
from maas.serving.protocols.tensors import WIRE_TYPES, TensorValues, rows_of
from maas.serving.repository import PredictingDeployment

REMEMBERED_BYTES = 1024
_MOST_DIGITS = 20


class BinaryArray(NamedTuple):
    """The only input of a request, an array of numbers as the model takes them, which is all that follows the JSON.

    Args:
        kind: of the numbers.
        shape: of the array.
        size: its bytes.
    """

    kind: "np.dtype[np.generic]"
    shape: list[int]
    size: int


class RequestHead(NamedTuple):
    """What the JSON of a request says.

    Args:
        body: the JSON, whose parameters are known.
        outputs: those that are wanted.
        are_binary: whether the data of all of them is to follow the JSON of the reply.
        timeout_s: within which a reply is wanted, in seconds; null for no limit.
        priority: `HIGH`, `NORMAL` or `LOW`.
        array: the input, where it needs no more than to be found after the JSON.
        numbers: of the input, where they were read at once.
    """

    body: InferRequest
    outputs: list[WantedOutput]
    are_binary: bool
    timeout_s: float | None
    priority: int
    array: BinaryArray | None = None
    numbers: Numbers | None = None


def request_head(request: Request, deployment: PredictingDeployment) -> tuple[RequestHead, int]:
    """Returns what the JSON of a request says, and its length.

    Raises:
        UnreadableError: it is not what the protocol says.
        InputError: a parameter is not known here, or an output.
        TooLargeError: it is larger than the most rows of the model.
    """
    size = json_size(request)
    signature, max_rows = deployment.signature, deployment.engine.max_rows
    if size is not None and size <= REMEMBERED_BYTES:
        return _remembered_head(bytes(request.body[:size]), signature, max_rows), size
    content = request.body if size is None else request.body[:size]
    require_body_size(content, (deployment,))
    head = _head_with_numbers(content, signature) if size is None else None
    return head or _read_head(content, signature, max_rows), len(content)


def json_size(request: Request) -> int | None:
    """Returns the length of the JSON that binary data follows; None where all of the body is JSON.

    Raises:
        UnreadableError: the header that says so is no length within the body.
    """
    value = request.metadata.get(JSON_LENGTH)
    if value is None:
        return None
    size = int(value) if len(value) <= _MOST_DIGITS and value.isdigit() else 0
    if not 0 < size <= len(request.body):
        raise UnreadableError(
            f"The header Inference-Header-Content-Length is {shortened_value(value.decode('latin-1'))}; it is "
            f"the length of the JSON that the body of {len(request.body)} bytes begins with. Send it"
        )
    return size


def rows_of_request(
    head: RequestHead, body: bytes | bytearray, size: int, deployment: PredictingDeployment
) -> Sequence[Row]:
    """Returns the rows of a request.

    Args:
        head: what its JSON says.
        body: all of it.
        size: length of the JSON.
        deployment: the one that it is for.

    Raises:
        InputError: the tensors are not those that the model takes.
    """
    if head.array is not None and head.array.size == len(body) - size:
        array = np.ndarray(head.array.shape, head.array.kind, body, size)
        return cast("Sequence[Row]", array)  # it is read as a sequence of its rows
    inputs, optional = head.body.inputs, deployment.optional_inputs
    if head.numbers is None:
        read = partial(_values, raw=raw_data(inputs, body, size), optional=optional)
    else:
        read = partial(flat_values, head.numbers)
    return rows_of(inputs, deployment.signature.inputs, deployment.engine.max_rows, read, optional)


def _head_with_numbers(content: bytes | bytearray, signature: Signature) -> RequestHead | None:
    """Reads a small request with a flat list of floats, which is most of them; None where it is another."""
    if len(signature.inputs) != 1 or signature.inputs[0].datatype not in FLOATS:
        return None
    found = flat_request(content)
    if found is None:
        return None
    body, numbers = found
    return _checked_head(body, signature)._replace(numbers=numbers)


def _read_head(content: bytes | bytearray, signature: Signature, max_rows: int) -> RequestHead:
    body = decode(INFER_DECODER, content)
    head = _checked_head(body, signature)
    is_one = len(body.inputs) == len(signature.inputs) == 1
    return head._replace(array=_array(body.inputs[0], signature.inputs[0], max_rows)) if is_one else head


def _checked_head(body: InferRequest, signature: Signature) -> RequestHead:
    """Returns what a body says beside its data."""
    require_parameters(body)
    outputs = wanted_outputs(body, signature.outputs)
    are_binary = all(one.is_binary for one in outputs)
    return RequestHead(body, outputs, are_binary, timeout_s_of(body), priority_in(body))


_remembered_head = lru_cache(maxsize=256)(_read_head)
"""Clients send the same line before each array: reading it takes longer than reading the array."""


def _array(tensor: InputTensor, spec: TensorSpec, max_rows: int) -> BinaryArray | None:
    """Returns how an input is found after the JSON; None where it needs to be checked or converted by value."""
    kind, rank = WIRE_TYPES[spec.datatype], len(spec.shape)
    is_plain = (
        (tensor.name, tensor.datatype, len(tensor.shape)) == (spec.name, spec.datatype, rank)
        and kind.kind in "iuf"
        and 0 < tensor.shape[0] <= max_rows
        and all(size > 0 and most in (-1, size) for most, size in zip(spec.shape, tensor.shape, strict=True))
    )
    size = kind.itemsize * math.prod(tensor.shape)
    is_plain = is_plain and tensor.binary_size == size and "content_type" not in (tensor.parameters or ())
    return BinaryArray(kind, tensor.shape, size) if is_plain else None


def _values(
    tensor: InputTensor, spec: TensorSpec, *, raw: Mapping[str, RawData], optional: frozenset[str]
) -> TensorValues:
    """Returns what a tensor holds, in whatever form it was sent."""
    if isinstance(tensor.data, msgspec.UnsetType):
        values = binary_values(raw[tensor.name], tensor, spec)
    else:
        values = json_values(tensor.data, tensor, spec, is_optional=spec.name in optional)
    return (
        values_of_content_type(values, tensor, tensor.parameters.get("content_type")) if tensor.parameters else values
    )

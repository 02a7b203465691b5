"""Requests of the Open Inference Protocol, version 2, and their parameters.

What a parameter wants is done, or the request is refused: a client never gets something else than it meant.
Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

import time
from collections.abc import Mapping, Sequence

import msgspec

from maas.errors import InputError, shortened_value
from maas.serving.call import HIGH, LOW, NORMAL
from maas.serving.protocols.binary_tensors import RawData
from maas.serving.protocols.open_inference.content_types import CONTENT_TYPES

Parameters = Mapping[str, object]
LONGEST_TIMEOUT_US = 24 * 3600 * 10**6
_NOT_SUPPORTED = {
    "sequence_id": "requests do not depend on each other here",
    "shared_memory_region": "this server shares no memory with clients",
}


class InputTensor(msgspec.Struct, kw_only=True):
    """A tensor as a client sends it, its data flat or nested, and not read yet; binary data is after the JSON."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    parameters: dict[str, object] | None = None

    @property
    def binary_size(self) -> int | None:
        """Bytes of binary data; None where the data is JSON.

        Raises:
            InputError: there is data in both forms or in none, or the size is none.
        """
        size = None if self.parameters is None else self.parameters.get("binary_data_size")
        if (size is None) == (self.data is msgspec.UNSET):
            found = "no data" if size is None else "data as JSON and as binary data"
            raise InputError(f"Input {shortened_value(self.name)} has {found}; send `data`, or `binary_data_size`.")
        if size is not None and (type(size) is not int or size < 0):
            raise InputError(f"The parameter binary_data_size is {_shown(size)}; it is a number of bytes.")
        return size


class RequestedOutput(msgspec.Struct):
    """An output that a client wants."""

    name: str
    parameters: dict[str, object] | None = None


class InferRequest(msgspec.Struct):
    """The body of an inference request."""

    inputs: list[InputTensor]
    id: str | None = None
    outputs: list[RequestedOutput] | None = None
    parameters: dict[str, object] | None = None


INFER_DECODER = msgspec.json.Decoder(InferRequest)


def require_parameters(body: InferRequest) -> None:
    """Refuses what a client wants and would not get.

    Raises:
        InputError: a parameter is not known here, or has no such value.
    """
    if body.parameters:
        _require_known(body.parameters, ("binary_data_output", "content_type", "priority", "timeout"))
    for tensor in body.inputs:
        if tensor.parameters:
            _require_known(tensor.parameters, ("binary_data_size", "binary_data", "content_type"))
    for output in body.outputs or ():
        if output.parameters:
            _require_known(output.parameters, ("binary_data", "classification", "content_type"))


def deadline_of(body: InferRequest) -> float | None:
    """Returns when a request's `timeout` is over, in seconds of the monotonic clock; None where it has none."""
    return deadline_in(timeout_s_of(body))


def deadline_in(timeout_s: float | None) -> float | None:
    """Returns the time of the monotonic clock in some seconds; None where there is no limit."""
    return None if timeout_s is None else time.monotonic() + timeout_s


def timeout_s_of(body: InferRequest) -> float | None:
    """Returns a request's `timeout`, which is in microseconds, in seconds; None where it has none.

    Raises:
        InputError: it is no number of microseconds.
    """
    timeout = body.parameters.get("timeout") if body.parameters else None
    if timeout is None or timeout == 0:
        return None
    if type(timeout) is not int or timeout < 0:
        raise InputError(f"The parameter timeout is {_shown(timeout)}; it is a number of microseconds.")
    return min(timeout, LONGEST_TIMEOUT_US) / 1e6


def priority_in(body: InferRequest) -> int:
    """Returns the priority of a request: in Triton's numbers 1 is the highest, and 0 the usual one, which is 2 here.

    Raises:
        InputError: it is no such number.
    """
    priority = body.parameters.get("priority", 0) if body.parameters else 0
    if type(priority) is not int or not 0 <= priority < 2**64:
        raise InputError(f"The parameter priority is {_shown(priority)}; it is 1 (high), 2 (normal) or 3 (low).")
    return NORMAL if not priority else max(HIGH, min(LOW, priority - 2))


def raw_data(tensors: Sequence[InputTensor], body: bytes | bytearray, start: int) -> dict[str, RawData]:
    """Returns the binary data of tensors, by name.

    Args:
        tensors: as they were declared.
        body: the request's.
        start: place of the first byte after the JSON.

    Raises:
        InputError: the body has more bytes, or less.
    """
    found: dict[str, RawData] = {}
    place = start
    for tensor in tensors:
        size = tensor.binary_size
        if size is not None:
            found[tensor.name] = RawData(body, place, size)
            place += size
    if place != len(body):
        raise InputError(
            f"The body has {len(body) - start:,} bytes after its JSON; the inputs' binary_data_size is "
            f"{place - start:,} together. Send each input's data in full, in the order of the inputs, and the length "
            "of the JSON as the header Inference-Header-Content-Length."
        )
    return found


def _require_known(parameters: Parameters, names: Sequence[str]) -> None:
    for name, value in parameters.items():
        if name not in names:
            known = ", ".join(sorted(names))
            reason = f": {_NOT_SUPPORTED[name]}" if name in _NOT_SUPPORTED else f"; there is {known}"
            raise InputError(f"The parameter {shortened_value(name)} is not known here{reason}. Leave it out.")
        if name == "content_type" and value not in CONTENT_TYPES:
            raise InputError(
                f"The parameter content_type is {_shown(value)}; {', '.join(CONTENT_TYPES)} are known here."
            )


def _shown(value: object) -> str:
    return shortened_value(repr(value), "")

"""Requests of version 2 that differ in the numbers of one row alone, which stand in a JSON that came before.

What stands before and after a list of numbers means the same whatever the numbers are, so that only these are read.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import simdjson
from numpy.typing import NDArray

from maas.errors import InputError
from maas.runtime.codec import Outputs
from maas.serving.call import NORMAL
from maas.serving.protocols.number_rows import holds_lists
from maas.serving.protocols.open_inference.flat_numbers import FLOATS
from maas.serving.protocols.open_inference.outputs import JSON_LENGTH, WantedOutput, reply_of
from maas.serving.protocols.open_inference.requests import REMEMBERED_BYTES, request_head
from maas.serving.protocols.operations import (
    LARGE_BODY_BYTES,
    Metadata,
    ReadRow,
    Reply,
    Request,
    RowReader,
)
from maas.serving.repository import PredictingDeployment

_DATA = re.compile(rb'"data"\s*:\s*(?=\[)')
_PARSER = simdjson.Parser()  # of small bodies; it keeps as much memory as the largest of them took


@dataclass(frozen=True)
class JsonReplies:
    """Makes replies, one for each row.

    Args:
        deployment: the one that ran.
        identity: what the client calls its request; null where it has no name.
        wanted: outputs, each as a client wants it.
    """

    deployment: PredictingDeployment
    identity: str | None
    wanted: tuple[WantedOutput, ...]

    def __call__(self, outputs: Outputs) -> list[Reply]:
        """Returns the reply to the request of each row."""
        arrays, one = self.deployment.postprocessor.tensors(outputs), self.deployment
        replies: list[Reply] = []
        for number in range(max(map(len, arrays.values()))):
            row = {name: array[number : number + 1] for name, array in arrays.items()}
            rendered = reply_of(self.identity, self.wanted, one, row)
            metadata = (*one.reply_metadata, *rendered.metadata)
            replies.append(Reply(b"".join(rendered.parts), rendered.media_type, metadata))
        return replies


class _Form(NamedTuple):
    """What requests that differ in numbers alone have in common.

    Args:
        before: JSON before the list of numbers.
        after: JSON after it.
        shape: of the numbers, (1, K).
        replies: makes the replies.
    """

    before: bytes
    after: bytes
    shape: tuple[int, ...]
    replies: JsonReplies


class JsonRows:
    """Reads rows within a JSON that came before; another JSON is kept in its place if it is like it.

    Args:
        deployment: the one that the requests are for.
        metadata: of the requests.
    """

    def __init__(self, deployment: PredictingDeployment, metadata: Metadata) -> None:
        self._deployment, self._metadata = deployment, metadata
        self._form: _Form | None = None

    def read(self, body: bytes | bytearray) -> ReadRow | None:
        """Returns the row that a body holds."""
        if len(body) > LARGE_BODY_BYTES:
            return None
        form = self._form
        if form is None or not (body.startswith(form.before) and body.endswith(form.after)):
            form = self._form = self._form_of(body)
            if form is None:
                return None
        numbers = _numbers(body[len(form.before) : len(body) - len(form.after)])
        if numbers is None or len(numbers) != form.shape[1]:
            return None
        return numbers.reshape(form.shape), form.replies

    def _form_of(self, body: bytes | bytearray) -> _Form | None:
        """Returns the form of a request that may come again with other numbers; None where it wants anything else."""
        try:
            head, _ = request_head(Request(body=body, metadata=self._metadata), self._deployment)
        except InputError:  # whoever parses it says what is wrong
            return None
        (spec,), places = self._deployment.signature.inputs, _DATA.findall(body)
        if head.numbers is None or head.are_binary or head.timeout_s or head.priority != NORMAL or len(places) != 1:
            return None
        tensor, size = head.body.inputs[0], spec.shape[1]
        if (tensor.name, tensor.datatype, tensor.shape) != (spec.name, spec.datatype, [1, size]) or tensor.parameters:
            return None
        begin = body.index(places[0]) + len(places[0])
        end = body.find(b"]", begin) + 1
        before, after = bytes(body[:begin]), bytes(body[end:])
        if len(before) + len(after) > REMEMBERED_BYTES:
            return None
        found = _numbers(body[begin:end])
        if found is None or not np.array_equal(found, head.numbers):
            return None
        return _Form(before, after, (1, size), JsonReplies(self._deployment, head.body.id, tuple(head.outputs)))


def json_row_reader(deployment: PredictingDeployment, metadata: Metadata) -> RowReader | None:
    """Returns what reads rows of a model in JSON; None where they are no numbers, or what it gives for one is much.

    Args:
        deployment: the one that requests are for.
        metadata: of the requests.
    """
    inputs = deployment.signature.inputs
    is_flat = len(inputs) == 1 and inputs[0].datatype in FLOATS and len(inputs[0].shape) == 2 and inputs[0].shape[1] > 0
    if not is_flat or JSON_LENGTH in metadata or not deployment.gives_little:
        return None
    return RowReader(deployment, JsonRows(deployment, metadata).read)


def _numbers(content: bytes | bytearray) -> NDArray[np.float64] | None:
    """Returns the numbers of a JSON that is one flat list of them, (N,); None where it is anything else."""
    try:
        found = _PARSER.parse(content)
        if type(found) is not simdjson.Array or not holds_lists(content, 1):  # as_buffer would flatten nested lists
            return None
        return np.frombuffer(found.as_buffer(of_type="d"))
    except (ValueError, TypeError, RuntimeError):
        return None

"""Requests of version 2 that differ in one row of binary numbers alone, which follows a JSON that came before.

Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError
from maas.runtime.codec import Outputs
from maas.serving.call import NORMAL
from maas.serving.protocols.binary_tensors import binary_data, sized_text
from maas.serving.protocols.open_inference.outputs import JSON_LENGTH, OCTETS, WantedOutput, binary_head
from maas.serving.protocols.open_inference.requests import REMEMBERED_BYTES, BinaryArray, request_head
from maas.serving.protocols.operations import Metadata, ReadRow, Reply, Request, RowReader
from maas.serving.repository import PredictingDeployment

_MOST_DIGITS, _MOST_HEADS = 4, 64
_Head: TypeAlias = tuple[bytes, tuple[tuple[bytes, bytes], ...]]
"""The JSON that begins a reply, and the reply's metadata."""


@dataclass(frozen=True)
class BinaryReplies:
    """Makes replies all of whose data follows the JSON, one for each row.

    Args:
        deployment: the one that ran.
        wanted: outputs, each as binary data.
    """

    deployment: PredictingDeployment
    wanted: tuple[WantedOutput, ...]
    _heads: dict[tuple[int, ...], _Head] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __call__(self, outputs: Outputs) -> list[Reply]:
        """Returns the reply to the request of each row."""
        arrays = self.deployment.postprocessor.tensors(outputs)
        data = [_data_by_row(arrays[one.name], one.datatype) for one in self.wanted]
        replies: list[Reply] = []
        for parts in zip(*data, strict=True):
            sizes = tuple(map(len, parts))
            json, metadata = self._heads.get(sizes) or self._head(sizes, arrays)
            replies.append(Reply(b"".join((json, *parts)), OCTETS, metadata))
        return replies

    def _head(self, sizes: tuple[int, ...], arrays: Mapping[str, NDArray[np.generic]]) -> _Head:
        """Returns the JSON of a reply to one row and its metadata, which are the same for all of equal sizes."""
        one, outputs = self.deployment, []
        for wanted, size in zip(self.wanted, sizes, strict=True):
            outputs.append((wanted.name, wanted.datatype, (1, *arrays[wanted.name].shape[1:]), size))
        json, metadata = binary_head(one.name, one.version, tuple(outputs))
        if len(self._heads) >= _MOST_HEADS:
            self._heads.clear()
        head = self._heads[sizes] = json, (*one.reply_metadata, *metadata)
        return head


class _Form(NamedTuple):
    """What requests with equal JSON have in common.

    Args:
        json: the JSON.
        array: that follows it.
        replies: makes the replies.
    """

    json: bytes
    array: BinaryArray
    replies: BinaryReplies


class BinaryRows:
    """Reads rows that follow a JSON which came before; another JSON is kept in its place if it is followed likewise.

    Args:
        deployment: the one that the requests are for.
        metadata: of the requests.
    """

    def __init__(self, deployment: PredictingDeployment, metadata: Metadata) -> None:
        self._deployment, self._metadata = deployment, metadata
        self._form: _Form | None = None

    def read(self, body: bytes | bytearray) -> ReadRow | None:
        """Returns the row that a body holds."""
        form = self._form
        if form is None or not body.startswith(form.json):
            form = self._form = self._form_of(body)
            if form is None:
                return None
        json, array, replies = form
        if len(body) - len(json) != array.size:
            return None
        return np.ndarray(array.shape, array.kind, body, len(json)), replies

    def _form_of(self, body: bytes | bytearray) -> _Form | None:
        """Returns the form of a request that may come again with other numbers; None where it wants anything else."""
        try:
            head, size = request_head(Request(body=body, metadata=self._metadata), self._deployment)
        except InputError:  # whoever parses it says what is wrong
            return None
        is_plain = head.are_binary and head.body.id is None and not any(one.classes for one in head.outputs)
        if not is_plain or head.array is None or head.array.shape[0] != 1 or head.timeout_s or head.priority != NORMAL:
            return None
        return _Form(bytes(body[:size]), head.array, BinaryReplies(self._deployment, tuple(head.outputs)))


def binary_row_reader(deployment: PredictingDeployment, metadata: Metadata) -> RowReader | None:
    """Returns what reads binary rows of a model; None where these are no numbers, or what it gives for one is much.

    Args:
        deployment: the one that requests are for.
        metadata: of the requests.
    """
    inputs, outputs = deployment.signature.inputs, deployment.signature.outputs
    has_plain_outputs = all(spec.datatype != "BYTES" or len(spec.shape) == 1 for spec in outputs)
    length = metadata.get(JSON_LENGTH, b"")
    is_known = len(length) <= _MOST_DIGITS and length.isdigit() and int(length) <= REMEMBERED_BYTES
    is_known = is_known and len(inputs) == 1 and inputs[0].datatype != "BYTES"
    if not (is_known and has_plain_outputs and deployment.gives_little):
        return None
    return RowReader(deployment, BinaryRows(deployment, metadata).read)


def _data_by_row(array: NDArray[np.generic], datatype: str) -> list[bytes]:
    """Returns the data of each row of an output, (N, …), or (N,) of texts."""
    if len(array) == 1:
        return [binary_data(array, datatype)]
    if datatype == "BYTES":
        return list(map(sized_text, array.tolist()))
    data = binary_data(array, datatype)
    size = len(data) // len(array)
    return [data[start : start + size] for start in range(0, len(data), size)]

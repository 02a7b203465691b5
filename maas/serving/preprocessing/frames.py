"""What server and worker send each other: a length, a header in MessagePack, and bytes that are not copied into it."""

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, BinaryIO, TypeAlias, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.runtime.codec import Features, nbytes_of
from maas.serving.call import Call, PreprocessedInputs
from maas.serving.protocols.schemas import BodyBound

CallKind = TypeVar("CallKind", bound=Call)
LENGTH = struct.Struct("<I")
MOST_PIECE_BYTES = 256 * 2**10
"""Of preprocessed rows in one frame: what the event loop copies at a time."""


class ModelRecord(msgspec.Struct, frozen=True):
    """A deployment, as far as reading needs it.

    Args:
        name: name that callers use.
        version: version of the model.
        folder: its bundle.
        digest: of the bundle that is served: the folder may hold another one later.
        max_rows: largest number of rows in a call.
        max_pixels: largest picture that is decoded; null for as large as can be.
        max_beams: most beams of a text; null where the model searches for none.
        bound: of bodies for it; null where a row may have any size.
    """

    name: str
    version: str
    folder: str
    digest: str
    max_rows: int
    max_pixels: int | None
    max_beams: int | None
    bound: BodyBound | None


class ReadRequest(msgspec.Struct, tag=True):
    """A request to be read; its body follows.

    Args:
        number: of the request, for what comes back.
        models: what is served, in order.
        labels: names of versions: model, label and version of each.
        path: of the operation, as it writes it.
        values: open parts of the path.
        metadata: of the request.
        query: parameters of the request.
        size: bytes that follow.
    """

    number: int
    models: tuple[ModelRecord, ...]
    labels: tuple[tuple[str, str, str], ...]
    path: str
    values: dict[str, str]
    metadata: dict[bytes, bytes]
    query: dict[str, str]
    size: int


class Withdrawal(msgspec.Struct, tag=True):
    """Nobody waits for a request any more."""

    number: int
    size: int = 0


class CallRead(msgspec.Struct, tag=True):
    """What a request wants.

    Args:
        number: of the request.
        rows: number of its rows.
        fields: of the call, other than its inputs.
    """

    number: int
    rows: int
    fields: dict[str, object]
    size: int = 0


class ArrayOfRows(msgspec.Struct, frozen=True):
    """An array that each of some rows has."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class RowRun(msgspec.Struct, frozen=True):
    """Some rows of the same arrays; the bytes of the first array of all rows follow, then those of the second."""

    arrays: tuple[ArrayOfRows, ...]
    count: int


class RowsRead(msgspec.Struct, tag=True):
    """Some preprocessed rows; their bytes follow."""

    number: int
    runs: list[RowRun]
    size: int


class ReadingDone(msgspec.Struct, tag=True):
    """All rows of a request were sent."""

    number: int
    size: int = 0


class ReadingFailed(msgspec.Struct, tag=True):
    """A request cannot be read.

    Args:
        number: of the request.
        kind: of the fault, by the class of its exception.
        message: what is wrong; the traceback, where it is not the caller's fault.
        model: name of the model, as far as it was known.
    """

    number: int
    kind: str
    message: str
    model: str
    size: int = 0


ToWorker: TypeAlias = ReadRequest | Withdrawal
FromWorker: TypeAlias = CallRead | RowsRead | ReadingDone | ReadingFailed
TO_WORKER = msgspec.msgpack.Decoder(ToWorker)
FROM_WORKER = msgspec.msgpack.Decoder(FromWorker)


def head_of(header: ToWorker | FromWorker) -> bytes:
    """Returns a header with its length."""
    encoded = msgspec.msgpack.encode(header)
    return LENGTH.pack(len(encoded)) + encoded


def frames(stream: BinaryIO) -> Iterator[tuple[ToWorker, bytes]]:
    """Yields what the server sends until it closes the stream."""
    while len(length := stream.read(LENGTH.size)) == LENGTH.size:
        header = TO_WORKER.decode(stream.read(*LENGTH.unpack(length)))
        yield header, stream.read(header.size)


def features_frames(number: int, rows: Sequence[Features]) -> Iterator[tuple[RowsRead, bytes]]:
    """Yields frames of preprocessed rows, few enough in each."""
    start = 0
    while start < len(rows):
        end, size = start, 0
        while end < len(rows) and (end == start or size + nbytes_of(rows[end]) <= MOST_PIECE_BYTES):
            size += nbytes_of(rows[end])
            end += 1
        runs, content = [], bytearray()
        for arrays, same in groupby(rows[start:end], _arrays_of):
            run = list(same)
            runs.append(RowRun(arrays, len(run)))
            content += b"".join(row[array.name].tobytes() for array in arrays for row in run)
        yield RowsRead(number, runs, size), bytes(content)
        start = end


def _arrays_of(row: Features) -> tuple[ArrayOfRows, ...]:
    return tuple(ArrayOfRows(name, array.dtype.str, array.shape) for name, array in row.items())


def features_of_frame(header: RowsRead, content: bytes) -> list[Features]:
    """Returns the rows of a frame; they share its bytes."""
    rows: list[Features] = []
    start = 0
    for run in header.runs:
        columns: list[NDArray[Any]] = []
        for one in run.arrays:
            count = run.count * math.prod(one.shape)
            columns.append(np.frombuffer(content, one.dtype, count, start).reshape((run.count, *one.shape)))
            start += columns[-1].nbytes
        names = [one.name for one in run.arrays]
        rows += [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return rows


def call_of(kind: type[CallKind], fields: Mapping[str, object], features: Sequence[Features]) -> CallKind:
    """Returns a call whose request the worker read.

    Args:
        kind: of call; its fields have the types that it declares.
        fields: all but the inputs, as they were received.
        features: preprocessed rows.
    """
    types = {one.name: one.type for one in msgspec.structs.fields(kind)}
    typed: dict[str, Any] = {name: msgspec.convert(value, types[name]) for name, value in fields.items()}
    return kind(**typed, inputs=PreprocessedInputs(features))

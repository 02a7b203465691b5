"""The process that reads large inputs: `python -m maas.serving.preprocessing.worker`, started by the server.

It gets requests on its standard input and sends calls and preprocessed rows on its standard output, until its input
ends. It runs no model.
"""

import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import BinaryIO

from maas.child_processes import work_aside
from maas.errors import InputError
from maas.runtime.codec import Codec
from maas.serving.call import RowList, preprocessed_steps
from maas.serving.faults import CallError, message_of, require_rows
from maas.serving.preprocessing.frames import (
    CallRead,
    FromWorker,
    ModelRecord,
    ReadingDone,
    ReadingFailed,
    ReadRequest,
    features_frames,
    frames,
    head_of,
)
from maas.serving.preprocessing.unopened import UnopenedDeployment
from maas.serving.protocols import sources_of
from maas.serving.protocols.operations import ModelOperation, Request
from maas.serving.repository import PredictingDeployment, Snapshot, VersionLabel

LARGE_PIXELS = 4_000_000
LARGE_PICTURE = threading.Lock()
READERS = 2
"""Requests that are read at one time: a small one need not wait for a large one."""


class Worker:
    """Reads requests in threads of its own.

    Args:
        stream: where frames are written.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._writing = threading.Lock()
        self._wanted: set[int] = set()

    def serve(self, source: BinaryIO) -> None:
        """Reads what comes until the source ends."""
        with ThreadPoolExecutor(READERS, thread_name_prefix="reader") as readers:
            for header, body in frames(source):
                if isinstance(header, ReadRequest):
                    self._wanted.add(header.number)
                    readers.submit(self._read, header, body)
                else:
                    self._wanted.discard(header.number)

    def _read(self, header: ReadRequest, body: bytes) -> None:
        request = Request(body, header.values, header.metadata, header.query)
        if header.number not in self._wanted:
            return
        try:
            for frame, content in _frames_of(header, request):
                if header.number not in self._wanted:
                    return
                self._send(frame, content)
            self._send(ReadingDone(header.number))
        except Exception as error:  # noqa: BLE001  whatever it is, its caller waits for it
            self._send(_failure(header.number, error, request.model))
        finally:
            self._wanted.discard(header.number)

    def _send(self, frame: FromWorker, content: bytes = b"") -> None:
        with self._writing:
            self._stream.write(head_of(frame))
            self._stream.write(content)
            self._stream.flush()


def main() -> None:
    """Serves the process that started it."""
    output = work_aside()
    Worker(output).serve(sys.stdin.buffer)


def _failure(number: int, error: Exception, model: str) -> ReadingFailed:
    if isinstance(error, InputError):
        kind = type(error).__name__ if isinstance(error, CallError) else "InputError"
        return ReadingFailed(number, kind, message_of(error), model)
    return ReadingFailed(number, "", traceback.format_exc(), model)


@lru_cache(maxsize=8)
def snapshot_of(models: tuple[ModelRecord, ...], labels: tuple[tuple[str, str, str], ...]) -> Snapshot:
    """Returns deployments that can be read for, and not run."""
    return Snapshot(tuple(map(_deployment, models)), tuple(VersionLabel(*label) for label in labels))


@lru_cache(maxsize=32)
def _deployment(model: ModelRecord) -> PredictingDeployment:
    return UnopenedDeployment(model)


def _frames_of(header: ReadRequest, request: Request) -> Iterator[tuple[FromWorker, bytes]]:
    """Yields the call that a request is, then its rows."""
    snapshot = snapshot_of(header.models, header.labels)
    operation = next(
        one
        for source in sources_of(snapshot)
        if source.may_have(header.path)
        for one in source.make()
        if one.path == header.path and isinstance(one, ModelOperation)
    )
    call = operation.parse(request, snapshot)
    deployment = snapshot.find(call.model, call.version)
    if not isinstance(call.inputs, RowList):
        raise TypeError(f"{operation.path} parsed rows that are preprocessed.")
    require_rows(len(call.inputs), deployment.engine.max_rows)
    request.body = b""
    wanted = {name: getattr(call, name) for name in call.__struct_fields__ if name != "inputs"}
    yield CallRead(header.number, len(call.inputs), {**wanted, "parameters": dict(call.parameters)}), b""
    with _turn_of(call.inputs, deployment.processor):
        for features in preprocessed_steps(call.inputs, deployment.processor):
            yield from features_frames(header.number, features)


def _turn_of(rows: RowList, processor: Codec) -> AbstractContextManager[object]:
    """Returns what is to be held while rows are preprocessed: large pictures are decoded one at a time."""
    pixels = max(map(processor.pixels_to_decode, rows.rows))
    return LARGE_PICTURE if pixels > LARGE_PIXELS else nullcontext()


if __name__ == "__main__":
    main()

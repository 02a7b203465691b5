"""The server's side of the process that reads large inputs: it starts at the first of them, and again if it ends."""

import asyncio
import contextlib
import itertools
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from maas.errors import InputError, OverloadError
from maas.runtime.codec import Features
from maas.runtime.kinds import environment_with_kinds
from maas.serving import faults
from maas.serving.preprocessing.frames import (
    FROM_WORKER,
    LENGTH,
    MOST_PIECE_BYTES,
    CallRead,
    FromWorker,
    ModelRecord,
    ReadingFailed,
    ReadRequest,
    RowsRead,
    Withdrawal,
    call_of,
    features_of_frame,
    head_of,
)
from maas.serving.protocols.operations import C, ModelOperation, Request
from maas.serving.protocols.schemas import body_bound
from maas.serving.repository import PredictingDeployment, Snapshot

STREAM_BYTES = 2**20
CLOSING_S = 2.0
ENVIRONMENT = {
    "RAYON_NUM_THREADS": "1",  # tokenizers would take all cores
    "MALLOC_MMAP_THRESHOLD_": str(2**20),  # what is larger is given back when it is freed: a decoded picture is
}
"""Of the process; glibc's own threshold grows with what is freed, and each thread then keeps a picture's memory."""


@dataclass(eq=False)
class _Reading:
    """A request that is being read.

    Args:
        outcome: future of the call's fields.
        rows: that count as waiting.
        process: that reads it.
        features: preprocessed rows so far.
        fields: of the call.
        model: name of the model, where reading failed.
        is_withdrawn: whether its caller has left.
    """

    outcome: "asyncio.Future[None]"
    rows: int = 1
    process: asyncio.subprocess.Process | None = None
    features: list[Features] = field(default_factory=list)
    fields: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    is_withdrawn: bool = False


class InputReader:
    """Reads large requests in a process of its own.

    Args:
        max_waiting_rows: largest number of rows that may wait to be read or be read.
    """

    def __init__(self, max_waiting_rows: int) -> None:
        self.max_waiting_rows = max_waiting_rows
        self._readings: dict[int, _Reading] = {}
        self._numbers = itertools.count()
        self._process: asyncio.subprocess.Process | None = None
        self._receiving: asyncio.Task[None] | None = None
        self._sending = asyncio.Lock()
        self._withdrawals: set[asyncio.Task[None]] = set()

    @property
    def waiting_rows(self) -> int:
        """Rows that wait to be read or are being read; a request counts as one row until its rows are known."""
        return sum(reading.rows for reading in self._readings.values())

    async def read(self, operation: ModelOperation[C], request: Request, snapshot: Snapshot) -> C:
        """Returns what a request wants of a model, its rows preprocessed.

        Cancelling it ends the work.

        Raises:
            InputError: the request cannot be understood, or a row of it.
            OverloadError: too many rows wait to be read, or the process has ended.
        """
        self._admit(1)
        number, reading = next(self._numbers), _Reading(asyncio.get_running_loop().create_future())
        self._readings[number] = reading
        try:
            await self._send(number, reading, operation, request, snapshot)
            await reading.outcome
        except (asyncio.CancelledError, OverloadError):
            self._withdraw(number, reading)
            raise
        except InputError:
            request.model = reading.model
            raise
        finally:
            self._readings.pop(number, None)
        call = call_of(operation.call_type, reading.fields, reading.features)
        request.model = call.model
        return call

    async def close(self) -> None:
        """Ends the process, once nobody waits for what it reads; what it reads all the same is left."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.wait(), CLOSING_S)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._receiving is not None:
            await self._receiving

    def _admit(self, rows: int) -> None:
        if self.waiting_rows + rows > self.max_waiting_rows:
            raise OverloadError(
                f"{self.waiting_rows} rows of at most {self.max_waiting_rows} wait to be read; {rows} more do not fit. "
                "Try again in a second."
            )

    async def _send(
        self, number: int, reading: _Reading, operation: ModelOperation[Any], request: Request, snapshot: Snapshot
    ) -> None:
        models = tuple(dict.fromkeys(map(_record, snapshot.predicting)))
        head = ReadRequest(
            number,
            models,
            snapshot.labels,
            operation.path,
            dict(request.values),
            dict(request.metadata),
            dict(request.query),
            len(request.body),
        )
        await asyncio.shield(self._send_frame(reading, head_of(head), request.body))  # whole, though its caller leaves
        request.body = b""  # it is the worker's now; a fault's traceback would keep it

    async def _send_frame(self, reading: _Reading, *parts: bytes | bytearray) -> None:
        async with self._sending:
            if not reading.is_withdrawn:
                reading.process = await self._started()
                await _written(reading.process, *parts)

    def _withdraw(self, number: int, reading: _Reading) -> None:
        reading.is_withdrawn = True
        if reading.process is not None:
            task = asyncio.create_task(self._send_withdrawal(reading.process, head_of(Withdrawal(number))))
            self._withdrawals.add(task)
            task.add_done_callback(self._withdrawals.discard)

    async def _send_withdrawal(self, process: asyncio.subprocess.Process, frame: bytes) -> None:
        async with self._sending:  # between frames
            await _written(process, frame)

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "maas.serving.preprocessing.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=STREAM_BYTES,
                env={**environment_with_kinds(), **ENVIRONMENT},
            )
            self._receiving = asyncio.create_task(self._receive(self._process))
        return self._process

    async def _receive(self, process: asyncio.subprocess.Process) -> None:
        """Hands frames to the readings that wait for them, until the process ends."""
        stream = process.stdout
        try:
            while stream is not None:
                header = FROM_WORKER.decode(
                    await stream.readexactly(*LENGTH.unpack(await stream.readexactly(LENGTH.size)))
                )
                content = await stream.readexactly(header.size)
                reading = self._readings.get(header.number)
                if reading is not None and not reading.outcome.done():
                    self._take(reading, header, content)
        except asyncio.IncompleteReadError:
            await process.wait()
        for reading in self._readings.values():
            if reading.process is process and not reading.outcome.done():
                reading.outcome.set_exception(
                    OverloadError("The process that reads large inputs has ended. Try again in a second.")
                )

    def _take(self, reading: _Reading, header: FromWorker, content: bytes) -> None:
        if isinstance(header, RowsRead):
            reading.features += features_of_frame(header, content)
        elif isinstance(header, CallRead):
            reading.fields = header.fields
            try:
                self._admit(header.rows - reading.rows)
                reading.rows = header.rows
            except OverloadError as error:
                reading.outcome.set_exception(error)
        elif isinstance(header, ReadingFailed):
            reading.model = header.model
            reading.outcome.set_exception(_fault(header))
        else:
            reading.outcome.set_result(None)


async def _written(process: asyncio.subprocess.Process, *parts: bytes | bytearray) -> None:
    """Writes a frame a piece at a time: the pipe copies what it does not take at once, and holds up the event loop."""
    if process.stdin is not None:
        with contextlib.suppress(ConnectionError, RuntimeError):  # it has ended; who receives its frames finds that
            for part in parts:
                for start in range(0, len(part), MOST_PIECE_BYTES):
                    process.stdin.write(memoryview(part)[start : start + MOST_PIECE_BYTES])
                    await process.stdin.drain()


def _record(deployment: PredictingDeployment) -> ModelRecord:
    return ModelRecord(
        deployment.name,
        deployment.version,
        str(deployment.bundle.folder.resolve()),
        deployment.bundle.digest,
        deployment.engine.max_rows,
        deployment.processor.max_pixels,
        getattr(deployment.processor, "max_beams", None),
        body_bound(deployment),
    )


def _fault(header: ReadingFailed) -> Exception:
    """Returns the exception that a worker met."""
    kind = getattr(faults, header.kind) if header.kind else RuntimeError
    fault: Exception = kind(header.message)
    return fault

"""The supervisor: binds the sockets, starts workers, replaces those that die, and lets them end. It opens no model."""

import asyncio
import logging
import random
import signal
import sys
import time
from typing import NoReturn

import msgspec

from maas.errors import MaasError, ProcessError
from maas.registry.reading.addresses import default_tracking_uri
from maas.serving.observers.log_format import set_up_logging
from maas.serving.settings import ServerSettings
from maas.serving.stopping import GRACE_S, LEAST_CLOSING_S, STUCK_S, handle_hangup
from maas.serving.transports.sockets import Listeners, bound_listeners, shared_port
from maas.serving.workers.broadcasts import Broadcasts, encoded_replies
from maas.serving.workers.connection_counts import ConnectionCounts, shared_memory
from maas.serving.workers.messages import ControlMessage
from maas.serving.workers.records import BROADCAST, REGISTRY, RELOAD, START, Broadcast, WorkerReady, WorkerStart
from maas.serving.workers.registry import RegistryReplies
from maas.serving.workers.worker_process import WorkerProcess

log = logging.getLogger("maas.serving")
EARLIEST, LATEST = 0.4, 0.6
"""Fractions of `watch_s` after which the registry is looked at again, at random."""
STEADY_S = 10.0
"""A worker that lived as long is replaced at once; one that died before waits, each time twice as long."""
FIRST_DELAY_S, LONGEST_DELAY_S = 0.25, 30.0
MOST_STARTS = 3
"""Failed starts in a row, while no worker serves, after which the server ends."""


def supervise(settings: ServerSettings) -> NoReturn:
    """Serves models by several workers until SIGTERM or SIGINT, then lets them end and exits with status 0.

    Args:
        settings: of the server.

    Raises:
        MaasError: the address cannot be listened on, or what a worker met that could not start.
        SystemExit: always, in the end.
    """
    set_up_logging(settings.log_format)
    asyncio.run(Supervisor(settings, bound_listeners(settings)).run())
    sys.exit(0)


class Supervisor:
    """Keeps workers.

    Args:
        settings: of the server.
        listeners: bound sockets, which all workers inherit.
    """

    def __init__(self, settings: ServerSettings, listeners: Listeners) -> None:
        self._settings, self._listeners = settings, listeners
        self._grpc_port = shared_port(settings.host, settings.grpc_port)
        if self._grpc_port is not None:
            self._settings = msgspec.structs.replace(settings, grpc_port=self._grpc_port.getsockname()[1])
        self._memory = shared_memory(settings.workers)
        self._counts = ConnectionCounts.at(self._memory, settings.workers)
        self._registry = RegistryReplies(default_tracking_uri())
        self._processes: set[WorkerProcess] = set()
        self._serving: dict[int, WorkerProcess] = {}
        self._broadcasts = Broadcasts(self._serving.values, self._registry)
        self._stopping = asyncio.Event()
        self._reloading: set[asyncio.Task[object]] = set()

    async def run(self) -> None:
        """Serves until a signal to stop; a second signal ends all at once.

        Raises:
            MaasError: no worker can start.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        serving = asyncio.create_task(self._serve())
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
        finally:
            stopped.cancel()
            serving.cancel()
            await asyncio.wait({serving})
            await self._end_workers()

    async def _serve(self) -> None:
        """Starts all workers, and keeps their number."""
        numbers = range(1, self._settings.workers + 1)
        ready = await asyncio.gather(*map(self._start, numbers))
        self._broadcasts.served = ready[0].served
        self._close_registry_if_unused()
        handle_hangup(self._reload_soon)
        print(f"{ready[0].lines}\nworkers: {len(ready)} processes", flush=True)
        await asyncio.gather(self._watch(), *map(self._keep, numbers))

    async def _start(self, number: int) -> WorkerReady:
        """Starts a worker, and returns what it reports once it can answer.

        Raises:
            MaasError: it cannot.
        """
        public = self._listeners.public.fileno()
        admin = None if self._listeners.admin is None else self._listeners.admin.fileno()
        inherited = [public, self._memory] if admin is None else [public, self._memory, admin]
        worker = await WorkerProcess.started(number, inherited, self._respond)
        self._processes.add(worker)
        served, kept = self._broadcasts.served, self._broadcasts.kept
        start = WorkerStart(number, self._settings, public, self._memory, admin, served, kept)
        try:
            reply = await worker.request(START, msgspec.msgpack.encode(start))
        except ProcessError:
            self._processes.discard(worker)
            raise ProcessError(
                f"Worker {number} ended by {await worker.ended()} before it could answer; the lines before this one "
                "may say why."
            ) from None
        if reply.error is not None:
            await worker.ended()
            self._processes.discard(worker)
            raise reply.error
        self._serving[number] = worker
        return msgspec.msgpack.decode(reply.body, type=WorkerReady)

    async def _keep(self, number: int) -> None:
        """Starts a worker again whenever it ends."""
        delay_s = 0.0
        while True:
            worker = self._serving[number]
            how = await worker.ended()
            del self._serving[number]
            self._processes.discard(worker)
            self._broadcasts.figures.retire(number)
            self._counts.leave(number - 1)
            is_steady = time.monotonic() - worker.started_s > STEADY_S
            delay_s = 0.0 if is_steady else min(LONGEST_DELAY_S, max(FIRST_DELAY_S, 2 * delay_s))
            log.warning("Worker %d (process %d) ended by %s and is replaced.", number, worker.pid, how)
            await asyncio.sleep(delay_s)
            await self._replace(number)

    async def _replace(self, number: int) -> None:
        """Starts a worker in the place of one that has ended; what is served does not change meanwhile.

        Raises:
            MaasError: it cannot start, and no other worker serves.
        """
        delay_s, failures = FIRST_DELAY_S, 0
        while number not in self._serving:
            try:
                async with self._broadcasts.changes:
                    await self._start(number)
            except MaasError as error:
                failures += 1
                if not self._serving and failures >= MOST_STARTS:
                    raise
                log.warning("Worker %d cannot start, and is tried again in %.1f s: %s", number, delay_s, error)
                await asyncio.sleep(delay_s)
                delay_s = min(LONGEST_DELAY_S, 2 * delay_s)

    async def _watch(self) -> None:
        """Lets all workers look at the registry again and again."""
        looked_s = time.monotonic()
        while self._settings.watch_s > 0:
            wait_s = self._settings.watch_s * random.uniform(EARLIEST, LATEST)  # noqa: S311  nothing secret
            await asyncio.sleep(max(0.0, looked_s + wait_s - time.monotonic()))
            looked_s = time.monotonic()
            await self._broadcasts.look()

    async def _respond(self, worker: WorkerProcess, message: ControlMessage) -> bytes:
        """Replies to what a worker requests: a reading of the registry, or a broadcast."""
        if message.kind == REGISTRY:
            return await self._registry.reply_to(message.body)
        if message.kind == BROADCAST:
            return encoded_replies(await self._broadcasts.send(msgspec.msgpack.decode(message.body, type=Broadcast)))
        raise ProcessError(f"The supervisor handles no {message.kind!r} of worker {worker.number}.")

    def _reload_soon(self) -> None:
        task: asyncio.Task[object] = asyncio.create_task(self._broadcasts.send(Broadcast(RELOAD)))
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)

    def _close_registry_if_unused(self) -> None:
        served = self._broadcasts.served
        if not self._settings.watch_s or served is None or not served.follows_aliases:
            self._registry.close()

    def _stop(self) -> None:
        if self._stopping.is_set():
            for worker in self._processes:
                worker.kill()
        self._stopping.set()

    async def _end_workers(self) -> None:
        """Lets workers reply to what they accepted, and ends those that take too long."""
        for listener in self._listeners:
            if listener is not None:
                listener.close()
        for worker in self._processes:
            worker.stop()
        ending = [asyncio.create_task(worker.ended()) for worker in self._processes]
        if ending:
            await asyncio.wait(ending, timeout=GRACE_S + LEAST_CLOSING_S + 2 * STUCK_S)
        for worker in self._processes:
            worker.kill()
        await asyncio.gather(*ending)
        await asyncio.to_thread(self._registry.close)

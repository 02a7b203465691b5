"""Messages to all workers: changes one after the other, and what they serve once a change is done."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

import msgspec

from maas.errors import ProcessError
from maas.serving.served_models import ServedModels
from maas.serving.workers.figures import KeptFigures
from maas.serving.workers.messages import reply_of_fault
from maas.serving.workers.records import LOOK, METRICS, SERVED, Broadcast, BroadcastReply
from maas.serving.workers.registry import RegistryReplies
from maas.serving.workers.worker_process import WorkerProcess

log = logging.getLogger("maas.serving")
CHANGE_S, READ_S = 900.0, 2.0
"""Seconds after which a worker that does not reply is left out: loading takes its time, reading figures does not."""
HUNG_S, LOOK_S = 30.0, 5.0
"""Seconds after which a worker whose event loop replies to nothing is ended during a change, and between two looks: it
loads models beside that loop."""


class Broadcasts:
    """Sends messages to all workers that serve.

    Args:
        workers: returns them.
        registry: is read again for each change.
    """

    def __init__(self, workers: Callable[[], Iterable[WorkerProcess]], registry: RegistryReplies) -> None:
        self._workers = workers
        self._registry = registry
        self.figures = KeptFigures()
        self.changes = asyncio.Lock()
        self.served: ServedModels | None = None
        self.kept: dict[str, bytes] = {}

    async def send(self, message: Broadcast) -> list[BroadcastReply]:
        """Sends a message to all workers, and returns the replies of those that have not ended meanwhile."""
        if not message.is_change:
            replies = await self._replies(message, READ_S)
            return self.figures.completed(replies) if message.kind == METRICS else replies
        async with self.changes:
            self._registry.forget()
            if message.is_state:
                self.kept[message.kind] = message.body
            return await self._changed(message)

    async def look(self) -> None:
        """Lets all workers look at the registry, once it has replied: a slow one does not hold up other changes."""
        served = self.served
        if served is None or not served.follows_aliases:
            return
        self._registry.forget()
        await self._registry.look_up(served)
        async with self.changes:
            await self._changed(Broadcast(LOOK))

    async def _changed(self, message: Broadcast) -> list[BroadcastReply]:
        guards = [asyncio.create_task(_end_if_hung(worker)) for worker in tuple(self._workers())]
        try:
            replies = await self._replies(message, CHANGE_S)
        finally:
            for guard in guards:
                guard.cancel()
        await self._note_served()
        return replies

    async def _replies(self, message: Broadcast, within_s: float) -> list[BroadcastReply]:
        workers = tuple(self._workers())
        found = await asyncio.gather(*(_reply(worker, message, within_s) for worker in workers))
        return [reply for reply in found if reply is not None]

    async def _note_served(self) -> None:
        """Notes what is served, for workers that are started later."""
        for worker in tuple(self._workers()):
            try:
                reply = await asyncio.wait_for(worker.request(SERVED), READ_S)
            except (ProcessError, TimeoutError):
                continue
            self.served = msgspec.msgpack.decode(reply.body, type=ServedModels)
            return


async def _end_if_hung(worker: WorkerProcess) -> None:
    """Ends a worker that no longer replies at all, so that others need not wait for it; it is replaced."""
    while True:
        try:
            await asyncio.wait_for(worker.request(SERVED), HUNG_S)
        except ProcessError:
            return
        except TimeoutError:
            shown = (worker.number, worker.pid, HUNG_S)
            log.warning("Worker %d (process %d) has replied to nothing for %.0f s and is ended.", *shown)
            worker.kill()
            return
        await asyncio.sleep(LOOK_S)


async def _reply(worker: WorkerProcess, message: Broadcast, within_s: float) -> BroadcastReply | None:
    """Returns what a worker replies; None for one that has ended."""
    try:
        reply = await asyncio.wait_for(worker.request(message.kind, message.body), within_s)
    except ProcessError:
        return None
    except TimeoutError:
        late = ProcessError(f"Worker {worker.number} (process {worker.pid}) did not reply within {within_s:.0f} s.")
        reply = reply_of_fault(0, late)
    return BroadcastReply(worker.number, reply.body, reply.fault, reply.fault_kind)


def encoded_replies(replies: Sequence[BroadcastReply]) -> bytes:
    """Returns replies as the body of the reply to the worker that broadcast."""
    return msgspec.msgpack.encode(replies)

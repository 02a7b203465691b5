"""What supervisor and workers send each other in messages, and the kinds of those messages.

The supervisor sends `start` first, and gets `WorkerReady` as its reply once the worker can answer requests. It ends a
worker by closing its half of the channel: so a worker ends as well when its supervisor has died.
"""

import msgspec

from maas.serving.served_models import ServedModels
from maas.serving.settings import ServerSettings

START, BROADCAST, REGISTRY = "start", "broadcast", "registry"
SERVED, LOOK, RELOAD, METRICS, STATISTICS = "served", "look", "reload", "metrics", "statistics"


class WorkerStart(msgspec.Struct, frozen=True):
    """What a worker is started with.

    Args:
        worker: its number, from 1.
        settings: of the server.
        public: descriptor of the socket where clients send requests.
        counts: descriptor of the memory of `ConnectionCounts`.
        admin: descriptor of that of administrators; null for none.
        served: what other workers serve already; null where none does.
        kept: the last state of each kind that was broadcast.
    """

    worker: int
    settings: ServerSettings
    public: int
    counts: int
    admin: int | None = None
    served: ServedModels | None = None
    kept: dict[str, bytes] = {}


class WorkerReady(msgspec.Struct, frozen=True):
    """What a worker reports once it can answer.

    Args:
        lines: what is printed when all can.
        served: what it serves.
    """

    lines: str
    served: ServedModels


class Broadcast(msgspec.Struct, frozen=True):
    """What a worker wants all workers to handle.

    Args:
        kind: of the handler.
        body: what handlers receive.
        is_change: whether it waits for changes before it.
        is_state: whether workers that are started later get it as well.
    """

    kind: str
    body: bytes = b""
    is_change: bool = True
    is_state: bool = False


class BroadcastReply(msgspec.Struct, frozen=True):
    """What one worker replied to a broadcast.

    Args:
        worker: its number.
        body: what its handler returned.
        fault: one line that says why it returned nothing.
        fault_kind: class of that fault's exception.
    """

    worker: int
    body: bytes = b""
    fault: str = ""
    fault_kind: str = ""

"""Heads that were parsed before: a client sends the same head again and again, and only its body differs.

A head that is the same, byte for byte, means the same, as the parser is in the same state between two requests. Its end
says how long the body is. What it wants stays the same as long as the same operations are offered, and what answers it
as long as the same models are served.
"""

from collections.abc import Mapping
from typing import NamedTuple

from maas.serving.prepared import PreparedInference
from maas.serving.protocols.operations import AnyOperation, Request
from maas.serving.repository import Snapshot
from maas.serving.routing import RouteTable
from maas.serving.service import Service
from maas.serving.transports.http_heads import HttpHead

MOST_HEADS = 1024
LONGEST_HEAD = 1024
_END = b"\r\n\r\n"


class FoundOperation(NamedTuple):
    """What was found for a head.

    Args:
        operation: that replies to it.
        values: of the path's open segments.
        encoding: how the body is compressed; empty where it is not.
    """

    operation: AnyOperation
    values: Mapping[str, str]
    encoding: bytes = b""


class KnownHead:
    """A head that was parsed before; it is equal to itself alone, and may be a key.

    Args:
        head: as it was parsed.
    """

    __slots__ = ("head",)

    def __init__(self, head: HttpHead) -> None:
        self.head = head


class KnownHeads:
    """Heads of requests that came in one piece and left their connection open; for all connections of a server.

    What was found and prepared for them is not kept beyond what is served: it would keep models in memory.
    """

    def __init__(self) -> None:
        self._heads: dict[bytes, KnownHead] = {}
        self._found: dict[KnownHead, FoundOperation] = {}
        self._routes: RouteTable | None = None
        self._prepared: dict[KnownHead, PreparedInference | None] = {}
        self._snapshot: Snapshot | None = None

    def head_of(self, data: bytes) -> KnownHead | None:
        """Returns the head of a request; None where it is not known.

        Args:
            data: what arrived between two requests; None is returned as well unless that is exactly one request.
        """
        start = data.find(_END, 0, LONGEST_HEAD) + len(_END)
        known = self._heads.get(data[:start])
        return known if known is not None and start + (known.head.body_bytes or 0) == len(data) else None

    def remember(self, data: bytes, head: HttpHead) -> None:
        """Remembers a head, if its request came in one piece.

        Args:
            data: what arrived between two requests.
            head: the last one that was parsed of it.
        """
        start = data.find(_END, 0, LONGEST_HEAD) + len(_END)
        if start < len(_END) or head.body_bytes is None or head.waits or start + head.body_bytes != len(data):
            return
        if len(self._heads) >= MOST_HEADS:
            self._heads.clear()
            self._found.clear()
            self._prepared.clear()
        self._heads[data[:start]] = KnownHead(head)

    def found(self, known: KnownHead, routes: RouteTable) -> FoundOperation | None:
        """Returns what was found for a head in some routes; None where that is not known.

        Args:
            known: the head.
            routes: of what is served now.
        """
        if routes is not self._routes:
            self._routes = routes
            self._found.clear()
        return self._found.get(known)

    def keep(self, known: KnownHead, found: FoundOperation) -> None:
        """Keeps what was looked for, since it was not known in the routes of now."""
        self._found[known] = found

    def prepared(self, known: KnownHead, service: Service) -> PreparedInference | None:
        """Returns the inference that is prepared for a head; None where each request needs to be looked at.

        Args:
            known: the head.
            service: that answers.
        """
        snapshot = service.settled
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._prepared.clear()
        try:
            return self._prepared[known]
        except KeyError:
            return self._prepare(known, service)

    def _prepare(self, known: KnownHead, service: Service) -> PreparedInference | None:
        found, head = self.found(known, service.routes), known.head
        if found is None:
            return None
        request = Request(
            values=found.values,
            metadata=head.metadata,
            query=head.query,
            timeout=head.timeout,
            priority=head.priority,
        )
        prepared = None if found.encoding else service.prepared(found.operation, request)
        self._prepared[known] = prepared
        return prepared

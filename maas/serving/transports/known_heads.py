"""Heads that were parsed before: a client sends the same head again and again, and only its body differs.

A head that is the same, byte for byte, means the same, as the parser is in the same state between two requests. Its end
says how long the body is.
"""

from maas.serving.transports.http_heads import HttpHead

MOST_HEADS = 1024
LONGEST_HEAD = 1024
_END = b"\r\n\r\n"


class KnownHeads:
    """Heads of requests that came in one piece and left their connection open; for all connections of a server."""

    def __init__(self) -> None:
        self._heads: dict[bytes, HttpHead] = {}

    def head_of(self, data: bytes) -> HttpHead | None:
        """Returns the head of a request; None where it is not known.

        Args:
            data: what arrived between two requests; None is returned as well unless that is exactly one request.
        """
        start = data.find(_END, 0, LONGEST_HEAD) + len(_END)
        head = self._heads.get(data[:start])
        return head if head is not None and start + (head.body_bytes or 0) == len(data) else None

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
        self._heads[data[:start]] = head

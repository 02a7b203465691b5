"""Pages of other origins that may read replies (CORS).

Source: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from collections.abc import Collection

from maas.serving.protocols.operations import TEXT, Reply
from maas.serving.transports.http_heads import HttpHead

_EXPOSED = b"maas-model, maas-version, maas-rollout, x-request-id, inference-header-content-length, retry-after"
_PREFLIGHT_AGE_S = 600


class CorsPolicy:
    """Which origins may read replies.

    Args:
        origins: such as `https://app.example.org`; `*` for every one.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def allows(self, origin: bytes) -> bool:
        """Whether pages of an origin may read replies."""
        return bool(origin) and (b"*" in self._origins or origin in self._origins)

    def fields(self, origin: bytes) -> bytes:
        """Returns what a reply says to the browser, as lines; nothing where the origin may not read it."""
        if not self.allows(origin):
            return b""
        return b"access-control-allow-origin: %b\r\naccess-control-expose-headers: %b\r\nvary: origin\r\n" % (
            origin,
            _EXPOSED,
        )

    def preflight(self, head: HttpHead) -> Reply | None:
        """Returns the reply to a browser that wants to know whether it may send a request; None for other requests."""
        if head.method != "OPTIONS" or not self.allows(head.origin):
            return None
        wanted = head.metadata
        if b"access-control-request-method" not in wanted:
            return None
        headers = wanted.get(b"access-control-request-headers", b"")
        return Reply(
            b"",
            TEXT,
            (
                (b"access-control-allow-methods", b"GET, HEAD, POST"),
                *([(b"access-control-allow-headers", headers)] if headers else []),
                (b"access-control-max-age", b"%d" % _PREFLIGHT_AGE_S),
            ),
        )


NO_CORS = CorsPolicy(())

"""One JSON line for each request, to stderr."""

import logging
import re

from maas.serving.faults import LONGEST_MESSAGE
from maas.serving.observers import Outcome
from maas.serving.observers.log_format import FIELDS, JsonFormatter

_TRACE_ID = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-").match


class AccessLog:
    """Writes outcomes; to be made once in a process."""

    def __init__(self) -> None:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        self._logger = logging.getLogger("maas.access")
        self._logger.addHandler(handler)
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False

    def observe(self, outcome: Outcome) -> None:
        """Writes one line."""
        self._logger.info("%s %s", outcome.method, outcome.route, extra={FIELDS: line_of(outcome)})


def line_of(outcome: Outcome) -> dict[str, object]:
    """Returns what a line says of an outcome; the trace, where the caller named one."""
    line: dict[str, object] = {
        "method": outcome.method,
        "path": outcome.path[:LONGEST_MESSAGE],
        "route": outcome.route,
        "protocol": outcome.protocol,
        "model": outcome.model,
        "version": outcome.version,
        "request_id": outcome.request_id.decode(),
        "status": outcome.status,
        "ms": round(1000 * outcome.seconds, 3),
    }
    if found := _TRACE_ID(outcome.metadata.get(b"traceparent", b"")):
        line["trace_id"] = found[1].decode()
    return line

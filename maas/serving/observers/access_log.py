"""One JSON line for each request, to stderr."""

import logging
import time

from msgspec.json import encode

from maas.serving.faults import LONGEST_MESSAGE
from maas.serving.observers import Outcome


class AccessLog:
    """Writes outcomes; to be made once in a process."""

    def __init__(self) -> None:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        self._logger = logging.getLogger("maas.access")
        self._logger.addHandler(handler)
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False

    def observe(self, outcome: Outcome) -> None:
        """Writes one line."""
        self._logger.info(encode(line_of(outcome)).decode())


def line_of(outcome: Outcome) -> dict[str, object]:
    """Returns what a line says of an outcome."""
    return {
        "time": time.time(),
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

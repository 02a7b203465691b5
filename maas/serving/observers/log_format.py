"""The form of the log's lines: text for people, or one JSON object a line for what collects them.

A JSON line has `time` (seconds since 1970), `level`, `logger` and `message`, `exception` where there is one, and the
fields of its kind, such as those of a request.
"""

import logging
import sys
import threading
import time
from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import Literal, TypeAlias

from msgspec.json import encode

LogFormat: TypeAlias = Literal["text", "json"]
TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
NO_FIELDS: Mapping[str, object] = MappingProxyType({})
FIELDS = "fields"
"""Attribute of a record that holds what its line has beside the message."""
_log = logging.getLogger("maas.serving")


class JsonFormatter(logging.Formatter):
    """Writes records as JSON, each in one line.

    Args:
        fields: that every line has beside its own.
    """

    def __init__(self, fields: Mapping[str, object] = NO_FIELDS) -> None:
        super().__init__()
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        """Returns a line."""
        line: dict[str, object] = {
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._fields,
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return encode(line).decode()


def set_up_logging(log_format: LogFormat, worker: int | None = None) -> None:
    """Writes warnings and errors of this process to stderr; in JSON also those that nobody caught.

    Args:
        log_format: form of the lines.
        worker: number of this process among several that write to one stderr; null for a server of one process.
    """
    handler = logging.StreamHandler()
    text = TEXT_FORMAT if worker is None else TEXT_FORMAT.replace("%(name)s", f"%(name)s[{worker}]")
    fields = NO_FIELDS if worker is None else {"worker": worker}
    handler.setFormatter(JsonFormatter(fields) if log_format == "json" else logging.Formatter(text))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    if log_format == "json":
        logging.captureWarnings(True)
        sys.excepthook = _log_uncaught
        threading.excepthook = _log_uncaught_in_thread


def json_line(level: str, message: str) -> str:
    """Returns a line that no logger writes, in the form of all others.

    Args:
        level: name of it, in lower case.
        message: what happened.
    """
    line = {"time": time.time(), "level": level, "logger": _log.name, "message": message}
    return encode(line).decode()


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    _log.critical("The server ended by an error: %s", error, exc_info=(kind, error, trace))


def _log_uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    name = arguments.thread.name if arguments.thread else "unknown"
    error = arguments.exc_value or arguments.exc_type()
    trace = (arguments.exc_type, error, arguments.exc_traceback)
    _log.critical("The thread %s ended by an error: %s", name, error, exc_info=trace)

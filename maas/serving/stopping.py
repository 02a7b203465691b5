"""How long a server that is to stop may take, and what ends it when something in it never does."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

log = logging.getLogger("maas.serving")
GRACE_S = 30.0
"""Accepted requests may take this long once the server is to stop."""
LEAST_CLOSING_S = 1.0
"""For the models and their threads, however long the requests took."""
STUCK_S = 3.0
"""After which a process whose threads do not end is ended with them."""
_HANGUP = signal.Signals.__members__.get("SIGHUP")
"""Windows has none."""


def exit_when_stopped() -> None:
    """Lets a signal to stop end this process with status 0, until it has an event loop that handles them.

    SIGHUP, which stops nothing, waits for that loop.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    if _HANGUP is not None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {_HANGUP})


def handle_hangup(handler: Callable[[], object]) -> None:
    """Lets the running event loop handle SIGHUP, also one that came before; not where it is ignored, as by `nohup`.

    Args:
        handler: reads the settings again.
    """
    if _HANGUP is None:
        return
    if signal.getsignal(_HANGUP) != signal.SIG_IGN:
        asyncio.get_running_loop().add_signal_handler(_HANGUP, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {_HANGUP})


def end_within(seconds: float, status: int = 0) -> threading.Timer:
    """Ends this process after some time, whatever its threads still do, unless it has ended by itself.

    An interpreter waits for the threads of its pools before it ends; one that is inside a library may never return.

    Args:
        seconds: from now.
        status: of the process.
    """
    timer = threading.Timer(seconds, _end, (seconds, status))
    timer.daemon = True
    timer.start()
    return timer


def _exit(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    sys.exit(0)


def _end(seconds: float, status: int) -> None:
    log.warning("The server is ended: work in it did not end within %.0f s.", seconds)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)

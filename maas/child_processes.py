"""What a process does first that another one started to work for it, over its standard streams or a socket.

It ends when its parent closes what connects them, never by a signal: a terminal and a service manager send theirs to
all processes at once, and the parent still finishes what it accepted.
"""

import os
import signal
import sys
from typing import BinaryIO

NICENESS = 10
"""How much a process that works aside gives way to its parent."""


def leave_signals_to_parent() -> None:
    """Ignores what stops or reloads a program."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if name in signal.Signals.__members__:
            signal.signal(signal.Signals[name], signal.SIG_IGN)


def work_aside() -> BinaryIO:
    """Leaves signals and most of the processor to the parent.

    Returns:
        The standard output, for messages alone: what a library prints goes to the standard error.
    """
    leave_signals_to_parent()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return output

"""The most memory that a process has held."""

import re
import resource
import sys
from pathlib import Path

PROCESS_STATUS = Path("/proc/self/status")
UNIT = 1 if sys.platform == "darwin" else 1024


def peak_bytes() -> int:
    """Returns what this process has held at most.

    Linux's own record is of this program alone; what `getrusage` says begins with the memory of who started it.
    """
    if PROCESS_STATUS.is_file() and (found := re.search(r"VmHWM:\s*(\d+) kB", PROCESS_STATUS.read_text())):
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def children_peak_bytes() -> int:
    """Returns what the largest process that this one started has held at most."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * UNIT

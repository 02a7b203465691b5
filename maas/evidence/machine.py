"""Which machine a figure was measured on, and the most memory that a process has held."""

import os
import platform
import re
import resource
import sys
from pathlib import Path

import onnxruntime

from maas.records.evidence import Machine


def this_machine() -> Machine:
    """Describes the machine that runs this process."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        onnxruntime=onnxruntime.__version__,
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


PROCESS_STATUS = Path("/proc/self/status")
UNIT = 1 if sys.platform == "darwin" else 1024


def peak_bytes() -> int:
    """Returns what this process has held at most.

    Linux's own record is of this program alone; `getrusage` begins with the memory of the process that started it.
    """
    if PROCESS_STATUS.is_file() and (found := re.search(r"VmHWM:\s*(\d+) kB", PROCESS_STATUS.read_text())):
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def children_peak_bytes() -> int:
    """Returns what the largest process that this one started has held at most."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * UNIT

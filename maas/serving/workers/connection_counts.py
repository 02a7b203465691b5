"""How many connections each worker has, in memory that all of them see: who has more than another lets that one accept.

A socket that several processes accept from wakes all of them for a connection, and the first one takes it; where one
of them happens to be awake, it would take most of what comes at once, and keep it for as long as clients do.
"""

import mmap
import os
import struct
import tempfile
from typing import Self

_COUNT = struct.Struct("=i")
NOT_ACCEPTING = -1
"""The count of a worker that accepts nothing."""


def shared_memory(workers: int) -> int:
    """Returns the descriptor of memory for the counts of some workers; who inherits it sees the same."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("maas-connections")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.write(descriptor, _COUNT.pack(NOT_ACCEPTING) * workers)
    return descriptor


class ConnectionCounts:
    """The counts, as one process of a server sees them.

    Args:
        memory: of all counts.
        workers: number of workers.
        own: position of this worker's.
    """

    def __init__(self, memory: mmap.mmap, workers: int, own: int) -> None:
        self._counts = memoryview(memory).cast("i")
        self._others = [position for position in range(workers) if position != own]
        self._own = own

    @classmethod
    def at(cls, descriptor: int, workers: int, own: int = 0) -> Self:
        """Returns the counts in memory that a descriptor stands for."""
        return cls(mmap.mmap(descriptor, workers * _COUNT.size), workers, own)

    def note(self, connections: int) -> None:
        """Writes how many connections this worker has."""
        self._counts[self._own] = connections

    def leave(self, worker: int) -> None:
        """Writes that a worker accepts nothing.

        Args:
            worker: its position.
        """
        self._counts[worker] = NOT_ACCEPTING

    @property
    def is_ahead(self) -> bool:
        """Whether another worker that accepts has fewer connections."""
        own = self._counts[self._own]
        return any(NOT_ACCEPTING < self._counts[other] < own for other in self._others)

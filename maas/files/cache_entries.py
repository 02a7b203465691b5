"""Entries of the cache that go once nobody has opened them for long: a folder each, with a lock beside what it holds.

The time of the lock is when the entry was opened last. What is mapped stays readable for who has it.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEPT_S = 30 * 24 * 3600
"""Seconds after which an entry that nobody has opened makes room for others."""
LOCK = "lock"


@contextmanager
def entry_alone(entry: Path, *, wait: bool = True) -> Iterator[None]:
    """Lets no other process into an entry, and keeps when that was; a killed process lets go by itself.

    Args:
        entry: its folder, which is made if need be.
        wait: whether to wait for another process that is in it.

    Raises:
        BlockingIOError: another process is in it, and this one shall not wait.
    """
    while True:
        entry.mkdir(parents=True, exist_ok=True)
        with (entry / LOCK).open("w") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if not _is_same(entry / LOCK, file.fileno()):
                continue  # it was removed while this process waited
            os.utime(file.fileno())
            yield
            return


def remove_all_but(kept: Path) -> None:
    """Removes all of an entry but one file or folder, and the lock."""
    for one in kept.parent.iterdir():
        if one.is_dir() and one != kept:
            shutil.rmtree(one, ignore_errors=True)
        elif one not in (kept, kept.parent / LOCK):
            one.unlink()


def remove_unused(room: Path) -> None:
    """Removes the entries that nobody has opened for `KEPT_S` seconds, unless another process is at them.

    Args:
        room: the folder of all entries of one kind.
    """
    for entry in room.iterdir():
        try:
            if time.time() - _opened_at(entry) > KEPT_S:
                with entry_alone(entry, wait=False):
                    remove_all_but(entry / LOCK)
                    (entry / LOCK).unlink()
                entry.rmdir()
        except OSError:  # somebody uses it, or has removed it
            continue


def _opened_at(entry: Path) -> float:
    """Returns when an entry was opened last; of one that an earlier version left without a lock, when it was made."""
    lock = entry / LOCK
    return (lock if lock.exists() else entry).stat().st_mtime


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False

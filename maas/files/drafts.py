"""Drafts: what is being written lies beside its place, as `NAME.MACHINE-PROCESS-START-NUMBER.partial`.

No two writers share one, and those whose writer has ended are removed when something is written there again.
"""

import os
import platform
import re
import shutil
import time
import zlib
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path

DRAFT = re.compile(r"(?P<name>.+)\.(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-(?P<start>\d+)-\d+\.partial")
OLD_DRAFT = re.compile(r"(?P<name>.+)\.(?P<process>\d+)\.partial")
"""As earlier versions named them."""
FRESH_S = 3600
"""Drafts of earlier versions are left alone for so long: they may be another machine's."""
START_FIELD = 19
"""Of those that follow the name in /proc/PROCESS/stat."""
_number = count()
_looked_at: set[tuple[int, Path]] = set()
"""Folders in which a process has looked for drafts of others that have ended."""


def draft_of(path: Path) -> Path:
    """Returns where to write what then takes the place of `path`, and removes what ended processes left there."""
    looked_at = (os.getpid(), path.parent)
    if looked_at not in _looked_at:  # once a process: there may be ten thousands of files
        _looked_at.add(looked_at)
        _remove_ended(path.parent.glob("*.partial"))
    process = os.getpid()
    return path.with_name(f"{path.name}.{_machine()}-{process}-{_start_of(process)}-{next(_number)}.partial")


def process_writing(folder: Path) -> int | None:
    """Returns the number of a process of this machine that writes a folder now; None where there is none."""
    drafts = (DRAFT.fullmatch(one.name) for one in _drafts_of(folder))
    living = (int(one["process"]) for one in drafts if one and one["machine"] == _machine() and _is_living(one))
    return next(living, None)


def remove_ended(path: Path) -> None:
    """Removes drafts of one file or folder whose writers have ended."""
    _remove_ended(_drafts_of(path))


def remove(path: Path) -> None:
    """Removes a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _drafts_of(path: Path) -> list[Path]:
    """Returns drafts of one file or folder, this version's and those of versions that did not name the machine."""
    return [one for one in path.parent.glob("*.partial") if (found := _named(one)) and found["name"] == path.name]


def _named(draft: Path) -> re.Match[str] | None:
    return DRAFT.fullmatch(draft.name) or OLD_DRAFT.fullmatch(draft.name)


def _remove_ended(drafts: Iterable[Path]) -> None:
    """Removes the drafts whose writer has ended; others, and files of other programs, stay."""
    for draft in drafts:
        found = _named(draft)
        with suppress(OSError):  # another process was quicker
            if found and not (_is_living(found) if found.re is DRAFT else _is_old_and_living(draft, found)):
                remove(draft)


def _is_living(draft: re.Match[str]) -> bool:
    """Whether a draft's writer may be at work: always where another machine or container made it."""
    return draft["machine"] != _machine() or _runs(int(draft["process"]), int(draft["start"]))


def _is_old_and_living(draft: Path, found: re.Match[str]) -> bool:
    """Whether a draft whose name holds no machine and no start is old, and its writer may live; a fresh one stays."""
    is_fresh = time.time() - draft.lstat().st_mtime < FRESH_S
    return is_fresh or not draft.with_name(found["name"]).exists() or _runs(int(found["process"]), 0)


def _runs(process: int, start: int) -> bool:
    """Whether a process is there that was started at `start`; its number may have been given away again."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        pass
    return _start_of(process) in (0, start) or not start


def _start_of(process: int) -> int:
    """Returns when a process was started, in the kernel's ticks since the machine was; 0 where that is not known."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[START_FIELD])
    except (OSError, IndexError, ValueError):
        return 0


@cache
def _machine() -> str:
    """Returns a digest of what a process's number is unique in: the machine, and the container."""
    try:
        container = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        container = ""
    return f"{zlib.crc32(f'{platform.node()} {container}'.encode()):08x}"

"""Files of rows, read once into Arrow files that are kept in the cache: the next start maps them at once.

`datasets` reads, a piece at a time. A JSON file that is one list is the exception: its parser wants it whole.
"""

import errno
import fcntl
import hashlib
import json
import logging
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
from datasets.exceptions import DatasetGenerationError

from maas.data.mapped import ArrowRows
from maas.data.unpacking import plain
from maas.errors import DataError
from maas.files import cache_folder, folder_published_whole

log = logging.getLogger("maas")
SOURCE = "source.txt"
LONG_BYTES = 64 * 2**20
"""Files from this size on are worth a line."""


def prepared(path: Path, kind: str, options: Mapping[str, Any]) -> list[ArrowRows]:
    """Returns the rows of a file, plain or compressed.

    The cache keeps what was made of the file as it is now, and nothing of what it was. A killed process leaves nothing
    that counts.

    Args:
        path: the file.
        kind: the name of a reader of `datasets`: csv, json, parquet or text.
        options: of this reader.

    Raises:
        DataError: the file cannot be read, or there is no room for its rows.
    """
    folder = _place(path, kind, options)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.parent / "lock"):
            if not folder.is_dir():
                _prepare(path, kind, options, folder)
            return [ArrowRows.open(file) for file in sorted(folder.rglob("*.arrow"))]
    except OSError as error:
        raise _no_room(path, folder) if error.errno == errno.ENOSPC else DataError(f"{folder}: {error}") from error


def _place(path: Path, kind: str, options: Mapping[str, Any]) -> Path:
    """Returns the folder of a file's rows; its parent is the file's own, and its name tells what the rows depend on."""
    status = path.stat()
    content = [status.st_size, status.st_mtime_ns, kind, options, datasets.__version__]
    named = (str(path.resolve()), json.dumps(content, sort_keys=True))
    return cache_folder("tables", *(hashlib.sha256(name.encode()).hexdigest()[:32] for name in named))


def _prepare(path: Path, kind: str, options: Mapping[str, Any], folder: Path) -> None:
    if path.stat().st_size > LONG_BYTES:
        log.info("data      reading %s, %.1f GB, once", path, path.stat().st_size / 1e9)
    if path.stat().st_size == 0:
        raise DataError(f"{path} cannot be read as {kind}: it is empty.")
    with folder_published_whole(folder) as draft, _bar_on_terminals():
        try:
            with plain(path, draft) as file:
                builder = datasets.load_dataset_builder(kind, data_files=str(file), cache_dir=str(draft), **options)
                builder.download_and_prepare()
        except Exception as error:  # whatever the parsers raise
            cause = _cause(error)
            if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
                raise _no_room(path, folder) from error
            raise DataError(f"{path} cannot be read as {kind}: {first_line(cause)}") from error
    (folder.parent / SOURCE).write_text(str(path.resolve()))
    _forget(folder)


def _forget(folder: Path) -> None:
    """Removes what was made of the file as it was, and of files that are no more; who maps such rows keeps them."""
    old = [one for one in folder.parent.iterdir() if one.is_dir() and one != folder]
    named = folder.parent.parent.glob(f"*/{SOURCE}")
    for one in [*old, *(name.parent for name in named if not Path(name.read_text()).exists())]:
        shutil.rmtree(one, ignore_errors=True)


def _no_room(path: Path, folder: Path) -> DataError:
    return DataError(
        f"There is no room for the rows of {path} in {folder.parent}. They take about as many bytes as the file does "
        "when it is not compressed. Make room there, or set MAAS_CACHE to a folder on another disk."
    )


def _cause(error: Exception) -> BaseException:
    """Returns what a parser raised; datasets wraps it and tells only that there was an error."""
    return error.__cause__ if error.__cause__ and isinstance(error, DatasetGenerationError) else error


def reason_of(error: Exception) -> str:
    """Returns what a parser said, as one line."""
    return first_line(_cause(error))


def first_line(error: BaseException) -> str:
    """Returns what an error of another library says, as one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextmanager
def _bar_on_terminals() -> Iterator[None]:
    """Lets `datasets` show how far it is on a terminal alone."""
    if sys.stdout.isatty() or not datasets.is_progress_bar_enabled():
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Waits until no other process makes the same; a killed process lets go by itself."""
    with path.open("w") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        yield

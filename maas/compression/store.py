"""What a search has made, kept by content: what is needed twice, or was made before a kill, is made once."""

import hashlib
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec

from maas.compression.passes.base import DeclaredPass
from maas.errors import CheckpointError
from maas.files import read_json, write_atomically
from maas.training.checkpoint import Checkpoint

log = logging.getLogger("maas")
CHECKPOINT, SECONDS, RESUME = "checkpoint", "seconds.json", "resume"
DIGEST_LENGTH = 20


class CandidateStore:
    """Folders by the digest of all that bears on what lies in them.

    Args:
        folder: folder below which they lie.
        context: digest of everything that is the same for all of them: recipe, rows, code.
    """

    def __init__(self, folder: Path, context: str) -> None:
        self._folder = folder
        self._context = context

    def place(self, *parts: object) -> Path:
        """Returns the folder of what is made from these; it need not exist.

        Args:
            parts: digests, numbers, texts, and what msgspec can encode.
        """
        content = msgspec.json.encode([self._context, *parts], order="deterministic")
        return self._folder / hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]


def made_once(place: Path, make: Callable[[Path], object]) -> tuple[Checkpoint, float]:
    """Returns the checkpoint of a place and the seconds that making it took; makes it where there is none.

    Args:
        place: folder in a store.
        make: writes the checkpoint's folder.
    """
    made = reopened(place)
    if made is None:
        place.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        make(place / CHECKPOINT)
        write_atomically(place / SECONDS, msgspec.json.encode(round(time.perf_counter() - started, 3)))
        shutil.rmtree(place / RESUME, ignore_errors=True)  # what an interruption would have needed
        made = Checkpoint.open(place / CHECKPOINT)
    return made, seconds_of(place)


def reopened(place: Path) -> Checkpoint | None:
    """Opens the checkpoint that was made in a place before; None where there is none, or it was altered."""
    if not (place / CHECKPOINT).is_dir():
        return None
    try:
        return Checkpoint.open(place / CHECKPOINT)
    except CheckpointError as error:
        log.warning("%s is passed over, and made again: %s", place / CHECKPOINT, error)
        return None


def seconds_of(place: Path) -> float:
    """Returns the seconds that making a checkpoint took; 0 where a kill came before they were written."""
    try:
        return read_json(place / SECONDS, float)
    except (OSError, ValueError):
        return 0.0


def import_path_of(one: DeclaredPass) -> str:
    """Returns a pass's import path."""
    return f"{type(one).__module__}.{type(one).__qualname__}"


def pass_settings(one: DeclaredPass) -> dict[str, Any]:
    """Returns a pass's settings as JSON holds them."""
    settings: dict[str, Any] = msgspec.to_builtins({field.name: getattr(one, field.name) for field in fields(one)})
    return settings

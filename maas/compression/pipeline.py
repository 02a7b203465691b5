"""Applying passes over checkpoints, one on what the other made."""

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from maas.compression.passes.base import CheckpointPass, PassContext
from maas.compression.store import CandidateStore, settings_of, target_of
from maas.errors import CheckpointError
from maas.files import read_json, write_atomically
from maas.records.evidence import AppliedPass
from maas.training.checkpoint import Checkpoint

log = logging.getLogger("maas")
CHECKPOINT, SPENT, RESUME = "checkpoint", "seconds.json", "resume"


@dataclass(frozen=True)
class Variant:
    """A checkpoint that a pipeline of passes made of the root, or the root itself.

    Args:
        name: of the pipeline; empty for the root.
        checkpoint: what came of it.
        applied_passes: the passes in order, with what each took.
    """

    name: str
    checkpoint: Checkpoint
    applied_passes: tuple[AppliedPass, ...] = ()


def variant_of(
    name: str,
    passes: Mapping[str, CheckpointPass],
    context: PassContext,
    store: CandidateStore,
    admit: Callable[[str, Checkpoint], None] | None = None,
) -> Variant:
    """Applies a pipeline of passes to the root; what was made before is taken as it lies.

    Args:
        name: of the pipeline.
        passes: in order, by name.
        context: what they need.
        store: where they write.
        admit: looks at what each pass, by its name, has made, before the next one begins.

    Raises:
        ExportError: a pass could not be applied.
    """
    checkpoint, applied_passes = context.root, []
    for key, one in passes.items():
        settings = settings_of(one)
        place = store.place(checkpoint.digest, target_of(one), settings, context.seed)
        made = kept(place)
        if made is None:
            place.mkdir(parents=True, exist_ok=True)
            started = time.perf_counter()
            one.apply(checkpoint, place / CHECKPOINT, replace(context, folder=place))
            finish(place, time.perf_counter() - started)
            made = Checkpoint.open(place / CHECKPOINT)
        checkpoint = made
        if admit:
            admit(key, checkpoint)
        applied_passes.append(AppliedPass(key, target_of(one), settings, checkpoint.digest, spent(place)))
    return Variant(name, checkpoint, tuple(applied_passes))


def kept(place: Path) -> Checkpoint | None:
    """Opens the checkpoint that was made in a place before; None where there is none, or it was altered."""
    if not (place / CHECKPOINT).is_dir():
        return None
    try:
        return Checkpoint.open(place / CHECKPOINT)
    except CheckpointError as error:
        log.warning("%s is passed over, and made again: %s", place / CHECKPOINT, error)
        return None


def finish(place: Path, seconds: float) -> None:
    """Writes down how long it took to make what lies in a place, and removes what an interruption would have needed."""
    write_atomically(place / SPENT, msgspec.json.encode(round(seconds, 3)))
    shutil.rmtree(place / RESUME, ignore_errors=True)


def spent(place: Path) -> float:
    """Returns the seconds that were written down; 0 where a kill came between."""
    try:
        return read_json(place / SPENT, float)
    except (OSError, ValueError):
        return 0.0

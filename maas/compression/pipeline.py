"""What comes of a checkpoint: by passes, one on what the other made, or by training its shape from scratch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from maas.compression.passes.base import CheckpointPass, PassContext, epochs_of
from maas.compression.retraining import retrained
from maas.compression.store import CandidateStore, import_path_of, made_once, pass_settings
from maas.errors import ExportError
from maas.records.evidence import AppliedPass
from maas.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class Variant:
    """A checkpoint that passes made of the root, or the root itself.

    Args:
        name: name of the pipeline; empty for the root.
        checkpoint: what came of it; None for a root that is a graph alone.
        applied_passes: passes in order, with the seconds that each took.
        epochs: epochs that the passes trained for in all.
    """

    name: str
    checkpoint: Checkpoint | None
    applied_passes: tuple[AppliedPass, ...] = ()
    epochs: int = 0

    @property
    def trained(self) -> Checkpoint:
        """The checkpoint.

        Raises:
            ExportError: the variant is a graph alone.
        """
        if self.checkpoint is None:
            raise ExportError("The model comes without a checkpoint.")
        return self.checkpoint


def variant_of(
    name: str,
    passes: Mapping[str, CheckpointPass],
    context: PassContext,
    store: CandidateStore,
    admit: Callable[[str, Checkpoint], None] | None = None,
) -> Variant:
    """Applies a pipeline of passes to the root; what was made before is taken as it lies.

    Args:
        name: name of the pipeline.
        passes: passes by name, in order.
        context: what they need.
        store: where they write.
        admit: called with the name of each pass and what it has made, before the next one begins.

    Raises:
        ExportError: a pass could not be applied, or there is no root.
    """
    variant = Variant(name, context.trained, epochs=epochs_of(passes.values()))
    for key, one in passes.items():
        variant = _followed(variant, key, one, context, store)
        if admit:
            admit(key, variant.trained)
    return calibrated(variant, context, store)


def calibrated(variant: Variant, context: PassContext, store: CandidateStore) -> Variant:
    """Applies the pass that every checkpoint ends with, if there is one.

    Args:
        variant: what other passes made, or the root.
        context: what the pass needs.
        store: where it writes.

    Raises:
        ExportError: it could not be applied.
    """
    for key, one in context.calibration.items():
        variant = _followed(variant, key, one, context, store)
    return variant


def _followed(variant: Variant, key: str, one: CheckpointPass, context: PassContext, store: CandidateStore) -> Variant:
    """Returns what a pass makes of a variant; what was made before is taken as it lies."""
    parent, settings = variant.trained, pass_settings(one)
    place = store.place(parent.digest, import_path_of(one), settings, context.seed)
    own = replace(context, folder=place)
    made, seconds = made_once(place, lambda out: one.apply(parent, out, own))
    applied = AppliedPass(key, import_path_of(one), settings, made.digest, seconds)
    return replace(variant, checkpoint=made, applied_passes=(*variant.applied_passes, applied))


def scratch_baseline_of(variant: Variant, context: PassContext, store: CandidateStore, number: int) -> Variant:
    """Trains a net of a variant's shape from scratch for as many epochs in all, the root's included.

    The recipe alone trains it, with its pretraining on the same texts.

    Args:
        variant: variant whose shape is taken.
        context: recipe and rows.
        store: where it is kept.
        number: number of the baseline, from 0; each has a seed of its own.

    Raises:
        ExportError: the recipe cannot train, or the variant has no net.
    """
    shape = variant.trained
    seed, epochs = context.seed + number, len(context.trained.record.history) + variant.epochs
    place = store.place("scratch", shape.digest, seed, epochs)
    own = replace(context, folder=place, seed=seed)
    made, seconds = made_once(place, lambda out: _from_scratch(shape, out, own, epochs))
    applied = AppliedPass("from_scratch", __name__, {"epochs": epochs, "seed": seed}, made.digest, seconds)
    return calibrated(Variant(f"scratch{number}", made, (applied,), epochs), context, store)


def _from_scratch(shape: Checkpoint, out: Path, context: PassContext, epochs: int) -> Checkpoint:
    """Writes the checkpoint of a net of another one's shape, with weights of its own."""
    net = shape.from_scratch(context.seed)
    if context.training.pretrain is not None:
        context.training.pretrain.pretrain(net, shape.processor(), context.splits.train.inputs, context.seed)
    plan = shape.record.plan
    known = msgspec.structs.replace(plan, clips={}) if plan else None
    return retrained(shape, out, context, epochs=epochs, net=net, known=known)

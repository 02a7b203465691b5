"""The baseline: a net of the same shape that was never large, trained from scratch for as many epochs in all."""

import time
from dataclasses import replace

import msgspec

from maas.compression.passes import PassContext
from maas.compression.pipeline import CHECKPOINT, Variant, finish, kept, spent
from maas.compression.retraining import retrained
from maas.compression.store import CandidateStore
from maas.config import build
from maas.records.evidence import AppliedPass
from maas.training.checkpoint import Checkpoint


def epochs_of(variant: Variant, root: Checkpoint) -> int:
    """Returns the epochs that a variant's net was trained for in all, its time as the root included."""
    return len(root.record.history) + sum(int(applied.settings.get("epochs", 0)) for applied in variant.applied_passes)


def scratch_baseline_of(variant: Variant, context: PassContext, store: CandidateStore, number: int) -> Variant:
    """Trains a net of a variant's shape from scratch, by the recipe alone, its pretraining on the same texts included.

    Args:
        variant: whose shape is taken.
        context: recipe and rows.
        store: where it is kept.
        number: of the baseline, from 0; each has a seed of its own.

    Raises:
        ExportError: the recipe cannot train.
    """
    seed, epochs = context.seed + number, epochs_of(variant, context.root)
    place = store.place("baseline", variant.checkpoint.digest, seed, epochs)
    made = kept(place)
    if made is None:
        own, started = replace(context, folder=place, seed=seed), time.perf_counter()
        net = variant.checkpoint.from_scratch(seed)
        if context.config.pretrain is not None:
            pretraining = build(context.config.pretrain, "pretrain")
            pretraining.pretrain(net, variant.checkpoint.processor(), context.splits.train.inputs, seed)
        plan = variant.checkpoint.record.plan
        known = msgspec.structs.replace(plan, clips={}) if plan else None
        retrained(variant.checkpoint, place / CHECKPOINT, own, epochs=epochs, net=net, known=known)
        finish(place, time.perf_counter() - started)
        made = Checkpoint.open(place / CHECKPOINT)
    applied = AppliedPass("from_scratch", __name__, {"epochs": epochs, "seed": seed}, made.digest, spent(place))
    return Variant(f"scratch{number}", made, (applied,))

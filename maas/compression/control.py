"""The control: a net of the same shape that was never large, trained from scratch for as many epochs in all."""

import time
from dataclasses import replace

import msgspec

from maas.compression.chain import CHECKPOINT, Variant, finish, kept, spent
from maas.compression.passes import Workshop
from maas.compression.retraining import retrained
from maas.compression.store import Store
from maas.config import build
from maas.records.evidence import Link
from maas.training.checkpoint import Checkpoint


def epochs_of(variant: Variant, root: Checkpoint) -> int:
    """Returns the epochs that a variant's net was trained for in all, its time as the root included."""
    return len(root.record.history) + sum(int(link.settings.get("epochs", 0)) for link in variant.links)


def control_of(variant: Variant, workshop: Workshop, store: Store, number: int) -> Variant:
    """Trains a net of a variant's shape from scratch, by the recipe alone, its pretraining on the same texts included.

    Args:
        variant: whose shape is taken.
        workshop: recipe and rows.
        store: where it is kept.
        number: of the control, from 0; each has a seed of its own.

    Raises:
        ExportError: the recipe cannot train.
    """
    seed, epochs = workshop.seed + number, epochs_of(variant, workshop.root)
    place = store.place("control", variant.checkpoint.digest, seed, epochs)
    made = kept(place)
    if made is None:
        own, started = replace(workshop, folder=place, seed=seed), time.perf_counter()
        net = variant.checkpoint.from_scratch(seed)
        if workshop.config.pretrain is not None:
            pretraining = build(workshop.config.pretrain, "pretrain")
            pretraining.pretrain(net, variant.checkpoint.processor(), workshop.splits.train.inputs, seed)
        plan = variant.checkpoint.record.plan
        known = msgspec.structs.replace(plan, clips={}) if plan else None
        retrained(variant.checkpoint, place / CHECKPOINT, own, epochs=epochs, net=net, known=known)
        finish(place, time.perf_counter() - started)
        made = Checkpoint.open(place / CHECKPOINT)
    link = Link("from_scratch", __name__, {"epochs": epochs, "seed": seed}, made.digest, spent(place))
    return Variant(f"control{number}", made, (link,))

"""The card of a bundle, which a notebook shows in the place of its address in memory."""

from pathlib import Path

from maas.cards import card
from maas.records.evidence import Evidence
from maas.records.manifest import Manifest

SHOWN_LABELS_OF_CARD = 8


def bundle_card(folder: Path, manifest: Manifest, size: int, measured: Evidence | str) -> str:
    """Returns what a bundle holds and how good it is, as HTML.

    Args:
        folder: where it lies.
        manifest: what it holds.
        size: bytes of the model.
        measured: its evidence, or why there is none.
    """
    labels = [str(label) for label in manifest.postprocessor.get("labels", ())]
    more = f" and {len(labels) - SHOWN_LABELS_OF_CARD:,} more" if len(labels) > SHOWN_LABELS_OF_CARD else ""
    facts = [
        ("task", manifest.task),
        ("labels", ", ".join(labels[:SHOWN_LABELS_OF_CARD]) + more),
        ("model", f"{size:,} bytes, {manifest.precision}"),
        ("takes", ", ".join(spec.name for spec in manifest.signature.inputs)),
        ("gives", ", ".join(spec.name for spec in manifest.signature.outputs)),
        ("recipe", manifest.lineage.recipe),
        ("folder", str(folder)),
        ("evidence", measured if isinstance(measured, str) else measured.measured_at),
    ]
    if isinstance(measured, str):
        return card(manifest.name, "bundle", facts)
    return card(manifest.name, "bundle", facts, *measured.table())

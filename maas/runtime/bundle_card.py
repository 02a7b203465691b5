"""The card of a bundle, which a notebook shows in the place of its address in memory."""

from typing import TYPE_CHECKING

from maas.cards import card
from maas.errors import BundleError
from maas.records.evidence_card import metric_table

if TYPE_CHECKING:
    from maas.runtime.bundle import Bundle

SHOWN_LABELS_OF_CARD = 8


def bundle_card(bundle: "Bundle") -> str:
    """Returns what a bundle holds and how good it is, or why that is not known, as HTML."""
    manifest = bundle.manifest
    facts = [*_facts(bundle), ("folder", str(bundle.folder))]
    try:
        measured = bundle.evidence
    except BundleError as error:
        return card(manifest.name, "bundle", [*facts, ("evidence", str(error))])
    return card(manifest.name, "bundle", [*facts, ("evidence", measured.measured_at)], *metric_table(measured))


def _facts(bundle: "Bundle") -> list[tuple[str, str]]:
    manifest = bundle.manifest
    labels = [str(label) for label in manifest.postprocessor.get("labels", ())]
    more = f" and {len(labels) - SHOWN_LABELS_OF_CARD:,} more" if len(labels) > SHOWN_LABELS_OF_CARD else ""
    return [
        ("task", manifest.task),
        ("labels", ", ".join(labels[:SHOWN_LABELS_OF_CARD]) + more),
        ("model", f"{bundle.model_path.stat().st_size:,} bytes, {manifest.precision}"),
        ("takes", ", ".join(spec.name for spec in manifest.signature.inputs)),
        ("gives", ", ".join(spec.name for spec in manifest.signature.outputs)),
        ("recipe", manifest.lineage.recipe),
    ]

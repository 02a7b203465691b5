"""What a run leaves in MLflow beside its version."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from maas.config import RunConfig
from maas.evidence.model_plots import compression_picture
from maas.evidence.plots import confusion_picture, robustness_picture
from maas.lifecycle.recipe import Recipe
from maas.records.manifest import Lineage
from maas.registry.mlflow_registry import MlflowRegistry
from maas.registry.tracking.tracker import Tracker
from maas.run_folders.folder import RunFolder
from maas.runtime.bundle import Bundle


def pictures_of(bundle: Bundle, folder: Path) -> Iterator[Path]:
    """Draws what the evidence says into `folder`, and yields the files."""
    evidence = bundle.evidence
    if evidence.confusion is not None:
        title = f"{bundle.manifest.name}, test rows: accuracy {evidence.metrics['shipped']['accuracy']}"
        labels = bundle.manifest.postprocessor["labels"]
        yield confusion_picture(np.array(evidence.confusion), labels, title, folder / "confusion.png")
    if evidence.robustness:
        yield robustness_picture(evidence.robustness, folder / "robustness.png")
    if evidence.compression is not None:
        yield compression_picture(evidence.compression, folder / "compression.png")


def tracker_of(recipe: Recipe, folder: RunFolder, lineage: Lineage) -> Tracker | None:
    """Opens the run's MLflow run, or starts it; None where the recipe has no registry."""
    return tracker_in(recipe.store, recipe.config, folder, lineage) if recipe.store else None


def tracker_in(store: MlflowRegistry, config: RunConfig, folder: RunFolder, lineage: Lineage) -> Tracker:
    """Opens the run's MLflow run, or starts it.

    What MLflow did not take in an earlier stage waits in the run's `unsent/`, and is logged with what comes next.
    """
    unsent = folder.path / "unsent"
    known = store.resume_run(folder.state.tracking_id, unsent) if folder.state.tracking_id else None
    if known is not None:
        return known
    tags = {f"maas.{key}": str(value) for key, value in msgspec.to_builtins(lineage).items()}
    tracker = store.start_run(f"{config.name} {folder.path.name}", tags, _flat(config.record()), unsent)
    folder.remember(tracking_id=tracker.run_id)
    return tracker


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """Turns nested settings into dotted keys."""
    if not isinstance(node, dict):
        return {prefix: node}
    return {
        key: value
        for name, child in node.items()
        for key, value in _flat(child, f"{prefix}.{name}" if prefix else name).items()
    }

"""The stage that registers: what a run leaves in MLflow, its version, and how versions are compared."""

import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.config import RunConfig
from maas.credentials import without_credentials
from maas.data.splits import Split, Splits
from maas.errors import ConfigError, DataError, RegistryError
from maas.evidence.comparing import comparable_scores, require_one_task
from maas.evidence.model_plots import compression_picture
from maas.evidence.plots import confusion_picture, robustness_picture
from maas.evidence.task_metrics import task_metrics_of
from maas.evidence.task_metrics.base import Scores, TaskMetrics
from maas.evidence.transcript_metrics import transcript_drop, transcript_metrics
from maas.lifecycle.generation import compare_generation
from maas.lifecycle.recipe import BuiltRecipe
from maas.lifecycle.stages import timed
from maas.records.evidence import Interval
from maas.records.manifest import Lineage
from maas.registry.catalogue.versions import ModelVersion
from maas.registry.mlflow_registry import Compare, MlflowRegistry
from maas.registry.promotion import Comparison
from maas.registry.tracking.tracker import Tracker
from maas.reporting.findings import ReportSettings, findings_of
from maas.reporting.page import report_page
from maas.reporting.subject import Gap, reported_model
from maas.run_folders.folder import RunFolder, of_artifact
from maas.runtime.bundle import Bundle
from maas.runtime.postprocessors.translation import SPOKEN_TEXT

log = logging.getLogger("maas")


def require_registry(recipe: BuiltRecipe, folder: RunFolder) -> None:
    """Raises RegistryError where the run could not be registered: before what is registered is made."""
    if recipe.registry is not None:
        recipe.registry.check(folder.state.tracking_id)


def register_bundle(recipe: BuiltRecipe, bundle: Bundle, load: Callable[[], Splits]) -> ModelVersion:
    """Logs the evidence and its pictures, uploads the bundle and makes a version.

    Args:
        recipe: recipe whose registry and metric are taken.
        bundle: a bundle with evidence.
        load: loads the rows that versions are compared on, once they are needed.
    """
    if recipe.registry is None:
        raise ConfigError("The recipe has no registry. Set registry=mlflow.")
    folder, metric = of_artifact(bundle.folder), recipe.training.metric
    log.info("register  %s", without_credentials(recipe.registry.tracking_uri))
    with timed(folder, "register"):
        tracker = tracker_in(recipe.registry, recipe.config, folder, bundle.manifest.lineage)
        evidence = bundle.evidence
        for who, metrics in evidence.metrics.items():
            tracker.log_values({f"test_{name}_{who}": interval.value for name, interval in metrics.items()})
        with tempfile.TemporaryDirectory() as scratch:
            for picture in pictures_of(bundle, Path(scratch)):
                tracker.log_files(picture, "plots")
        try:
            version = recipe.registry.register(bundle, tracker, metric, comparing_on(metric, load))
        except RegistryError as error:
            raise RegistryError(
                f"{error} The bundle is in {bundle.folder}; once the registry takes it, run python -m maas.register "
                f"recipe={recipe.training.name} with the same overrides."
            ) from error
        if recipe.registry.report:
            _log_page(bundle, version, tracker)
        tracker.finish()
    log.info("register  %s version %s; %s", version.name, version.version, version.note)
    return version


def _log_page(bundle: Bundle, version: ModelVersion, tracker: Tracker) -> None:
    """Logs a page on the model as `report/report.html`; no row is predicted for it."""
    known = reported_model(bundle, version.uri, version=version.version)
    found = findings_of(known, Gap("gap_registering"), ReportSettings(explains=False, measures=False))
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "report.html"
        page.write_text(report_page(found), encoding="utf-8")
        tracker.log_files(page, "report")


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


def tracker_of(recipe: BuiltRecipe, folder: RunFolder, lineage: Lineage) -> Tracker | None:
    """Opens the run's MLflow run, or starts it; None where the recipe has no registry."""
    return tracker_in(recipe.registry, recipe.config, folder, lineage) if recipe.registry else None


def tracker_in(registry: MlflowRegistry, config: RunConfig, folder: RunFolder, lineage: Lineage) -> Tracker:
    """Opens the run's MLflow run, or starts it.

    What MLflow did not take in an earlier stage waits in the run's `unsent/`, and is logged with what comes next.
    """
    unsent = folder.path / "unsent"
    known = registry.resume_run(folder.state.tracking_id, unsent) if folder.state.tracking_id else None
    if known is not None:
        return known
    tags = {f"maas.{key}": str(value) for key, value in msgspec.to_builtins(lineage).items()}
    tracker = registry.start_run(f"{config.name} {folder.path.name}", tags, _flat(config.record()), unsent)
    folder.remember(tracking_id=tracker.run_id)
    return tracker


def _flat(node: object, prefix: str = "") -> dict[str, object]:
    """Turns nested settings into dotted keys."""
    if not isinstance(node, dict):
        return {prefix: node}
    return {
        key: value
        for name, child in node.items()
        for key, value in _flat(child, f"{prefix}.{name}" if prefix else name).items()
    }


def comparing_on(metric: str | None, load: Callable[[], Splits]) -> Compare:
    """Returns what lets two bundles answer the recipe's test rows.

    Args:
        metric: name of the metric that is compared.
        load: loads the rows, once they are needed: a first version is compared with nothing.
    """

    def compare(new: Bundle, old: Bundle) -> Comparison:
        rows = load()
        if rows.record.fingerprint != new.evidence.data.fingerprint:
            raise DataError("the recipe's rows are not those that the bundle was measured on")
        if new.manifest.spoken or old.manifest.spoken:
            return compare_transcripts(new, old, rows.test)
        if new.is_generative or old.is_generative:
            return compare_generation(new, old, rows.test.inputs)
        require_one_task({"the new bundle": new, "the old one": old})
        task_metrics = task_metrics_of(new.manifest.postprocessor["kind"], rows.labels, metric)
        if rows.test.targets is None:
            raise DataError("the recipe's rows have no targets")
        scores = [comparable_scores(one, one.predictor.scores(rows.test.inputs), metric) for one in (new, old)]
        return comparison_of(task_metrics, rows.test.targets, *scores, metric=str(metric))

    return compare


def comparison_of(
    task_metrics: TaskMetrics, targets: NDArray[Any], new: Scores, old: Scores, *, metric: str
) -> Comparison:
    """Compares two bundles' scores of the same rows.

    Args:
        task_metrics: metrics of their kind of prediction.
        targets: targets, (N,).
        new: scores of the new bundle, (N, K).
        old: scores of the bundle that the alias points at, (N, K).
        metric: name of the metric in the evidence.
    """
    value, champions = (task_metrics.value(targets, scores, metric).value for scores in (new, old))
    lost = task_metrics.drop(targets, old, new, metric)
    gain = Interval(0.0 - lost.value, 0.0 - lost.high, 0.0 - lost.low)  # and no nought below nought
    return Comparison(metric, value, champions, gain, task_metrics.unit(metric))


def compare_transcripts(new: Bundle, old: Bundle, rows: Split) -> Comparison:
    """Compares what two bundles write down of the same sounds.

    Args:
        new: a bundle.
        old: the one that the alias points at.
        rows: sounds and what is said in them.

    Raises:
        DataError: one of both is another kind of model, or the rows have no texts.
    """
    if new.manifest.spoken is None or old.manifest.spoken is None:
        raise DataError("one of both writes down speech, the other does not")
    if rows.targets is None:
        raise DataError("the recipe's rows have no targets")
    wanted = list(rows.targets)
    texts, others = ([one[SPOKEN_TEXT] for one in bundle.predict(list(rows.inputs))] for bundle in (new, old))
    value, champions = (transcript_metrics(one, wanted)["word_accuracy"].value for one in (texts, others))
    lost = transcript_drop(others, texts, wanted)
    gain = Interval(0.0 - lost.value, 0.0 - lost.high, 0.0 - lost.low)
    return Comparison("word_accuracy", value, champions, gain, "percentage points")

"""The stages over a source: compress it, export what ships, prove it. No stage knows which one comes next."""

import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from maas.compression.candidates import CandidateBuilder
from maas.compression.evaluator import Evaluator
from maas.compression.naming import PARENT
from maas.compression.passes import PassContext
from maas.compression.pipeline import Variant, calibrated
from maas.compression.settings import CompressionSettings
from maas.compression.store import CandidateStore
from maas.errors import BudgetError, BundleError
from maas.evidence.baselines import Baseline
from maas.exporting.bundling import attach_evidence, build_bundle
from maas.exporting.proof import prove
from maas.exporting.settings import ExportSettings
from maas.exporting.source import Source, SourceModel
from maas.files import folder_published_whole
from maas.lifecycle.compressed import Compressed, calibration_of, searched
from maas.records.evidence import Evidence
from maas.run_folders.folder import RunFolder
from maas.runtime.bundle import Bundle
from maas.training.recipe import TrainingRecipe

log = logging.getLogger("maas")


def compress_source(
    source: Source,
    folder: RunFolder,
    settings: CompressionSettings,
    *,
    tolerance: float,
    seed: int,
    key: str,
    training: TrainingRecipe | None = None,
) -> Compressed:
    """Tries passes on a source and keeps the chosen model in the run's folder.

    Args:
        source: what is made smaller.
        folder: folder of the run.
        settings: budget and passes.
        tolerance: largest difference of a score between a net and its ONNX file.
        seed: random seed of calibration and search.
        key: digest of all that candidates depend on beside the passes; what lies there by the same key stays.
        training: the recipe that passes over checkpoints train by; None for a graph alone.

    Raises:
        BudgetError: no search can be made by these passes.
    """
    log.info("compress  %s", ", ".join(settings.passes) or "no pass is requested")
    place, rows = folder.candidates if settings.pipeline else folder.plain_candidates, source.rows
    with timed(folder, "compress"), folder_published_whole(folder.compressed) as draft:
        store = CandidateStore(place, key)
        context = PassContext(training, rows, source.checkpoint, place, seed, calibration=settings.calibration)
        root = _root(source, context, store)
        model = source.model.succeeded_by(root.trained) if root.applied_passes else source.model
        graph = model.write_graph(draft / f"{PARENT}.onnx")
        evaluator = Evaluator(
            graph,
            source.predictor(graph),
            rows.validation,
            source.task_metrics,
            source.metric,
            seed,
            rows.labels,
            tolerance,
            source.is_single,
        )
        if source.is_single and evaluator.target(settings.budget).batch_size > 1:
            raise BudgetError(
                f"{source.name} takes one row at a time; set compress.budget.batch_size=1, or leave it out."
            )
        builder = CandidateBuilder(
            evaluator,
            replace(context, root=root.checkpoint, applied_passes=root.applied_passes),
            settings,
            store,
            export=lambda checkpoint, out: source.model.succeeded_by(checkpoint).write_graph(out),
        )
        record = searched(builder, draft, calibration_of(source, evaluator, root))
    shutil.rmtree(folder.plain_candidates, ignore_errors=True)  # nothing in it took long
    log.info("compress  chosen: %s. %s", record.chosen, record.reason)
    return Compressed(folder.compressed, record)


def _root(source: Source, context: PassContext, store: CandidateStore) -> Variant:
    """Returns what a search begins with: the source's checkpoint, calibrated where a pass does so."""
    root = Variant("", source.checkpoint)
    return root if root.checkpoint is None else calibrated(root, context, store)


def export_source(
    source: Source,
    folder: RunFolder,
    draft: Path,
    settings: ExportSettings,
    compressed: Compressed | None,
    baseline: Baseline | None = None,
) -> None:
    """Builds the bundle in a draft folder and proves it there.

    Args:
        source: what is exported.
        folder: folder of the run.
        draft: empty folder, published by the caller.
        settings: tolerances of the proof.
        compressed: what was made of the source; None ships it as it is.
        baseline: what a user would pick instead; None for nothing.

    Raises:
        ParityError: the bundle would not predict as the source does.
    """
    with tempfile.TemporaryDirectory() as scratch:
        with timed(folder, "export"):
            exported = compressed.exported if compressed else source.model.write_graph(Path(scratch) / "exported.onnx")
            bundle = build_bundle(
                draft,
                model=compressed.model if compressed else exported,
                name=source.name,
                task=source.task,
                precision=_precision(source, compressed),
                processor=source.processor,
                postprocessor=source.postprocessor,
                serving=source.serving,
                lineage=source.lineage,
                golden_rows=source.golden_rows,
            )
        log.info("export    %s bytes", bundle.model_path.stat().st_size)
        with timed(folder, "verify"):
            evidence = _proven(source, bundle, exported, settings, compressed, baseline)
        attach_evidence(bundle, msgspec.structs.replace(evidence, seconds=folder.state.seconds))


def verify_bundle(
    source: Source,
    folder: RunFolder,
    bundle: Bundle,
    settings: ExportSettings,
    compressed: Compressed | None,
    baseline: Baseline | None = None,
) -> Evidence:
    """Proves a bundle that lies on disk, and replaces its evidence, which may be gone or broken.

    Args:
        source: what the bundle was made of.
        folder: folder of the run.
        bundle: the bundle.
        settings: tolerances of the proof.
        compressed: what was made of the source and ships; None where the source ships as it is.
        baseline: what a user would pick instead; None for nothing.

    Raises:
        BundleError: the bundle is not what would be made of the source.
        ParityError: it does not predict as the source does.
    """
    _require_made_of(source, bundle)
    if compressed:
        compressed.require_in(bundle)
    with timed(folder, "verify"), tempfile.TemporaryDirectory() as scratch:
        model = _after_passes(source, compressed) or source.model
        exported = model.write_graph(Path(scratch) / "exported.onnx")
        evidence = _proven(source, bundle, exported, settings, compressed, baseline)
    evidence = msgspec.structs.replace(evidence, seconds=folder.state.seconds)
    attach_evidence(bundle, evidence)
    return evidence


@contextmanager
def timed(folder: RunFolder, stage: str) -> Iterator[None]:
    """Keeps the wall time of a stage in the run's folder, where it ends well."""
    started = time.perf_counter()
    yield
    folder.add_seconds(stage, time.perf_counter() - started)


def _proven(
    source: Source,
    bundle: Bundle,
    exported: Path,
    settings: ExportSettings,
    compressed: Compressed | None,
    baseline: Baseline | None,
) -> Evidence:
    evidence = prove(
        bundle,
        source,
        exported,
        settings,
        exported_from=_after_passes(source, compressed),
        baseline=baseline,
        compression=compressed.record if compressed else None,
    )
    log.info("verify    %s", "; ".join(f"{one.right} {one.max_difference:.2g}" for one in evidence.parity))
    for fault in evidence.reference_faults:
        log.info("verify    the reference was left out: %s", fault)
    return evidence


def _after_passes(source: Source, compressed: Compressed | None) -> SourceModel | None:
    """Returns the net that passes over checkpoints made of the source's; None where there were none."""
    if compressed is None or source.checkpoint is None:
        return None
    made = compressed.checkpoint(source.checkpoint)
    return None if made is source.checkpoint else source.model.succeeded_by(made)


def _precision(source: Source, compressed: Compressed | None) -> str:
    """Returns what a bundle's manifest names: what the source was already, and what compression chose."""
    chosen = compressed.record.chosen if compressed else PARENT
    if chosen == PARENT:
        return source.precision
    return chosen if source.precision == PARENT else f"{source.precision}-{chosen}"


def _require_made_of(source: Source, bundle: Bundle) -> None:
    """Requires a bundle to mean what its source does: measuring looks at numbers, and not at the labels' names.

    Raises:
        BundleError: its manifest was altered since it was made.
    """
    ours, theirs = bundle.predictor, (source.postprocessor.record(), source.processor.record())
    if (ours.postprocessor.record(), ours.processor.record()) != theirs:
        raise BundleError(
            f"{bundle.folder} names another postprocessor or processor than what it was made of: its manifest was "
            f"altered. Run python -m maas.export recipe={source.name} with the same overrides."
        )
    bundle.check_golden()

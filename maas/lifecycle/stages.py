"""What each stage does, put together from the packages below. No stage knows which one comes next."""

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NoReturn

import msgspec

from maas.compression.candidates import CandidateBuilder
from maas.compression.evaluator import Evaluator
from maas.compression.naming import PARENT
from maas.compression.passes import PassContext
from maas.compression.search import Search
from maas.compression.store import CandidateStore
from maas.credentials import without_credentials
from maas.data.folds import require_foldable
from maas.data.splits import Splits
from maas.doctor import require_sound
from maas.errors import BundleError, ConfigError, RegistryError
from maas.evidence.model_plots import compression_picture
from maas.evidence.plots import learning_curve
from maas.evidence.task_metrics import task_metrics_of
from maas.exporting.bundling import attach_evidence, build_bundle
from maas.exporting.proof import prove
from maas.files import folder_published_whole, write_json
from maas.lifecycle.assembly import (
    checkpoint_of_fitted,
    exported_onnx,
    predictor_of,
    require_same_rows,
)
from maas.lifecycle.compressed import Compressed, keep
from maas.lifecycle.finding import compressed_of
from maas.lifecycle.lineage import candidates_key, lineage_of
from maas.lifecycle.promoting import comparing_on
from maas.lifecycle.recipe import Recipe
from maas.lifecycle.recording import pictures_of, tracker_in, tracker_of
from maas.lifecycle.validating import cross_validated, validated
from maas.records.evidence import CompressionRecord, Evidence
from maas.registry.catalogue.versions import ModelVersion
from maas.run_folders.folder import RunFolder, of_artifact
from maas.runtime.bundle import Bundle
from maas.training import processes
from maas.training.checkpoint import Checkpoint
from maas.training.fitting import fit
from maas.training.recipe import TrainingRecipe

log = logging.getLogger("maas")
GOLDEN_ROWS = 16


def train(recipe: Recipe, folder: RunFolder, splits: Splits) -> Checkpoint:
    """Fits processor and net, and keeps the best epoch."""
    require_foldable(splits, recipe.training.folds)
    lineage = lineage_of(recipe.config, splits.record.fingerprint)  # of the code that is about to train
    tracker = tracker_of(recipe, folder, lineage)
    log.info(
        "train     %s rows, %s", len(splits.train), f"{len(splits.labels)} labels" if splits.labels else "no labels"
    )
    with _timed(folder, "train"), tracker.marked() if tracker else nullcontext():
        processor = recipe.training.fitted_processor(splits.train.inputs)
        require_sound(recipe.training, splits, processor)
        processes.send_folder(folder.resume)
        fitted = fit(recipe.training, splits, processor, folder.resume, tracker.log_epoch if tracker else None)
        postprocessor, metrics = validated(fitted, processor, splits)
        folds = cross_validated(recipe.training, splits, folder.resume) if recipe.training.folds else {}
        checkpoint = checkpoint_of_fitted(
            folder,
            recipe.training,
            fitted,
            processor,
            splits,
            postprocessor=postprocessor.record(),
            metrics=metrics,
            cross_validated=folds,
            lineage=lineage,
        )
    if tracker and fitted.history and recipe.training.metric:
        with tempfile.TemporaryDirectory() as scratch:
            curve = Path(scratch) / "learning_curve.png"
            tracker.log_files(learning_curve(fitted.history, fitted.best_epoch, recipe.training.metric, curve), "plots")
    if tracker:
        tracker.settle()
    return checkpoint


def assist(recipe: TrainingRecipe, splits: Splits) -> NoReturn:
    """Trains beside the first process, which alone goes on; this one ends."""
    resume = processes.received_folder()
    if resume is not None:
        fit(recipe, splits, recipe.fitted_processor(splits.train.inputs), resume)
    raise SystemExit(0)


def compress(recipe: Recipe, checkpoint: Checkpoint, splits: Splits) -> Compressed:
    """Exports the checkpoint, tries the recipe's passes on it and keeps the chosen model."""
    folder = of_artifact(checkpoint.folder)
    require_same_rows(splits, checkpoint)
    settings = recipe.compression
    log.info("compress  %s", ", ".join(settings.passes) or "no pass is asked for")
    place = folder.candidates if settings.pipeline else folder.plain_candidates
    folder.remember(compression="")  # of what lies there, from here on
    with _timed(folder, "compress"), folder_published_whole(folder.compressed) as draft:
        exported = exported_onnx(recipe.export, checkpoint, splits, draft / f"{PARENT}.onnx")
        parent = predictor_of(recipe.serving, checkpoint, exported)
        task_metrics = task_metrics_of(parent.postprocessor.kind, splits.labels)
        metric, seed, tolerance = recipe.training.metric, recipe.training.seed, recipe.export.tolerance
        builder = CandidateBuilder(
            Evaluator(exported, parent, splits.validation, task_metrics, metric, seed, splits.labels, tolerance),
            PassContext(recipe.training, splits, checkpoint, place, seed),
            settings,
            CandidateStore(place, candidates_key(recipe.config, splits.record.fingerprint)),
            export=lambda one, out: exported_onnx(recipe.export, one, splits, out),
        )
        found = Search(builder).run()
        keep(found, draft)
        write_json(draft / "compression.json", found.record)
        compression_picture(found.record, draft / "compression.png")
    record = found.record
    folder.remember(compression=recipe.config.compression_digest())
    shutil.rmtree(folder.plain_candidates, ignore_errors=True)  # nothing in it took long
    log.info("compress  chosen: %s. %s", record.chosen, record.reason)
    return Compressed(folder.compressed, record)


def export(recipe: Recipe, checkpoint: Checkpoint, compressed: Compressed | None, splits: Splits) -> Bundle:
    """Draws up the bundle, proves it, and only then puts it in its place."""
    require_same_rows(splits, checkpoint)
    folder = of_artifact(checkpoint.folder)
    processor = checkpoint.processor()
    source = compressed.checkpoint(checkpoint) if compressed else checkpoint
    with tempfile.TemporaryDirectory() as scratch, folder_published_whole(folder.bundle) as draft:
        with _timed(folder, "export"):
            fresh = Path(scratch) / "exported.onnx"
            exported = compressed.exported if compressed else exported_onnx(recipe.export, checkpoint, splits, fresh)
            bundle = build_bundle(
                draft,
                model=compressed.model if compressed else exported,
                name=recipe.training.name,
                task=f"{processor.modality}-{checkpoint.postprocessor().kind}",
                precision=compressed.record.chosen if compressed else "fp32",
                processor=processor,
                postprocessor=checkpoint.postprocessor(),
                serving=recipe.serving,
                lineage=checkpoint.record.lineage,
                golden_rows=list(splits.validation.spread(GOLDEN_ROWS).inputs),
            )
        log.info("export    %s bytes", bundle.model_path.stat().st_size)
        compression = compressed.record if compressed else None
        with _timed(folder, "verify"):
            evidence = _proven(recipe, checkpoint, bundle, exported, source, splits, compression)
        attach_evidence(bundle, msgspec.structs.replace(evidence, seconds=folder.state.seconds))
        log.info("verify    %s", "; ".join(f"{one.right} {one.max_difference:.2g}" for one in evidence.parity))
        for fault in evidence.reference_faults:
            log.info("verify    the reference was not asked: %s", fault)
    return Bundle.open(folder.bundle)


def verify(recipe: Recipe, checkpoint: Checkpoint, bundle: Bundle, splits: Splits) -> Evidence:
    """Proves a bundle that lies on disk, and replaces its evidence, which may be gone or broken."""
    require_same_rows(splits, checkpoint)
    _require_made_of(checkpoint, bundle)
    folder = of_artifact(checkpoint.folder)
    is_compressed = bundle.manifest.precision != "fp32"
    compressed = Compressed.open(folder.compressed) if is_compressed else compressed_of(recipe.config, checkpoint)
    if compressed and not compressed.is_in(bundle):
        raise BundleError(
            f"{bundle.folder} holds another model than {folder.compressed} chose since then. Run python -m maas.export "
            f"recipe={recipe.training.name} with the same overrides."
        )
    source = compressed.checkpoint(checkpoint) if compressed else checkpoint
    with _timed(folder, "verify"), tempfile.TemporaryDirectory() as scratch:
        exported = exported_onnx(recipe.export, source, splits, Path(scratch) / "exported.onnx")
        record = compressed.record if compressed else None
        evidence = _proven(recipe, checkpoint, bundle, exported, source, splits, record)
    evidence = msgspec.structs.replace(evidence, seconds=folder.state.seconds)
    attach_evidence(bundle, evidence)
    return evidence


def _require_made_of(checkpoint: Checkpoint, bundle: Bundle) -> None:
    """Requires a bundle to mean what its checkpoint does: measuring looks at numbers, and not at the labels' names.

    Raises:
        BundleError: its manifest was altered since it was made.
    """
    ours, theirs = bundle.predictor, (checkpoint.postprocessor().record(), checkpoint.processor().record())
    if (ours.postprocessor.record(), ours.processor.record()) != theirs:
        raise BundleError(
            f"{bundle.folder} names another postprocessor or processor than {checkpoint.folder}, its source: its "
            f"manifest was altered. Run python -m maas.export recipe={checkpoint.record.name} with the same overrides."
        )
    bundle.check_golden()


def require_registry(recipe: Recipe, folder: RunFolder) -> None:
    """Raises RegistryError where the run could not be registered: before what is registered is made."""
    if recipe.store is not None:
        recipe.store.check(folder.state.tracking_id)


def register(recipe: Recipe, bundle: Bundle, load: Callable[[], Splits]) -> ModelVersion:
    """Logs the evidence and its pictures, uploads the bundle and makes a version.

    Args:
        recipe: whose store and metric are taken.
        bundle: with evidence.
        load: gives the rows that versions are compared on, once they are needed.
    """
    if recipe.store is None:
        raise ConfigError("The recipe has no registry. Set registry=mlflow.")
    folder, metric = of_artifact(bundle.folder), recipe.training.metric
    log.info("register  %s", without_credentials(recipe.store.tracking_uri))
    with _timed(folder, "register"):
        tracker = tracker_in(recipe.store, recipe.config, folder, bundle.manifest.lineage)
        evidence = bundle.evidence
        for who, metrics in evidence.metrics.items():
            tracker.log_values({f"test_{name}_{who}": interval.value for name, interval in metrics.items()})
        with tempfile.TemporaryDirectory() as scratch:
            for picture in pictures_of(bundle, Path(scratch)):
                tracker.log_files(picture, "plots")
        try:
            version = recipe.store.register(bundle, tracker, metric, comparing_on(metric, load))
        except RegistryError as error:
            raise RegistryError(
                f"{error} The bundle is in {bundle.folder}; once the registry takes it, run python -m maas.register "
                f"recipe={recipe.training.name} with the same overrides."
            ) from error
        tracker.finish()
    log.info("register  %s version %s; %s", version.name, version.version, version.note)
    return version


def _proven(
    recipe: Recipe,
    checkpoint: Checkpoint,
    bundle: Bundle,
    exported: Path,
    source: Checkpoint,
    splits: Splits,
    compression: CompressionRecord | None,
) -> Evidence:
    return prove(
        bundle,
        checkpoint,
        exported,
        splits,
        recipe.export,
        source=None if source is checkpoint else source,
        metric=recipe.training.metric,
        baseline=recipe.baseline,
        compression=compression,
    )


@contextmanager
def _timed(folder: RunFolder, stage: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    folder.add_seconds(stage, time.perf_counter() - started)

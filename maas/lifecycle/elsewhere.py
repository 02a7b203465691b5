"""Compressing an imported model: a bundle or a plain ONNX file, with rows that are given besides.

No stage of the line comes before this and none after; search, evaluator, proof and records are the line's own.
"""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from maas.compression.naming import PARENT
from maas.compression.settings import CompressionSettings
from maas.errors import ConfigError
from maas.evidence.machine import this_machine
from maas.evidence.model_plots import compression_picture
from maas.evidence.parity import parity_of, require_parity
from maas.exporting.bundling import attach_evidence, build_bundle
from maas.exporting.proof import prove
from maas.files import folder_published_whole, process_writing, sha256_of, write_json
from maas.lifecycle.recipe import GraphRecipe
from maas.lifecycle.subject import Given, Subject, checkpoint_of, of_bundle, of_file, searched
from maas.records.evidence import CompressionRecord, DataRecord, Interval, Machine, Parity
from maas.runtime.bundle import Bundle
from maas.runtime.predictor import Predictor

log = logging.getLogger("maas")


class FileProof(msgspec.Struct, frozen=True):
    """What was measured of a smaller ONNX file on rows that neither calibrated nor chose.

    Args:
        given_sha256: digest of the file that was given.
        shipped_sha256: digest of the smaller one.
        machine: where.
        data: on which rows.
        metrics: of both files, each by metric; none where rows have no targets.
        parity: how often both answer alike.
    """

    given_sha256: str
    shipped_sha256: str
    machine: Machine
    data: DataRecord
    metrics: dict[str, dict[str, Interval]]
    parity: Parity


def compress_bundle(recipe: GraphRecipe, bundle: Bundle, given: Given, out: Path) -> CompressionRecord:
    """Makes a bundle smaller: a new one with its processor, answer and lineage, proven against it.

    Args:
        recipe: whose passes, budget, tolerances and seed are taken.
        bundle: to be made smaller.
        given: the rows.
        out: the folder to write, which must not be there.

    Raises:
        MaasError: the rows, the passes or the bundle do not fit, or the new one would not answer as this one.
    """
    manifest = bundle.manifest
    settings = _settings(recipe, manifest.name)
    with new_folder(out) as draft, tempfile.TemporaryDirectory() as scratch:
        subject = of_bundle(bundle, given)
        checkpoint = checkpoint_of(subject, Path(scratch))
        found = searched(recipe, settings, subject, Path(scratch))
        chosen = found.record.chosen
        smaller = build_bundle(
            draft,
            model=found.chosen.model(chosen),
            name=manifest.name,
            task=manifest.task,
            precision=_precision(manifest.precision, chosen),
            processor=subject.parent.processor,
            postprocessor=subject.parent.postprocessor,
            serving=manifest.serving,
            lineage=manifest.lineage,
            golden_rows=bundle.golden.inputs,
        )
        evidence = prove(
            smaller,
            checkpoint,
            bundle.model_path,
            subject.rows,
            recipe.export,
            metric=subject.metric,
            compression=found.record,
        )
        attach_evidence(smaller, msgspec.structs.replace(evidence, parent_sha256=bundle.digest))
        compression_picture(found.record, draft / "compression.png")
    for parity in evidence.parity:
        _tell(parity)
    return found.record


def compress_file(recipe: GraphRecipe, path: Path, given: Given, out: Path) -> CompressionRecord:
    """Makes a plain ONNX file smaller; its inputs and outputs stay as they are.

    Args:
        recipe: whose passes, budget, tolerances and seed are taken.
        path: the file.
        given: the rows.
        out: the folder to write, which must not be there.

    Raises:
        MaasError: the rows, the passes or the file do not fit, or the smaller file would not answer as this one.
    """
    settings = _settings(recipe, path.name)
    with new_folder(out) as draft, tempfile.TemporaryDirectory() as scratch:
        subject = of_file(recipe, path, given, Path(scratch) / "given.onnx")
        found = searched(recipe, settings, subject, Path(scratch))
        chosen = found.chosen.model(found.record.chosen)
        proof = _proof(recipe, subject, chosen, found.record)
        shutil.copyfile(chosen, draft / path.name)
        write_json(draft / "compression.json", found.record)
        write_json(draft / "proof.json", proof)
        compression_picture(found.record, draft / "compression.png")
    _tell(proof.parity)
    return found.record


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yields a draft of a folder that must not be there, before the work and after it.

    Raises:
        ConfigError: it is there, another process writes it, or it cannot be written.
    """
    if out.exists():
        raise ConfigError(f"{out} is there already. Name another folder by out=, or remove it.")
    if (process := process_writing(out)) is not None:
        raise ConfigError(f"Process {process} writes {out} now. Wait for it to end, or name another folder by out=.")
    with ExitStack() as stack:
        try:
            draft = stack.enter_context(folder_published_whole(out, is_new=True))
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(f"{out} cannot be written: {reason}. Name another folder by out=.") from error
        yield draft


def _settings(recipe: GraphRecipe, name: str) -> CompressionSettings:
    """Returns the search that is asked for.

    Raises:
        ConfigError: a pass needs what was not given.
    """
    settings = recipe.compression
    settings.require_no_pipeline(name)
    return settings


def _precision(parent: str, chosen: str) -> str:
    if chosen == PARENT:
        return parent
    return chosen if parent == PARENT else f"{parent}-{chosen}"


def _proof(recipe: GraphRecipe, subject: Subject, shipped: Path, record: CompressionRecord) -> FileProof:
    """Evaluates the choice on rows that nothing has looked at.

    Raises:
        ParityError: it does not answer as the given file.
    """
    parent, test, task_metrics = subject.parent, subject.rows.test, subject.task_metrics
    smaller = Predictor(
        shipped, parent.processor, parent.postprocessor, batch_size=parent.batch_size, threads=parent.threads
    )
    answers = {"given": parent.scores(test.inputs), "shipped": smaller.scores(test.inputs)}
    parity = parity_of(task_metrics, "given", "shipped", answers["given"], answers["shipped"])
    if record.chosen != PARENT:
        least = recipe.export.min_agreement
        advice = " Nothing was written. Leave the pass out, or set a lower export.min_agreement."
        require_parity(parity, min_agreement=least, where=advice)
    targets = test.targets
    metrics = {} if targets is None else {name: task_metrics.compute(targets, own) for name, own in answers.items()}
    return FileProof(
        given_sha256=sha256_of(subject.graph),
        shipped_sha256=sha256_of(shipped),
        machine=this_machine(),
        data=subject.rows.record,
        metrics=metrics,
        parity=parity,
    )


def _tell(parity: Parity) -> None:
    share = f"{parity.agreement.value:.2%}"
    log.info("verify    %s and %s: %s of %s rows alike", parity.left, parity.right, share, parity.rows)

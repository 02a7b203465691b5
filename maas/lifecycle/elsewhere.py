"""Compressing what was made elsewhere: a bundle or a plain ONNX file, with rows that are given besides.

No stage of the line comes before this and none after; search, bench, proof and records are the line's own.
"""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import onnx
from onnx.external_data_helper import uses_external_data

from maas.compression.candidates import PARENT
from maas.compression.graph import require_fp32
from maas.compression.measuring import Bench
from maas.compression.passes import Workshop
from maas.compression.search import Found, Search, search, timed_at
from maas.compression.store import Store
from maas.config import RunConfig, build
from maas.data.given import TARGETS, given_arrays, given_rows, parted, table_of
from maas.data.splits import Splits
from maas.errors import BudgetError, ConfigError
from maas.evidence.judges import BaseJudge, judge_of
from maas.evidence.machine import this_machine
from maas.evidence.parity import compared, require
from maas.evidence.plots import compression_picture
from maas.exporting.bundling import attach_evidence, draw_up, write_json
from maas.exporting.proof import prove
from maas.files import folder_published_whole, sha256_of
from maas.importing.graph import one_line
from maas.importing.meaning import Gives, Meaning
from maas.importing.onnx_file import FileRecord, OnnxFile
from maas.importing.plain_graph import KINDS, PlainGraph, Reading, Records, meaning_of_numbers
from maas.lifecycle.assembly import calibration_of
from maas.lifecycle.lineage import lineage_of
from maas.runtime.bundle import Bundle
from maas.runtime.evidence import CompressionRecord, DataRecord, Interval, Machine, Parity
from maas.runtime.manifest import Lineage, ServingSettings
from maas.runtime.predictor import Predictor
from maas.training.checkpoint import Checkpoint, NetRecord, save_checkpoint

log = logging.getLogger("maas")
GIVES: dict[str, Gives] = {"classification": "probabilities", "regression": "value", "embedding": "embedding"}
"""What the numbers of a bundle's graph are, by the kind of its answer."""


@dataclass(frozen=True)
class Given:
    """What comes with a model made elsewhere.

    Args:
        calibration: where the rows lie.
        metric: that the budget's drop is of; None takes the first that there is.
        input: column of inputs, where the rows are a table and a row is one value.
        label: column of what is to be answered, where the rows are a table.
        output: of a plain file, that is judged; None for the only one of floating-point numbers.
        gives: what that output's numbers are; None for what they look like.
    """

    calibration: Path
    metric: str | None = None
    input: str | None = None
    label: str | None = None
    output: str | None = None
    gives: Gives | None = None


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


@dataclass(frozen=True)
class Subject:
    """What a search is made over.

    Args:
        name: of the model, for messages.
        graph: its ONNX file, whole.
        parent: answers with it.
        meaning: of its numbers.
        rows: to calibrate with (`train`), to choose by (`validation`) and to judge the choice (`test`).
        judge: of its answers.
        metric: that the budget's drop is of; None where rows have no targets.
        lineage: where it comes from.
        is_single: whether it takes one row at a time, and no more.
    """

    name: str
    graph: Path
    parent: Predictor
    meaning: Meaning
    rows: Splits
    judge: BaseJudge
    metric: str | None
    lineage: Lineage
    is_single: bool = False


def compress_bundle(config: RunConfig, bundle: Bundle, given: Given, out: Path) -> CompressionRecord:
    """Makes a bundle smaller: a new one with its processor, answer and lineage, proven against it.

    Args:
        config: whose passes, budget, tolerances and seed are taken.
        bundle: to be made smaller.
        given: the rows.
        out: the folder to write, which must not be there.

    Raises:
        MaasError: the rows, the passes or the bundle do not fit, or the new one would not answer as this one.
    """
    settings = _settings(config, bundle.manifest.name, out)
    require_fp32(onnx.load(bundle.model_path), bundle.manifest.name)
    bundle.check_golden()  # what it answers here is what it answered where it was made
    predictor, manifest = bundle.predictor, bundle.manifest
    labels = tuple(manifest.answer.get("labels", ()))
    table = given_rows(given.calibration, predictor.processor, labels, given.input, given.label)
    rows = parted(table, labels, given.calibration)
    judge = judge_of(predictor.answer.kind, rows.labels)
    with folder_published_whole(out) as draft, _scratch() as work:
        subject = Subject(
            name=manifest.name,
            graph=bundle.model_path,
            parent=predictor,
            meaning=Meaning(GIVES[predictor.answer.kind], tuple(range(len(labels)))),
            rows=rows,
            judge=judge,
            metric=_metric(judge, rows, given),
            lineage=manifest.lineage,
        )
        checkpoint = _checkpoint(subject, predictor.answer.output, work)
        found = _searched(config, settings, subject, checkpoint, work)
        smaller = draw_up(
            draft,
            model=found.chosen.model(found.record.chosen),
            name=manifest.name,
            task=manifest.task,
            precision=manifest.precision if found.record.chosen == PARENT else found.record.chosen,
            processor=predictor.processor,
            answer=predictor.answer,
            serving=manifest.serving,
            lineage=manifest.lineage,
            golden_rows=bundle.golden.inputs,
        )
        evidence = prove(
            smaller,
            checkpoint,
            bundle.model_path,
            rows,
            build(config.export, "export"),
            metric=subject.metric,
            compression=found.record,
        )
        attach_evidence(smaller, msgspec.structs.replace(evidence, parent_sha256=bundle.digest))
        compression_picture(found.record, draft / "compression.png")
    for parity in evidence.parity:
        _tell(parity)
    return found.record


def compress_file(config: RunConfig, path: Path, given: Given, out: Path) -> CompressionRecord:
    """Makes a plain ONNX file smaller; its inputs and outputs stay as they are.

    Args:
        config: whose passes, budget, tolerances and seed are taken.
        path: the file.
        given: the rows.
        out: the folder to write, which must not be there.

    Raises:
        MaasError: the rows, the passes or the file do not fit, or the smaller file would not answer as this one.
    """
    settings = _settings(config, path.name, out)
    model = _opened(path)
    graph = PlainGraph.of(model, path.name, given.output)
    arrays = given_arrays(given.calibration)
    targets = None if TARGETS in graph.inputs else arrays.pop(TARGETS, None)
    records = graph.records(arrays, given.calibration)
    with folder_published_whole(out) as draft, _scratch() as work:
        whole = _whole(path, model, work / "given.onnx")
        subject = _subject_of_file(config, graph, whole, records, targets, given)
        found = _searched(config, settings, subject, _checkpoint(subject, graph.result, work), work)
        chosen = found.chosen.model(found.record.chosen)
        proof = _proof(config, subject, chosen, found.record)
        shutil.copyfile(chosen, draft / path.name)
        write_json(draft / "compression.json", found.record)
        write_json(draft / "proof.json", proof)
        compression_picture(found.record, draft / "compression.png")
    _tell(proof.parity)
    return found.record


def _settings(config: RunConfig, name: str, out: Path) -> Search:
    """Returns the search that is asked for, once nothing is in its way.

    Raises:
        ConfigError: `out` is there already, or a pass needs what was not given.
    """
    if out.exists():
        raise ConfigError(f"{out} is there already. Name another folder by out=, or remove it.")
    settings: Search = build(config.compress, "compress")
    if settings.chain:
        passes = list(settings.chain)
        raise ConfigError(
            f"{', '.join(passes)} needs a trained checkpoint, and {name} comes without one. Leave it out, e.g. "
            f"~compress.passes.{passes[0]}, or name the recipe: python -m maas.compress recipe=NAME."
        )
    return settings


def _subject_of_file(
    config: RunConfig, graph: PlainGraph, whole: Path, records: Any, targets: Any, given: Given
) -> Subject:
    """Finds out what a file's numbers mean and splits the rows."""
    serving = ServingSettings(batch_size=graph.batch or ServingSettings().batch_size)
    processor = Records(records.dtype)
    meaning = meaning_of_numbers(graph.answered(whole, processor, records), targets, given.gives)
    log.info("compress  %s is read as %s", graph.result, meaning.gives)
    labels = tuple(map(str, meaning.order))
    rows = parted(
        table_of([one.tobytes() for one in records], targets, labels, given.calibration), labels, given.calibration
    )
    judge = judge_of(KINDS[meaning.gives], rows.labels)
    return Subject(
        name=graph.name,
        graph=whole,
        parent=Predictor(
            whole, processor, Reading(graph.result, meaning), batch_size=serving.batch_size, threads=serving.threads
        ),
        meaning=meaning,
        rows=rows,
        judge=judge,
        metric=_metric(judge, rows, given),
        lineage=lineage_of(config, rows.record.fingerprint),
        is_single=graph.batch == 1,
    )


def _metric(judge: BaseJudge, rows: Splits, given: Given) -> str | None:
    """Returns what the budget's drop is of.

    Raises:
        ConfigError: the metric that is asked for is not of such answers, or nothing tells it.
    """
    known = list(judge.points)
    if given.metric is not None and given.metric not in known:
        raise ConfigError(f"metric is {given.metric}; of such answers there are {', '.join(known) or 'none'}.")
    if rows.target == "none":
        if given.metric is not None:
            raise ConfigError(
                f"metric is {given.metric}, and {given.calibration} tells no targets. Give them, or leave it out."
            )
        return None
    return given.metric or known[0]


def _checkpoint(subject: Subject, result: str, work: Path) -> Checkpoint:
    """Wraps a graph as what the line's search and proof take: a model made elsewhere that answers by itself."""
    connected = {one.name: one.name for one in subject.parent.session.get_inputs()}
    model = OnnxFile(str(subject.graph), record=FileRecord(subject.meaning, connected, result, None))
    return save_checkpoint(
        work / "checkpoint",
        model,
        subject.parent.processor,
        net_record=NetRecord(f"{OnnxFile.__module__}.{OnnxFile.__qualname__}", {"path": str(subject.graph)}),
        name=subject.name,
        task=subject.judge.kind,
        plan=None,
        labels=subject.rows.labels,
        answer=subject.parent.answer.record(),
        history=(),
        best_epoch=0,
        metrics={},
        data=subject.rows.record,
        lineage=subject.lineage,
    )


def _searched(config: RunConfig, settings: Search, subject: Subject, checkpoint: Checkpoint, work: Path) -> Found:
    rows, parent = subject.rows, subject.parent
    log.info(
        "compress  %s; %s rows to calibrate with, %s to choose by, %s to judge the choice, %s",
        ", ".join(settings.passes) or "no pass is asked for", len(rows.train), len(rows.validation), len(rows.test),
        f"by {subject.metric}" if subject.metric else "by agreement alone: they have no targets",
    )  # fmt: skip
    calibration = calibration_of(config, parent, rows)
    bench = Bench(
        parent, rows.validation, subject.judge, subject.metric, calibration, rows.labels, is_single=subject.is_single
    )
    if subject.is_single and timed_at(settings, bench).batch_size > 1:
        raise BudgetError(f"{subject.name} takes one row at a time; set compress.budget.batch_size=1, or leave it out.")

    def export(_: Checkpoint, out: Path) -> Path:
        return Path(shutil.copyfile(subject.graph, out))

    workshop = Workshop(config, rows, checkpoint, work, config.seed)
    return search(settings, workshop, bench, export, Store(work / "candidates", rows.record.fingerprint))


def _proof(config: RunConfig, subject: Subject, shipped: Path, record: CompressionRecord) -> FileProof:
    """Judges the choice on rows that nothing has looked at.

    Raises:
        ParityError: it does not answer as the given file.
    """
    parent, test, judge = subject.parent, subject.rows.test, subject.judge
    smaller = Predictor(shipped, parent.processor, parent.answer, batch_size=parent.batch_size, threads=parent.threads)
    answers = {"given": parent.predictions(test.inputs), "shipped": smaller.predictions(test.inputs)}
    parity = compared(judge, "given", "shipped", answers["given"], answers["shipped"])
    if record.chosen != PARENT:
        least = build(config.export, "export").min_agreement
        advice = " Nothing was written. Leave the pass out, or set a lower export.min_agreement."
        require(parity, min_agreement=least, where=advice)
    targets = test.targets
    metrics = {} if targets is None else {name: judge.metrics(targets, own) for name, own in answers.items()}
    return FileProof(
        given_sha256=sha256_of(subject.graph),
        shipped_sha256=sha256_of(shipped),
        machine=this_machine(),
        data=subject.rows.record,
        metrics=metrics,
        parity=parity,
    )


def _opened(path: Path) -> onnx.ModelProto:
    """Reads a file, the weights that lie beside it included.

    Raises:
        ConfigError: it is missing, no ONNX file, or quantised already.
    """
    if not path.is_file():
        raise ConfigError(f"There is no file {path}. Name an ONNX file, a bundle's folder or models:/NAME@ALIAS.")
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's, the checker's, or that of a file of weights that is gone
        raise ConfigError(f"{path} cannot be read as ONNX: {one_line(error)}") from error
    require_fp32(model, path.name)
    return model


def _whole(path: Path, model: onnx.ModelProto, out: Path) -> Path:
    """Writes one file that holds all weights: a copy, where the given one does."""
    if any(uses_external_data(one) for one in onnx.load(path, load_external_data=False).graph.initializer):
        onnx.save(model, out)
        return out
    return Path(shutil.copyfile(path, out))


def _tell(parity: Parity) -> None:
    log.info(
        "verify    %s and %s: %s of %s rows alike",
        parity.left,
        parity.right,
        f"{parity.agreement.value:.2%}",
        parity.rows,
    )


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)

"""What a search over an imported model needs to know: its graph, its rows, what its numbers mean."""

import logging
from dataclasses import dataclass
from pathlib import Path

import onnx

from maas.compression.candidates import CandidateBuilder
from maas.compression.evaluator import Evaluator
from maas.compression.passes import PassContext
from maas.compression.search import Search, SearchResult
from maas.compression.settings import CompressionSettings
from maas.compression.store import CandidateStore
from maas.data.given import TARGETS, given_arrays, given_rows, given_table, parted
from maas.data.splits import Splits
from maas.errors import BudgetError, ConfigError, one_line
from maas.evidence.task_metrics import TaskMetrics, task_metrics_of
from maas.importing.meaning import Gives, Meaning
from maas.importing.onnx_file import FileRecord, OnnxFile
from maas.importing.plain_graph import TASK_OF_NUMBERS, PlainGraph, meaning_of_numbers
from maas.importing.records import Reading, Records
from maas.lifecycle.lineage import graph_lineage
from maas.lifecycle.recipe import GraphRecipe
from maas.onnx_graphs.files import read_graph, write_whole
from maas.onnx_graphs.quantizing import require_fp32
from maas.onnx_graphs.reading import ONNX_ERRORS
from maas.records.manifest import Lineage, ServingSettings
from maas.runtime.bundle import Bundle
from maas.runtime.predictor import Predictor
from maas.training.checkpoint import Checkpoint, NetRecord, save_checkpoint

log = logging.getLogger("maas")
GIVES: dict[str, Gives] = {"classification": "probabilities", "regression": "value", "embedding": "embedding"}
"""What the numbers of a bundle's graph are, by the kind of its answer."""


@dataclass(frozen=True)
class Given:
    """What comes with an imported model.

    Args:
        calibration: where the rows lie.
        metric: that the budget's drop is of; None takes the first that there is.
        input: column of inputs, where the rows are a table and a row is one value.
        label: column of what is to be answered, where the rows are a table.
        output: of a plain file, that is evaluated; None for the only one of floating-point numbers.
        gives: what that output's numbers are; None for what they look like.
    """

    calibration: Path
    metric: str | None = None
    input: str | None = None
    label: str | None = None
    output: str | None = None
    gives: Gives | None = None


@dataclass(frozen=True)
class Subject:
    """What a search is made over.

    Args:
        name: of the model, for messages.
        graph: its ONNX file, whole.
        parent: answers with it.
        result: the output that is evaluated.
        meaning: of its numbers.
        rows: to calibrate with (`train`), to choose by (`validation`) and to evaluate the choice (`test`).
        task_metrics: of its answers.
        metric: that the budget's drop is of; None where rows have no targets.
        lineage: where it comes from.
        is_single: whether it takes one row at a time, and no more.
    """

    name: str
    graph: Path
    parent: Predictor
    result: str
    meaning: Meaning
    rows: Splits
    task_metrics: TaskMetrics
    metric: str | None
    lineage: Lineage
    is_single: bool = False


def of_bundle(bundle: Bundle, given: Given) -> Subject:
    """Looks at a bundle and the rows for it.

    Raises:
        MaasError: it is quantised already, does not answer here as where it was made, or the rows do not fit.
    """
    manifest, predictor = bundle.manifest, bundle.predictor
    require_fp32(onnx.load(bundle.model_path), manifest.name)
    bundle.check_golden()
    labels = tuple(manifest.postprocessor.get("labels", ()))
    table = given_rows(given.calibration, predictor.processor, labels, given.input, given.label)
    rows = parted(table, labels, given.calibration)
    task_metrics = task_metrics_of(predictor.postprocessor.kind, rows.labels)
    return Subject(
        name=manifest.name,
        graph=bundle.model_path,
        parent=predictor,
        result=predictor.postprocessor.output,
        meaning=Meaning(GIVES[predictor.postprocessor.kind], tuple(range(len(labels)))),
        rows=rows,
        task_metrics=task_metrics,
        metric=_metric(task_metrics, rows, given),
        lineage=manifest.lineage,
    )


def of_file(recipe: GraphRecipe, path: Path, given: Given, whole: Path) -> Subject:
    """Looks at an ONNX file and the rows for it.

    Args:
        recipe: for the lineage.
        path: the file.
        given: the rows.
        whole: where it is written with all its weights inside.

    Raises:
        MaasError: it is no ONNX file, quantised already, or the rows do not fit.
    """
    model = _opened(path)
    graph = PlainGraph.of(model, path.name, given.output)
    arrays = given_arrays(given.calibration)
    targets = None if TARGETS in graph.inputs else arrays.pop(TARGETS, None)
    records = graph.records(arrays, given.calibration)
    write_whole(path, model, whole)
    processor = Records(records.dtype)
    meaning = meaning_of_numbers(graph.answered(whole, processor, records), targets, given.gives)
    log.info("compress  %s is read as %s", graph.result, meaning.gives)
    graph.require_convertible(model, processor, records)
    labels = tuple(map(str, meaning.order))
    table = given_table([one.tobytes() for one in records], targets, labels, given.calibration)
    rows = parted(table, labels, given.calibration)
    task_metrics = task_metrics_of(TASK_OF_NUMBERS[meaning.gives], rows.labels)
    batch_size = graph.batch or ServingSettings().batch_size
    return Subject(
        name=graph.name,
        graph=whole,
        parent=Predictor(whole, processor, Reading(graph.result, meaning), batch_size=batch_size),
        result=graph.result,
        meaning=meaning,
        rows=rows,
        task_metrics=task_metrics,
        metric=_metric(task_metrics, rows, given),
        lineage=graph_lineage(recipe, rows.record.fingerprint),
        is_single=graph.batch == 1,
    )


def checkpoint_of(subject: Subject, work: Path) -> Checkpoint:
    """Wraps a graph as what search and proof take: an imported model that answers by itself."""
    connected = {one.name: one.name for one in subject.parent.session.get_inputs()}
    model = OnnxFile(str(subject.graph), record=FileRecord(subject.meaning, connected, subject.result, None))
    return save_checkpoint(
        work / "checkpoint",
        model,
        subject.parent.processor,
        net_record=NetRecord(f"{OnnxFile.__module__}.{OnnxFile.__qualname__}", {"path": str(subject.graph)}),
        name=subject.name,
        task=subject.task_metrics.kind,
        plan=None,
        labels=subject.rows.labels,
        postprocessor=subject.parent.postprocessor.record(),
        history=(),
        best_epoch=0,
        metrics={},
        data=subject.rows.record,
        lineage=subject.lineage,
    )


def searched(recipe: GraphRecipe, settings: CompressionSettings, subject: Subject, work: Path) -> SearchResult:
    """Searches as for a checkpoint of our own, over passes on the ONNX side.

    Raises:
        BudgetError: batches are to be timed that the graph does not take.
    """
    rows, parent = subject.rows, subject.parent
    log.info(
        "compress  %s; %s rows to calibrate with, %s to choose by, %s to evaluate the choice, %s",
        ", ".join(settings.passes) or "no pass is asked for", len(rows.train), len(rows.validation), len(rows.test),
        f"by {subject.metric}" if subject.metric else "by agreement alone: they have no targets",
    )  # fmt: skip
    evaluator = Evaluator(
        subject.graph,
        parent,
        rows.validation,
        subject.task_metrics,
        subject.metric,
        recipe.seed,
        rows.labels,
        is_single=subject.is_single,
    )
    if subject.is_single and evaluator.target(settings.budget).batch_size > 1:
        raise BudgetError(f"{subject.name} takes one row at a time; set compress.budget.batch_size=1, or leave it out.")
    context = PassContext(None, rows, None, work, recipe.seed)
    store = CandidateStore(work / "candidates", rows.record.fingerprint)
    return Search(CandidateBuilder(evaluator, context, settings, store)).run()


def _metric(task_metrics: TaskMetrics, rows: Splits, given: Given) -> str | None:
    """Returns what the budget's drop is of.

    Raises:
        ConfigError: the metric that is asked for is not of such answers, or nothing tells it.
    """
    known = list(task_metrics.drop_scale)
    if given.metric is not None and given.metric not in known:
        raise ConfigError(f"metric is {given.metric}; of such answers there are {', '.join(known) or 'none'}.")
    if rows.target == "none":
        if given.metric is not None:
            raise ConfigError(
                f"metric is {given.metric}, and {given.calibration} tells no targets. Give them, or leave it out."
            )
        return None
    if not known:
        raise ConfigError("Vectors have no targets to be evaluated with. Leave label= or the array targets out.")
    return given.metric or known[0]


def _opened(path: Path) -> onnx.ModelProto:
    """Reads a file, the weights that lie beside it included.

    Raises:
        ConfigError: it is missing, no ONNX file, or quantised already.
    """
    if not path.is_file():
        raise ConfigError(f"There is no file {path}. Name an ONNX file, a bundle's folder or models:/NAME@ALIAS.")
    model = read_graph(path)
    try:
        onnx.checker.check_model(model)
    except ONNX_ERRORS as error:
        raise ConfigError(f"{path} cannot be read as ONNX: {one_line(error)}.") from error
    require_fp32(model, path.name)
    return model

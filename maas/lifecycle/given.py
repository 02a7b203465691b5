"""Sources that come without a recipe: a bundle or an ONNX file, and rows for it."""

import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import onnx

from maas.data.given import TARGETS, given_arrays, given_rows, given_table, parted
from maas.data.splits import Splits
from maas.errors import ConfigError, ExportError, one_line
from maas.evidence.task_metrics import TaskMetrics, task_metrics_of
from maas.evidence.task_metrics.base import Scores
from maas.exporting.edges import Thresholds
from maas.exporting.file_proof import prove_file
from maas.exporting.source import Source
from maas.files import folder_published_whole, process_writing, write_json
from maas.importing.base import LARGEST_FLOAT32
from maas.importing.meaning import Gives
from maas.importing.plain_graph import TASK_OF_NUMBERS, PlainGraph, meaning_of_numbers
from maas.importing.records import Reading, Records
from maas.lifecycle.compressed import Compressed
from maas.lifecycle.lineage import graph_lineage
from maas.lifecycle.recipe import GraphRecipe
from maas.lifecycle.stages import compress_source, export_source
from maas.onnx_graphs.files import read_graph, write_whole
from maas.onnx_graphs.quantizing import require_fp32
from maas.onnx_graphs.reading import ONNX_ERRORS
from maas.records.evidence import CompressionRecord
from maas.records.manifest import ServingSettings
from maas.run_folders.folder import RunFolder
from maas.runtime.bundle import Bundle
from maas.runtime.codec import ModelInputs
from maas.runtime.graph import ORT_ERRORS
from maas.runtime.model import Predictor
from maas.scoring.names import metric_fault
from maas.training.checkpoint import Checkpoint

log = logging.getLogger("maas")


@dataclass(frozen=True)
class Given:
    """What comes with a model that has no recipe.

    Args:
        calibration: where the rows lie.
        metric: metric that the budget's drop is of; None takes the first that there is.
        input: column of inputs, where the rows are a table and a row is one value.
        label: column of targets, where the rows are a table.
        output: output of a plain file that is evaluated; None for the only one of floating-point numbers.
        gives: what that output's numbers are; None for what they look like.
    """

    calibration: Path
    metric: str | None = None
    input: str | None = None
    label: str | None = None
    output: str | None = None
    gives: Gives | None = None


@dataclass(frozen=True)
class GivenGraph:
    """A graph as it was given: what is made of it is proven against itself.

    Args:
        path: ONNX file with all weights inside.
        predictor: a predictor over it.
        origin: name of the file or of the bundle.
    """

    path: Path
    predictor: Predictor
    origin: str
    framework: ClassVar[str] = "ONNX file"
    has_tails: ClassVar[bool] = False
    largest: ClassVar[float] = LARGEST_FLOAT32

    def thresholds(self, model_inputs: ModelInputs) -> Thresholds | None:
        """Returns no numbers: where a graph's scores jump is not known."""
        return {}

    def scores(self, rows: Sequence[object], batch_size: int) -> Scores:
        """Returns the scores of raw rows by the graph as it was given, (N, K)."""
        try:
            return self.predictor.scores(rows)
        except ORT_ERRORS as error:
            raise ConfigError(f"{self.origin} does not take what the processor gives: {one_line(error)}.") from error

    def reopened(self) -> Self:
        """Returns itself: a graph draws nothing when it is opened."""
        return self

    def succeeded_by(self, checkpoint: Checkpoint) -> Self:
        """Raises ExportError: no pass over checkpoints is applied to a graph."""
        raise ExportError(f"{self.origin} is a graph alone; {checkpoint.folder} was not made of it.")

    def write_graph(self, out: Path) -> Path:
        """Copies the file."""
        return Path(shutil.copyfile(self.path, out))


def compress_given(recipe: GraphRecipe, model: Bundle | Path, given: Given, out: Path) -> CompressionRecord:
    """Makes a model smaller that has no recipe, by the stages of the line.

    Args:
        recipe: passes, budget, tolerances and seed.
        model: a bundle, of which a bundle is made, or an ONNX file, of which an ONNX file is made.
        given: the rows.
        out: folder to write, which must not be there.

    Raises:
        MaasError: rows, passes or model do not fit, or what ships would not predict as the model does.
    """
    recipe.compression.require_no_pipeline(model.name if isinstance(model, Path) else model.manifest.name)
    with new_folder(out) as draft, tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch))
        source = _source_of(recipe, model, given, folder)
        compressed = compress_source(
            source,
            folder,
            recipe.compression,
            tolerance=recipe.export.tolerance,
            seed=recipe.seed,
            key=f"{recipe.digest} {source.rows.record.fingerprint}",
        )
        if isinstance(model, Path):
            _ship_file(source, recipe, compressed, draft)
        else:
            export_source(source, folder, draft, recipe.export, compressed)
        shutil.copyfile(compressed.folder / "compression.png", draft / "compression.png")
    return compressed.record


def _source_of(recipe: GraphRecipe, model: Bundle | Path, given: Given, folder: RunFolder) -> Source:
    """Returns the source that a bundle or a file is, and logs how many rows do what."""
    if isinstance(model, Path):
        source = source_of_file(recipe, model, given, folder.path / "given.onnx")
    else:
        source = source_of_bundle(model, given)
    log.info(
        "compress  %s rows to calibrate with, %s to choose by, %s to prove the choice with, %s",
        *map(len, (source.rows.train, source.rows.validation, source.rows.test)),
        f"by {source.metric}" if source.metric else "by agreement alone: they have no targets",
    )
    return source


def _ship_file(source: Source, recipe: GraphRecipe, compressed: Compressed, draft: Path) -> None:
    """Writes the chosen file, how it was found and its proof."""
    proof = prove_file(source, compressed.exported, compressed.model, min_agreement=recipe.export.min_agreement)
    shutil.copyfile(compressed.model, draft / source.name)
    shutil.copyfile(compressed.folder / "compression.json", draft / "compression.json")
    write_json(draft / "proof.json", proof)
    agreement = f"{proof.parity.agreement.value:.2%}"
    log.info("verify    given and shipped: %s of %s rows alike", agreement, proof.parity.rows)


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


def source_of_bundle(bundle: Bundle, given: Given) -> Source:
    """Returns the source that a bundle is.

    Raises:
        MaasError: it is quantised already, does not answer here as where it was made, or the rows do not fit.
    """
    manifest, predictor = bundle.manifest, bundle.predictor
    require_fp32(onnx.load(bundle.model_path), manifest.name)
    bundle.check_golden()
    labels = tuple(manifest.postprocessor.get("labels", ()))
    characters = tuple(manifest.postprocessor.get("characters", ()))
    table = given_rows(given.calibration, predictor.processor, labels, given.input, given.label)
    rows = parted(table, labels, given.calibration, are_texts=bool(characters))
    postprocessor = predictor.postprocessor
    task_metrics = task_metrics_of(
        postprocessor.kind, characters or rows.labels, given.metric, postprocessor.thresholds
    )
    return Source(
        name=manifest.name,
        task=manifest.task,
        model=GivenGraph(bundle.model_path, predictor, manifest.name),
        processor=bundle.load_processor(),
        postprocessor=postprocessor,
        task_metrics=task_metrics,
        rows=rows,
        metric=_metric(task_metrics, rows, given),
        lineage=manifest.lineage,
        serving=manifest.serving,
        golden_rows=bundle.golden.inputs,
        precision=manifest.precision,
        parent_sha256=bundle.digest,
    )


def source_of_file(recipe: GraphRecipe, path: Path, given: Given, whole: Path) -> Source:
    """Returns the source that an ONNX file is; its rows are arrays by the names of its inputs.

    Args:
        recipe: recorded as the lineage.
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
    kind = TASK_OF_NUMBERS[meaning.gives]
    task_metrics = task_metrics_of(kind, rows.labels, given.metric)
    serving, reading = ServingSettings(graph.batch or ServingSettings().batch_size), Reading(graph.result, meaning)
    return Source(
        name=graph.name,
        task=f"{processor.modality}-{kind}",
        model=GivenGraph(whole, Predictor(whole, processor, reading, batch_size=serving.batch_size), graph.name),
        processor=processor,
        postprocessor=reading,
        task_metrics=task_metrics,
        rows=rows,
        metric=_metric(task_metrics, rows, given),
        lineage=graph_lineage(recipe, rows.record.fingerprint),
        serving=serving,
        golden_rows=(),
        is_single=graph.batch == 1,
    )


def _metric(task_metrics: TaskMetrics, rows: Splits, given: Given) -> str | None:
    """Returns what the budget's drop is of.

    Raises:
        ConfigError: such predictions have no metric of this name, or rows have no targets for it.
    """
    known = tuple(task_metrics.drop_scale)
    if given.metric is not None and not known:
        raise ConfigError(f"metric is {given.metric!r}; such predictions have none. Leave it out.")
    if given.metric is not None and (fault := metric_fault(given.metric, known)):
        raise ConfigError(fault)
    if rows.target == "none":
        if given.metric is not None:
            raise ConfigError(
                f"metric is {given.metric}, and {given.calibration} holds no targets. Give them, or leave it out."
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

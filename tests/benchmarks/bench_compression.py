"""What maas makes of a model against Olive's search and NNCF's quantisation of the same ONNX file, on the same rows.

    python -m tests.benchmarks.bench_compression RUN [MINUTES] [recipe=FILE.yaml]

RUN is the folder of a run that was compressed, e.g. runs/fashion_resnet/latest; FILE.yaml its recipe, where it is none
of those that are shipped. Each tool works in an environment of its own, which is made once below `MAAS_CACHE`, for as
long as maas' search took or for MINUTES. All models are then timed in turns in one process, on one thread, and answer
the test rows, which no search has seen.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import maas
from maas.compression.candidates import PARENT, gzip_bytes
from maas.config import RunConfig
from maas.data.splits import Split
from maas.errors import ConfigError, MaasError
from maas.evidence.benchmark import interleaved, latency
from maas.evidence.machine import this_machine
from maas.evidence.task_metrics import task_metrics_of
from maas.evidence.task_metrics.base import Scores
from maas.exporting.source import Source
from maas.files import cache_folder
from maas.lifecycle.compressed import Compressed
from maas.lifecycle.recipe import BuiltRecipe, load_rows
from maas.records.evidence import CandidateRecord, CompressionRecord, Interval, Latency
from maas.run_folders.folder import RunFolder
from maas.runtime.bundle import Bundle
from maas.runtime.model import Predictor, batches_of
from maas.training.checkpoint import Checkpoint
from tests.benchmarks.other_tools.given import Given, Made, ModelInputs, Terms, described, read_made

OURS, THREADS, ROUNDS = "maas", 1, 20
TIMED = {1: 16, 32: 4}
"""Batches of each size that are timed in a turn."""
CALIBRATION_ROWS, AMONG = 300, 2048
"""Training rows that tools learn from, and test rows among which full batches are sought."""
GRACE_S = 300
"""A tool that takes so much longer than it may is ended; what it gave back by then counts."""
ENVIRONMENT = {"PYTHONPATH": "", "CI": "true"}
"""Tools see nothing of maas, and do not report to their makers, as they would outside CI."""
SCRIPTS = Path(__file__).with_name("other_tools")


class Tool(NamedTuple):
    """Who makes models beside maas.

    Args:
        name: as tables show it.
        script: in `other_tools/`.
        packages: pinned; the environment is made anew when one of them changes.
    """

    name: str
    script: str
    packages: tuple[str, ...]


TOOLS = (
    Tool(
        "Olive",
        "olive_search.py",
        (
            "olive-ai==0.13.0",
            "torch==2.13.0",
            "transformers==5.23.0",
            "requests==2.34.2",
            "onnx==1.23.2",
            "onnxruntime==1.31.1",
        ),
    ),
    Tool("NNCF", "nncf_quantize.py", ("nncf==3.4.0", "onnx==1.23.2", "onnxruntime==1.31.1")),
)


@dataclass(frozen=True)
class Contest:
    """A compressed run, opened."""

    folder: RunFolder
    config: RunConfig
    source: Source
    checkpoint: Checkpoint
    bundle: Bundle
    record: CompressionRecord

    @classmethod
    def open(cls, path: str, recipe: str | None = None) -> "Contest":
        """Opens a run.

        Args:
            path: its folder.
            recipe: by name or as a file; None takes the name that the checkpoint has.

        Raises:
            MaasError: it was not compressed, or its rows are gone.
        """
        folder = RunFolder(Path(path).resolve())
        if not folder.compressed.is_dir():
            raise ConfigError(f"{path} holds no compressed model. Run python -m maas.run recipe=NAME first.")
        checkpoint, bundle = Checkpoint.open(folder.checkpoint), Bundle.open(folder.bundle)
        lineage = checkpoint.record.lineage
        config = maas.compose(recipe or lineage.recipe, *lineage.overrides)
        source = BuiltRecipe.of(config).source(checkpoint, load_rows(config))
        return cls(folder, config, source, checkpoint, bundle, Compressed.open(folder.compressed).record)

    @property
    def chosen(self) -> CandidateRecord:
        """What maas ships."""
        return self.record.candidate(self.record.chosen)

    @cached_property
    def seconds(self) -> float:
        """What maas' search took: as the run timed it, or all that it made, where it was interrupted in between."""
        applied_passes = {
            applied.sha256: applied.seconds for one in self.record.candidates for applied in one.applied_passes
        }
        made = sum(one.seconds for one in self.record.candidates) + sum(applied_passes.values())
        return max(made, self.folder.state.seconds.get("compress", 0.0))

    def predictor(self, made: Made) -> Predictor:
        """Returns what answers by a model: maas' with what its bundle brings, others as the checkpoint does."""
        if made.name == OURS:
            return self.bundle.make_predictor(threads=THREADS)
        return Predictor(
            Path(made.model), self.checkpoint.processor(), self.checkpoint.postprocessor(), threads=THREADS
        )

    def give(self, given: Given, seconds: float) -> None:
        """Writes what tools need: the model as exported, training rows for calibration, validation rows."""
        self.source.model.write_graph(given.model)
        predictor, rows = self.predictor(root_of(given)), self.source.rows.validation
        features = predictor.preprocess(rows.inputs)
        batches = list(predictor.batches(features))
        model_inputs = [predictor.processor.batch([features[index] for index in batch]) for batch in batches]
        picked = np.random.default_rng(self.config.seed).permutation(len(self.source.rows.train))[:CALIBRATION_ROWS]
        learnt = predictor.preprocess(self.source.rows.train.picked(picked).inputs)
        max_drop = float(self.record.budget.get("max_drop") or 1.0)
        size = int(self.record.budget.get("batch_size") or self.bundle.manifest.serving.batch_size)
        terms = Terms(predictor.postprocessor.output, len(self.source.rows.labels), max_drop, seconds)
        timed = model_inputs_of(predictor, full_batches(predictor, rows, size, 1), size)[0]
        given.write(
            terms,
            calibration=[predictor.processor.batch([row]) for row in learnt],
            padded=predictor.processor.batch(learnt),
            validation=model_inputs,
            targets=[rows.targets[batch] for batch in batches],
            timed=timed,
        )


class Row(NamedTuple):
    """A model, measured.

    Args:
        accuracy: on the test rows.
        behind: percentage points by which it lies below maas on the same rows, with a paired interval.
        latencies: for each of `TIMED`, against fp32 and against maas.
    """

    bytes: int
    gzip_bytes: int
    accuracy: Interval
    behind: Interval
    latencies: list[tuple[Latency, Latency]]


def main(path: str, minutes: str | None = None, recipe: str | None = None) -> None:
    """Lets the tools work, measures all models and prints a table."""
    try:
        contest = Contest.open(path, recipe)
    except MaasError as error:
        sys.exit(str(error))
    if not contest.source.rows.labels:
        sys.exit(f"{path} answers no labels; other tools are compared on classifiers alone.")
    seconds = 60 * float(minutes) if minutes else contest.seconds
    scratch = cache_folder("benchmarks", "compression", f"{contest.config.name}-{contest.bundle.digest[:12]}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    given = Given(scratch)
    contest.give(given, seconds)
    made = [root_of(given), ours(contest)]
    for tool in TOOLS:
        made += worked(tool, given, scratch / tool.name)
    show(contest, seconds, made, measured(contest, made))


def root_of(given: Given) -> Made:
    """Returns the model that all begin with."""
    return Made(PARENT, "as exported", 0.0, str(given.model))


def ours(contest: Contest) -> Made:
    """Returns what maas ships."""
    pipeline = [f"{applied.name}({described(applied.settings)})" for applied in contest.chosen.applied_passes]
    last = f"{contest.chosen.name}({described(contest.chosen.settings)})"
    return Made(OURS, "; ".join([*pipeline, last]), contest.seconds, str(contest.bundle.model_path))


def worked(tool: Tool, given: Given, out: Path) -> list[Made]:
    """Lets a tool work; returns what it made, or that it made nothing and why."""
    out.mkdir()
    log = out / "log.txt"
    try:
        with log.open("w") as file:
            command = [str(interpreter_of(tool)), str(SCRIPTS / tool.script), str(given.folder), str(out)]
            environment = {**os.environ, **ENVIRONMENT}
            limit = given.terms.seconds + GRACE_S
            subprocess.run(command, stdout=file, stderr=file, env=environment, check=True, timeout=limit)
        fault = ""
    except subprocess.TimeoutExpired as error:
        fault = f"ended after {error.timeout:.0f} s"
    except subprocess.CalledProcessError as error:
        last = error.stderr or log.read_text().strip() or str(error)
        fault = last.splitlines()[-1]
    shutil.rmtree(out / "cache", ignore_errors=True)
    found = read_made(out) + ([Made("run", f"see {log}", 0.0, fault=fault)] if fault else [])
    return [Made(f"{tool.name}, {one.name}", one.settings, one.seconds, one.model, one.fault) for one in found]


def interpreter_of(tool: Tool) -> Path:
    """Returns the Python of a tool's environment, which is made if it is not there.

    Raises:
        CalledProcessError: pip cannot make it; its error output says why.
    """
    folder = cache_folder("benchmarks", tool.name)
    python, ready, wanted = folder / "bin" / "python", folder / "packages.txt", "\n".join(tool.packages)
    if not (ready.is_file() and ready.read_text() == wanted):
        print(f"Making the environment of {tool.name} in {folder}; this takes minutes, once.", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *tool.packages]
        subprocess.run(command, check=True, capture_output=True, text=True)
        ready.write_text(wanted)
    return python


def measured(contest: Contest, made: Sequence[Made]) -> dict[str, Row | str]:
    """Returns each model's row, or why there is none."""
    faults = {one.name: one.fault for one in made if one.fault}
    predictors, answers, test = dict[str, Predictor](), dict[str, Scores](), contest.source.rows.test
    for one in made:
        if one.name not in faults:
            try:
                predictor = contest.predictor(one)
                answers[one.name] = predictor.scores(test.inputs)
                predictors[one.name] = predictor
            except Exception as error:  # noqa: BLE001 - onnxruntime raises whatever a tool's graph makes it meet
                faults[one.name] = str(error).splitlines()[0]
    task_metrics, metric = (
        task_metrics_of(predictors[OURS].postprocessor.kind, contest.source.rows.labels),
        contest.config.metric,
    )
    times = {size: raced(predictors, test, size, count) for size, count in TIMED.items()}

    def row(name: str, model: Path) -> Row:
        return Row(
            bytes=model.stat().st_size,
            gzip_bytes=gzip_bytes(model),
            accuracy=task_metrics.compute(test.targets, answers[name])[metric],
            behind=task_metrics.drop(test.targets, answers[OURS], answers[name], metric),
            latencies=[
                (latency(found[name], found[PARENT], size, THREADS), latency(found[name], found[OURS], size, THREADS))
                for size, found in times.items()
            ],
        )

    return faults | {one.name: row(one.name, Path(one.model)) for one in made if one.name in predictors}


def raced(predictors: Mapping[str, Predictor], rows: Split, size: int, count: int) -> dict[str, NDArray[np.float64]]:
    """Times the same rows on every model, in turns; returns milliseconds a batch, (ROUNDS,) each."""
    picked = full_batches(predictors[PARENT], rows, size, count)
    runs = {name: running(one, model_inputs_of(one, picked, size)) for name, one in predictors.items()}
    return {name: times * size / len(picked) for name, times in interleaved(runs, rounds=ROUNDS).items()}


def full_batches(predictor: Predictor, rows: Split, size: int, count: int) -> list[Any]:
    """Returns raw rows that fill at most `count` batches of equal padded size, evenly spread; else the first few."""
    among = rows.spread(AMONG).inputs
    batches = list(batches_of(predictor.processor, predictor.preprocess(among), size))
    full = [batch for batch in batches if len(batch) == size] or batches[:1]
    picked = np.linspace(0, len(full) - 1, min(count, len(full))).astype(int)
    return [among[index] for number in picked for index in full[number]]


def model_inputs_of(predictor: Predictor, rows: Sequence[Any], size: int) -> list[ModelInputs]:
    """Returns raw rows as batches of a graph's inputs."""
    features = predictor.preprocess(rows)
    batches = batches_of(predictor.processor, features, size)
    return [predictor.processor.batch([features[index] for index in batch]) for batch in batches]


def running(predictor: Predictor, model_inputs: Sequence[ModelInputs]) -> Callable[[], None]:
    """Returns what runs all batches once."""

    def run() -> None:
        for one in model_inputs:
            predictor.session.run(None, one)

    return run


def show(contest: Contest, seconds: float, made: Sequence[Made], rows: Mapping[str, Row | str]) -> None:
    """Prints all that was found."""
    machine, test = this_machine(), contest.source.rows.test
    print(f"{contest.config.name}, {len(test):,} test rows; {seconds:,.0f} s for each tool; {THREADS} thread.")
    print(f"{machine.processor}, {machine.cores} cores, onnxruntime {machine.onnxruntime}.", end=" ")
    print(" ".join(f"{tool.name}: {', '.join(tool.packages)}." for tool in TOOLS))
    heads = [
        "model",
        "made in, s",
        "bytes",
        "× maas",
        "gzip bytes",
        contest.config.metric,
        "percentage points below maas",
    ]
    for size in TIMED:
        heads += [f"batch {size}, ms", "× fp32", "× maas"]
    print("| " + " | ".join([*heads, "settings"]) + " |")
    print("|---" * (len(heads) + 1) + "|")
    ours = rows[OURS]
    for one in made:
        row, blanks = rows[one.name], [""] * (len(heads) - 3)
        cells = [f"failed: {row}", *blanks] if isinstance(row, str) else list(cells_of(row, ours))
        print("| " + " | ".join([one.name, f"{one.seconds:,.0f}", *cells, one.settings.replace("|", "/")]) + " |")


def cells_of(row: Row, ours: Row) -> Iterator[str]:
    """Yields a row's figures; ratios with their quartiles."""
    yield f"{row.bytes:,}"
    yield f"{row.bytes / ours.bytes:.2f}"
    yield f"{row.gzip_bytes:,}"
    yield str(row.accuracy)
    yield f"{row.behind.value:.2f} [{row.behind.low:.2f}, {row.behind.high:.2f}]"
    for against_root, against_ours in row.latencies:
        yield f"{against_root.median_ms:.3g}"
        for one in (against_root, against_ours):
            yield f"{one.ratio:.2f} [{one.ratio_low:.2f}, {one.ratio_high:.2f}]"


if __name__ == "__main__":
    words = [one for one in sys.argv[1:] if not one.startswith("recipe=")]
    recipes = [one.partition("=")[2] for one in sys.argv[1:] if one.startswith("recipe=")]
    if len(words) not in (1, 2):
        sys.exit(__doc__)
    main(*words, recipe=next(iter(recipes), None))

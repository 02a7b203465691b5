"""The table that a run of the whole line ends with."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from maas.config import RunConfig
from maas.credentials import without_credentials
from maas.lifecycle import Line
from maas.records.evidence import CompressionRecord, Evidence
from maas.registry.reading.addresses import default_tracking_uri
from maas.runtime.bundle import Bundle
from maas.serving.examples import completion_call, example_call

SHOWN = ("perplexity", "perplexity_ratio", "bits_per_character", "token_accuracy", "exact_match")
"""Metrics of a model that generates texts that are shown beside the recipe's own."""


def show_summary(line: Line, config: RunConfig) -> None:
    """Prints stage by stage what came out, then the version and how to serve and call it.

    Args:
        line: what the stages left.
        config: the recipe.
    """
    console = Console(width=None if os.isatty(1) else 110)
    console.print(stage_table(line, config))
    console.print(_closing(line, config), markup=False, highlight=False, soft_wrap=True)


def line_record(line: Line, config: RunConfig) -> dict[str, object]:
    """Returns what came out as plain values and records, for programs.

    Args:
        line: what the stages left.
        config: the recipe.
    """
    evidence = line.bundle.evidence
    return {
        "name": config.name,
        "run": line.folder.path,
        "was_finished": line.was_finished,
        "checkpoint": line.checkpoint.folder,
        "compressed": line.compressed and line.compressed.record.chosen,
        "bundle": line.bundle.folder,
        "bytes": line.bundle.model_path.stat().st_size,
        "version": line.version and {"uri": line.version.uri, **msgspec.to_builtins(line.version)},
        "metric": config.metric,
        "metrics": evidence.metrics,
        "rows": evidence.data.rows,
        "seconds": {**line.folder.state.seconds, **evidence.seconds},
    }


def stage_table(line: Line, config: RunConfig) -> Table:
    """Builds the table: a row a stage, and one for the baseline."""
    evidence = line.bundle.evidence
    result = Table(
        title=f"{config.name}: {evidence.data.rows['test']:,} test rows, intervals of 95 %",
        caption="\n".join(_captions(line)),
    )
    for heading in ("stage", "gave", config.metric or "metric"):
        result.add_column(heading)
    for heading in ("bytes", "batch time", "parity", "seconds"):
        result.add_column(heading, justify="right")
    for cells in _rows(line, config):
        result.add_row(*cells)
    return result


def _captions(line: Line) -> Iterator[str]:
    """Yields what compression made of the model, and what one that generates texts has shown."""
    if line.compressed:
        yield _sizes(line.compressed.record)
    if line.bundle.is_generative or not line.compressed:
        yield _found(line.bundle.evidence)


def _sizes(record: CompressionRecord) -> str:
    """Returns what compression made of the model as exported."""
    parent, chosen = record.candidate("fp32"), record.candidate(record.chosen)
    smaller = f"; {record.chosen} is {parent.bytes / chosen.bytes:.2f} times smaller" if chosen is not parent else ""
    unmet = "; it is kept, as nothing that was tried keeps the budget" if record.is_unmet else ""
    return f"fp32 is {parent.bytes:,} bytes{smaller}{unmet}"


def _found(evidence: Evidence) -> str:
    """Returns what a model that generates texts has shown beside the metric of the table."""
    shipped = evidence.metrics["shipped"]
    return "; ".join(f"{name} {shipped[name]}" for name in SHOWN if name in shipped)


def _rows(line: Line, config: RunConfig) -> Iterator[tuple[str, ...]]:
    evidence = line.bundle.evidence
    seconds = {**line.folder.state.seconds, **evidence.seconds}
    metrics = {who: str(values.get(config.metric, "")) for who, values in evidence.metrics.items() if config.metric}
    weights = sum(file.stat().st_size for file in map(line.checkpoint.folder.joinpath, line.checkpoint.weights))
    exact = max(one.max_difference for one in evidence.parity if one.tolerance is not None)

    def row(
        stage: str, gave: str, metric: str = "", size: str = "", ratio: str = "", parity: str = ""
    ) -> tuple[str, ...]:
        return stage, gave, metric, size, ratio, parity, f"{seconds[stage]:.1f}" if stage in seconds else ""

    if "baseline" in metrics:
        name = config.baseline.target.rpartition(".")[2] if config.baseline else ""
        yield row("baseline", name, metrics["baseline"])
    history, best = line.checkpoint.record.history, line.checkpoint.record.best_epoch
    yield row("train", f"epoch {best + 1}" if history else "as it came", metrics.get("trained", ""), f"{weights:,}")
    if "cross_validated" in metrics:
        yield row("", f"{config.folds} folds", metrics["cross_validated"])
    if line.compressed is not None:
        chosen = line.compressed.record.candidate(line.compressed.record.chosen)
        yield row("compress", chosen.name, "", f"{chosen.bytes:,}", f"{chosen.time_ratio:.2f} × fp32")
    yield row("export", "bundle", metrics.get("shipped", ""), f"{line.bundle.model_path.stat().st_size:,}")
    yield row("verify", _agreement(line.bundle), parity=f"{exact:.1e}")
    if line.version is not None:
        yield row("register", f"version {line.version.version}")


def _agreement(bundle: Bundle) -> str:
    shipped = [one for one in bundle.evidence.parity if one.right == "shipped"]
    whole, kept = ("texts", "next tokens") if bundle.is_generative else ("predictions", "predictions")
    return f"{shipped[0].agreement.value:.2%} of {kept} kept" if shipped else f"all {whole} equal"


def _closing(line: Line, config: RunConfig) -> str:
    address = line.version.uri if line.version else _shown(line.bundle.folder)
    finished = f"run      {_shown(line.folder.path)} was finished before; resume=never trains it once more"
    lines = [
        "",
        *([finished] if line.was_finished else []),
        f"bundle   {_shown(line.bundle.folder)}",
        f"version  {line.version.name} {line.version.version}: {line.version.note}"
        if line.version
        else "version  none",
        "",
        f"serve it   {_where(config)}{_python()} -m maas.serve model={address}",
        f"call it    {_call(line.bundle)}",
    ]
    return "\n".join(lines)


def _call(bundle: Bundle) -> str:
    """Returns a shell command that the server of a bundle answers."""
    if bundle.is_generative:
        return completion_call("localhost:8080")
    return example_call(
        bundle.predictor.processor, f"localhost:8080/v1/{bundle.manifest.task}", bundle.golden.inputs[0]
    )


def _where(config: RunConfig) -> str:
    """Returns what a command needs in front where the registry is not the one that it would look in."""
    uri = config.registry["tracking_uri"] if config.registry else default_tracking_uri()
    return "" if uri == default_tracking_uri() else f"MLFLOW_TRACKING_URI={without_credentials(uri)} "


def _python() -> str:
    """Returns the interpreter as one would type it here: by its path where it lies below this folder."""
    here = Path(sys.executable)
    return _shown(here) if here.is_relative_to(Path.cwd()) else "python"


def _shown(path: Path) -> str:
    return os.path.relpath(path)

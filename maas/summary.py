"""The table that a run of the whole line ends with."""

import os
from pathlib import Path

from rich.console import Console
from rich.table import Table

from maas.config import RunConfig
from maas.lifecycle import Line
from maas.runtime.evidence import Evidence


def show(line: Line, config: RunConfig) -> None:
    """Prints stage by stage what came out, then the version and how to serve and call it.

    Args:
        line: what the stages left.
        config: the recipe.
    """
    console = Console(width=None if os.isatty(1) else 132)
    console.print(table(line, config))
    console.print(_closing(line), markup=False, highlight=False, soft_wrap=True)


def table(line: Line, config: RunConfig) -> Table:
    """Builds the table: a row a stage."""
    evidence = line.bundle.evidence
    metrics, record = evidence.metrics, line.compressed.record
    parent, chosen = record.candidate("fp32"), record.candidate(record.chosen)
    baseline = str(metrics["baseline"][config.metric]) if "baseline" in metrics else "–"
    weights = (line.checkpoint.folder / "weights.safetensors").stat().st_size
    result = Table(title=f"{config.name}: {evidence.data.rows['test']} test rows, {config.metric} with 95 % interval")
    for heading, justify in [("stage", "left"), ("gave", "left"), (config.metric, "left"), ("baseline", "left")]:
        result.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for heading in ("bytes", "time of a batch", "parity", "seconds"):
        result.add_column(heading, justify="right")

    def row(stage: str, gave: str, *, metric: str = "", beside: str = "", size: int | None = None, **more: str) -> None:
        took = evidence.seconds.get(stage, line.folder.state.seconds.get(stage))
        result.add_row(
            stage, gave, metric, beside, "" if size is None else f"{size:,}",
            more.get("ratio", ""), more.get("parity", ""), "" if took is None else f"{took:.1f}",
        )  # fmt: skip

    row(
        "train",
        f"epoch {line.checkpoint.record.best_epoch + 1}",
        metric=str(metrics["trained"][config.metric]),
        beside=baseline,
        size=weights,
    )
    row("compress", f"{chosen.name} of {len(record.candidates)}", size=chosen.bytes, ratio=_ratio(line))
    row(
        "export",
        "bundle",
        metric=str(metrics["shipped"][config.metric]),
        beside=baseline,
        size=line.bundle.model_path.stat().st_size,
    )
    row(
        "verify",
        _agreement(evidence),
        parity=f"{max(one.max_difference for one in evidence.parity if one.tolerance):.1e}",
    )
    if line.version is not None:
        row("register", f"version {line.version.version}")
    result.caption = (
        f"fp32 is {parent.bytes:,} bytes; {record.chosen} is {parent.bytes / chosen.bytes:.2f} times smaller"
    )
    return result


def _ratio(line: Line) -> str:
    latency = line.compressed.record.candidate(line.compressed.record.chosen).latency
    return "" if latency is None else f"{latency.ratio:.2f} of fp32"


def _agreement(evidence: Evidence) -> str:
    shipped = [one for one in evidence.parity if one.right == "shipped"]
    return f"{shipped[0].label_agreement.value:.2%} of labels kept" if shipped else "all labels equal"


def _closing(line: Line) -> str:
    manifest = line.bundle.manifest
    address = line.version.uri if line.version else _shown(line.bundle.folder)
    example = line.bundle.golden.inputs[0]
    key = manifest.signature.inputs[0].name
    value = f'"{example[:24]}"' if isinstance(example, str) else str(example).replace(" ", "")
    lines = [
        "",
        f"bundle   {_shown(line.bundle.folder)}",
        f"version  {line.version.name} {line.version.version}: {line.version.note}"
        if line.version
        else "version  none",
        "",
        f"serve it   python -m maas.serve model={address}",
        f"call it    curl -s localhost:8080/v1/{manifest.task} -d '{{\"{key}\": {value}}}'",
    ]
    return "\n".join(lines)


def _shown(path: Path) -> str:
    return os.path.relpath(path)

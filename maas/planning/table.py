"""A plan as a table, and as JSON."""

import msgspec
from rich.table import Table

from maas.planning.stage import Plan, Stage


def plan_table(plan: Plan) -> Table:
    """Builds the table: a row a stage, and their sum."""
    models = ", ".join(f"{name} {size:,} bytes" for name, size in plan.artifact_bytes.items())
    result = Table(title=f"{plan.recipe}: what it will take", caption=f"model.onnx: {models}")
    result.add_column("stage")
    for heading in ("minutes", "peak memory, MB"):
        result.add_column(heading, justify="right")
    result.add_column("of which")
    for stage in (*plan.stages, Stage("all", plan.seconds, plan.peak_bytes)):
        peak = "" if stage.peak_bytes is None else f"{stage.peak_bytes / 1e6:,.0f}"
        result.add_row(stage.name, _minutes(stage.seconds), peak, stage.note, end_section=stage is plan.stages[-1])
    return result


def as_json(plan: Plan) -> str:
    """Returns a plan with its sums, for machines."""
    content = {**msgspec.to_builtins(plan), "seconds": plan.seconds, "peak_bytes": plan.peak_bytes}
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()


def _minutes(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds / 60:.1f}"

"""A plan, stage by stage: as a value, as a table and as JSON."""

from dataclasses import dataclass

import msgspec
from rich.table import Table


@dataclass(frozen=True)
class PlannedStage:
    """One stage of the line.

    Args:
        name: of the stage; `start` is importing and loading rows, as every command does first.
        seconds: that it will take; None where that is not known, or nothing bounds it.
        peak_bytes: the most memory that it holds, as the system counts it; None where it was not watched by itself.
        note: what the seconds are made of.
    """

    name: str
    seconds: float | None
    peak_bytes: int | None = None
    note: str = ""


@dataclass(frozen=True)
class RecipePlan:
    """What a recipe will take on this machine, as busy as it was during the dry run.

    Args:
        recipe: the model's name.
        stages: in their order, without registering, which takes seconds.
        artifact_bytes: of `model.onnx` as exported (`fp32`) and by each of the recipe's passes.
        disk_bytes: that the run will need below `runs_dir`, the registry's copy of the bundle among them.
        free_bytes: that are free there.
        warnings: what a person should know before starting; sentences.
    """

    recipe: str
    stages: tuple[PlannedStage, ...]
    artifact_bytes: dict[str, int]
    disk_bytes: int
    free_bytes: int
    warnings: tuple[str, ...] = ()

    def stage(self, name: str) -> PlannedStage:
        """Returns a stage by its name."""
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def seconds(self) -> float | None:
        """Of `maas.run`; None where a stage's are not known."""
        found = [stage.seconds for stage in self.stages]
        return None if None in found else sum(one for one in found if one is not None)

    @property
    def peak_bytes(self) -> int:
        """The most memory that one process of `maas.run` holds."""
        return max((stage.peak_bytes or 0 for stage in self.stages), default=0)


def plan_table(plan: RecipePlan) -> Table:
    """Builds the table: a row a stage, and their sum."""
    models = ", ".join(f"{name} {size:,} bytes" for name, size in plan.artifact_bytes.items())
    result = Table(title=f"{plan.recipe}: what it will take", caption=f"model.onnx: {models}")
    result.add_column("stage")
    for heading in ("minutes", "peak memory, MB"):
        result.add_column(heading, justify="right")
    result.add_column("of which")
    for stage in (*plan.stages, PlannedStage("all", plan.seconds, plan.peak_bytes)):
        peak = "" if stage.peak_bytes is None else f"{stage.peak_bytes / 1e6:,.0f}"
        result.add_row(stage.name, _minutes(stage.seconds), peak, stage.note, end_section=stage is plan.stages[-1])
    return result


def plan_record(plan: RecipePlan) -> dict[str, object]:
    """Returns a plan with its sums, for machines."""
    return {**msgspec.to_builtins(plan), "seconds": plan.seconds, "peak_bytes": plan.peak_bytes}


def _minutes(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds / 60:.1f}"

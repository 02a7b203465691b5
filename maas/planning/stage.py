"""What a plan says, stage by stage."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
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
class Plan:
    """What a recipe will take on this machine, as busy as it was while it was asked.

    Args:
        recipe: the model's name.
        stages: in their order, without registering, which takes seconds.
        artifact_bytes: of `model.onnx` as exported (`fp32`) and by each of the recipe's passes.
        disk_bytes: that the run will need below `runs_dir`, the registry's copy of the bundle among them.
        free_bytes: that are free there.
        warnings: what a person should know before starting; sentences.
    """

    recipe: str
    stages: tuple[Stage, ...]
    artifact_bytes: dict[str, int]
    disk_bytes: int
    free_bytes: int
    warnings: tuple[str, ...] = ()

    def stage(self, name: str) -> Stage:
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

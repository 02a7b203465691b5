"""The `compress` section of a recipe."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from maas.bounds import NonNegativeCount
from maas.compression.budget import Budget
from maas.compression.naming import require_names
from maas.compression.passes import CheckpointPass, OnnxPass, Pass
from maas.compression.passes.base import epochs_of, require_declared
from maas.compression.passes.temperature import is_calibrating
from maas.compression.proposing import Proposals
from maas.errors import BudgetError, ConfigError

TEACHER_COST = 1 / 3
"""Cost of a teacher's forward pass, in trained epochs."""


@dataclass(frozen=True)
class CompressionSettings:
    """The `compress` section of a recipe.

    Args:
        budget: what may be lost.
        passes: passes to try, by name: those over checkpoints form a pipeline, in this order; each ONNX pass is
            applied to the model as exported, and to what the pipeline made. `Temperature` ends both.
        trials: number of proposals for the settings in `space`; 0 takes the passes as they are written.
        space: what may be proposed of passes over checkpoints: pass → setting → a list of values, or `{low, high}` with
            `step` or `log`.
        scratch_baselines: number of nets of the chosen one's shape that are trained from scratch, to compare with.
    """

    budget: Budget
    passes: Mapping[str, Pass]
    trials: NonNegativeCount = 0
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scratch_baselines: NonNegativeCount = 0

    @property
    def pipeline(self) -> dict[str, CheckpointPass]:
        """The passes over checkpoints, the calibration left out."""
        return {name: one for name, one in self.passes.items() if one.side == "checkpoint" and not is_calibrating(one)}

    @property
    def calibration(self) -> dict[str, CheckpointPass]:
        """The pass that every checkpoint ends with, by name; none where probabilities are not calibrated."""
        return {name: one for name, one in self.passes.items() if one.side == "checkpoint" and is_calibrating(one)}

    @property
    def onnx_passes(self) -> dict[str, OnnxPass]:
        """The ONNX passes."""
        return {name: one for name, one in self.passes.items() if one.side == "onnx"}

    @property
    def variants(self) -> int:
        """The largest number of checkpoints that are made."""
        return (max(1, self.trials) if self.pipeline else 0) + self.scratch_baselines

    def epochs(self, trained: int, *, is_augmented: bool) -> float:
        """Returns the epochs that all checkpoints are trained for at most; those with a teacher count for more.

        Args:
            trained: epochs of the root.
            is_augmented: whether rows differ from epoch to epoch; else a teacher sees them once.
        """
        passes = list(self.pipeline.values())
        taught = [epochs_of([one]) for one in passes if one.needs_teacher]
        total = epochs_of(passes) + TEACHER_COST * sum(epochs if is_augmented else 1 for epochs in taught)
        return max(1, self.trials) * total + self.scratch_baselines * (trained + epochs_of(passes))

    def require_searchable(self) -> None:
        """Requires that a search can be made by it.

        Raises:
            BudgetError: a pass does not declare what it is, candidates would have one name, or proposals have no
                setting to change.
        """
        for name, one in self.passes.items():
            require_declared(name, type(one))
        if len(self.calibration) > 1:
            raise BudgetError(
                f"compress.passes holds {', '.join(self.calibration)}, which calibrate alike. Leave one of them out."
            )
        require_names(self.pipeline, self.onnx_passes, trials=self.trials, scratch_baselines=self.scratch_baselines)
        if self.trials and not self.space:
            raise BudgetError(
                f"compress.trials is {self.trials} and compress.space is empty. Set a space, e.g. "
                "'+compress.space.prune.ratio={low: 0.3, high: 0.8}', or compress.trials=0."
            )
        for name in self.space:
            if name in self.onnx_passes:
                raise BudgetError(
                    f"compress.space names {name}, an ONNX pass; ONNX passes are all tried as they are written. "
                    "Write it once more under another name with other settings."
                )
        if self.space:
            self.proposals(seed=0)

    def proposals(self, seed: int) -> Proposals:
        """Returns what proposes settings within the space.

        Raises:
            BudgetError: optuna is not installed, or the space cannot be read.
        """
        return Proposals(self.pipeline, self.space, seed)

    def require_no_pipeline(self, model: str) -> None:
        """Requires that no pass needs a checkpoint.

        Args:
            model: name of the model, which comes without one.

        Raises:
            ConfigError: one does.
        """
        if passes := [*self.pipeline, *self.calibration]:
            raise ConfigError(
                f"{', '.join(passes)} needs a trained checkpoint, and {model} comes without one. Leave it out, e.g. "
                f"~compress.passes.{passes[0]}, or name the recipe: python -m maas.compress recipe=NAME."
            )

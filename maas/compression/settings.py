"""The `compress` section of a recipe."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from maas.bounds import NonNegativeCount
from maas.compression.budget import Budget
from maas.compression.passes import CheckpointPass, OnnxPass, Pass


@dataclass(frozen=True)
class CompressionSettings:
    """The `compress` section of a recipe.

    Args:
        budget: what may be lost.
        passes: what is tried, by name: those over checkpoints one on what the other made, in this order; each of those
            over ONNX files on the model as exported, and on what the pipeline made.
        trials: proposals for the settings in `space`; 0 takes the passes as they are written.
        space: what may be proposed of passes over checkpoints: pass → setting → a list of values, or `{low, high}` with
            `step` or `log`.
        scratch_baselines: nets of the chosen one's shape that are trained from scratch beside it; 0 for none.
    """

    budget: Budget
    passes: Mapping[str, Pass]
    trials: NonNegativeCount = 0
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scratch_baselines: NonNegativeCount = 0

    @property
    def pipeline(self) -> dict[str, CheckpointPass]:
        """The passes over checkpoints."""
        return {name: one for name, one in self.passes.items() if one.side == "checkpoint"}

    @property
    def variants(self) -> int:
        """Checkpoints that are made at most."""
        return (max(1, self.trials) if self.pipeline else 0) + self.scratch_baselines

    def epochs(self, trained: int, *, is_augmented: bool) -> float:
        """Returns the epochs that all of them are trained for at most; those with a teacher count for a third more.

        Args:
            trained: epochs of the root.
            is_augmented: whether rows differ from epoch to epoch; else a teacher is asked once.
        """
        spans = [(getattr(one, "epochs", 0), hasattr(one, "temperature")) for one in self.pipeline.values()]
        weighed = sum(
            epochs + (epochs if is_augmented else 1) / 3 if is_taught else epochs for epochs, is_taught in spans
        )
        scratch = trained + sum(epochs for epochs, _ in spans)
        return max(1, self.trials) * weighed + self.scratch_baselines * scratch

    @property
    def graph_passes(self) -> dict[str, OnnxPass]:
        """The passes over ONNX files."""
        return {name: one for name, one in self.passes.items() if one.side == "onnx"}

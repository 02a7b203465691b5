"""The top level of a recipe."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from omegaconf import MISSING

FILLED = frozenset(
    {"outputs", "target_mean", "target_deviation", "in_features", "vocabulary_size", "in_channels", "height", "width"}
    | {"rate", "samples", "number_means", "number_deviations", "category_sizes"}
)
"""Arguments of a net that the data and the processor fill in where a recipe leaves them out."""

_OF_LABELS = ("accuracy", "precision", "recall", "f1")
METRICS = {"classification": _OF_LABELS, "binary": _OF_LABELS, "regression": ("r2",), "embedding": ()}
"""The metrics that a recipe may choose, by task; of all of them more is better."""

_OF_TRAINING = frozenset(
    {"name", "seed", "task", "metric", "batch_size", "data", "processor", "model", "objective", "optimizer", "schedule"}
    | {"trainer", "augment", "pretrain", "folds", "callbacks", "standardize_target"}
)
_NOT_OF_THE_MODEL = frozenset({"runs_dir", "resume", "overrides", "registry", "workers"})


@dataclass
class RunConfig:
    """The top level of a recipe.

    Args:
        name: of the model; also the folder below `runs_dir` and the name in the registry.
        seed: of every random choice.
        task: what is learnt: `classification`, `binary` (one logit), `regression`, or `embedding` (nothing is).
        standardize_target: learn numbers in units of their deviation around their mean, both of the training rows, and
            give them back in their own unit; null does so where the net takes `target_mean` and `target_deviation`.
        metric: what compression must keep and the registry compares, by its name in the evidence; null where rows have
            no targets to evaluate with.
        batch_size: rows in a training step, of each process.
        workers: processes that make batches beside training; 0 makes them in turn with it.
        runs_dir: where runs are written.
        resume: `auto` goes on with the newest unfinished run of the same recipe, `never` starts a new one.
        data: rows, cleaned and split.
        processor: raw input to arrays.
        model: the net; arguments named in `FILLED` may be left out.
        objective: logits and targets to a loss.
        optimizer: parameters to an optimizer.
        schedule: optimizer and steps to a learning-rate schedule.
        augment: random changes to training batches; null for none.
        pretrain: what the net learns from the training inputs alone beforehand; null for nothing.
        trainer: Lightning's Trainer; null takes the model as it comes.
        callbacks: Lightning's callbacks by name, those that write training checkpoints among them.
        folds: also cross-validate with so many folds; 0 for not.
        baseline: what a user would pick instead, measured beside the model; null for none.
        compress: budget and passes.
        export: tolerance and opset.
        registry: where versions are kept; null for nowhere.
        serve: batch size and threads that the model is measured and served with.
        overrides: what the command line changed; filled in by `compose`.
    """

    name: str = MISSING
    seed: int = 0
    task: str = "classification"
    standardize_target: bool | None = None
    metric: str | None = "accuracy"
    batch_size: int = 64
    workers: int = 0
    runs_dir: str = "runs"
    resume: str = "auto"
    data: Any = MISSING
    processor: Any = MISSING
    model: Any = MISSING
    objective: Any = None
    optimizer: Any = None
    schedule: Any = None
    augment: Any = None
    pretrain: Any = None
    trainer: Any = None
    callbacks: dict[str, Any] = field(default_factory=dict)
    folds: int = 0
    baseline: Any = None
    compress: Any = MISSING
    export: Any = MISSING
    registry: Any = None
    serve: Any = MISSING
    overrides: list[str] = field(default_factory=list)

    def digest(self) -> str:
        """SHA-256 of all that bears on the model: not of where runs and versions are kept."""
        return self._digest(set(asdict(self)) - _NOT_OF_THE_MODEL)

    def training_digest(self) -> str:
        """SHA-256 of what bears on the trained net alone."""
        return self._digest(_OF_TRAINING)

    def compression_digest(self) -> str:
        """SHA-256 of what bears on what compression chooses: its own section, what export asks, how it is served."""
        return self._digest({"compress", "export", "serve"})

    def targets(self) -> set[str]:
        """Every `_target_` in the recipe, and what parts such as `hydra.utils.get_class` name by their `path`."""
        return set(_targets_in(asdict(self)))

    def _digest(self, keys: Iterable[str]) -> str:
        content = {key: getattr(self, key) for key in sorted(keys)}
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _targets_in(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield str(node["_target_"])
            if str(node["_target_"]).startswith("hydra.utils.get_") and "path" in node:
                yield str(node["path"])
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _targets_in(child)

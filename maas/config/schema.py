"""The top level of a recipe: plain values, and sections that are parts."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from maas.config.part import Part, plain_of, value_of
from maas.scoring.names import METRICS_OF_LABELS, METRICS_OF_NUMBERS, METRICS_OF_PROBABILITIES, METRICS_OF_SETS
from maas.scoring.own import is_own

FILLED = frozenset(
    {"outputs", "target_mean", "target_deviation", "in_features", "vocabulary_size", "in_channels", "height", "width"}
    | {"rate", "samples", "number_means", "number_deviations", "category_sizes"}
)
"""Arguments of a net that the data and the processor fill in where a recipe leaves them out."""

_OF_CLASSES = (*METRICS_OF_LABELS, *METRICS_OF_PROBABILITIES)
_OF_RANKINGS = tuple(
    f"{name}_at_{places}" for places in (10, 20) for name in ("recall", "ndcg", "hit_rate", "reciprocal_rank")
)
METRICS = {
    "classification": _OF_CLASSES,
    "binary": _OF_CLASSES,
    "multilabel": METRICS_OF_SETS,
    "regression": METRICS_OF_NUMBERS,
    "transcription": ("word_accuracy", "character_accuracy"),
    "embedding": (),
    "generation": ("log_likelihood",),
    "translation": ("log_likelihood",),
    "speech_to_text": ("word_accuracy",),
    "recommendation": _OF_RANKINGS,
}
"""The metrics that a recipe may choose by name, by task; `maas.scoring.names` has of which of them less is better."""

THRESHOLD_TASKS = ("classification", "binary", "multilabel")
"""Tasks whose labels may be predicted by thresholds."""

_OF_TRAINING = frozenset(
    {
        "name",
        "seed",
        "task",
        "metric",
        "threshold",
        "batch_size",
        "data",
        "processor",
        "model",
        "objective",
        "optimizer",
        "schedule",
    }
    | {"trainer", "augment", "pretrain", "folds", "callbacks", "standardize_target", "freeze"}
)
_NOT_OF_THE_MODEL = frozenset({"runs_dir", "resume", "overrides", "registry", "workers"})


@dataclass(frozen=True)
class RunConfig:
    """The top level of a recipe, composed.

    Args:
        name: name of the model; also the folder below `runs_dir` and the name in the registry.
        data: rows, cleaned and split.
        processor: raw input to arrays.
        model: the net; arguments named in `FILLED` may be left out.
        compress: budget and passes.
        export: tolerance and opset.
        serve: batch size and threads that the model is measured and served with.
        seed: random seed of training, calibration and search.
        task: what is learnt: `classification`, `binary` (one logit), `multilabel` (a set of labels), `regression`,
            `transcription` (the text of a sound, by its characters), `speech_to_text` (likewise, token by token),
            `generation` (the next token of texts), `translation` (that of a text that is made of another),
            `recommendation` (what users have next), or
            `embedding` (nothing is).
        standardize_target: learn numbers in units of their deviation around their mean, both of the training rows, and
            return them in their own unit; null does so where the net takes `target_mean` and `target_deviation`.
        metric: what compression must keep and the registry compares, by its name in the evidence, or the import path of
            a function of targets and predictions or scores; null where rows have no targets to evaluate with.
        threshold: what the probability from which a label is predicted maximises on validation rows, e.g. `f1`, or must
            reach, e.g. `{precision: 0.9}`; null predicts the most probable label.
        batch_size: rows in a training step, of each process.
        workers: processes that make batches beside training; 0 makes them in turn with it.
        runs_dir: folder that runs are written to.
        resume: `auto` resumes the newest run of the same recipe, and finds it where it is finished; `never` starts
            another one.
        objective: logits and targets to a loss.
        optimizer: parameters to an optimizer.
        schedule: optimizer and steps to a learning-rate schedule.
        augment: random changes to training batches; null for none.
        pretrain: what the net learns from the training inputs alone before it is trained; null for nothing.
        freeze: patterns of names of parameters, or of layers, that stay as they are in training; none trains all.
        trainer: Lightning's Trainer; null takes the model as it comes.
        callbacks: Lightning's callbacks by name, those that write training checkpoints among them.
        folds: number of folds of an additional cross-validation; 0 for none.
        baseline: what a user would pick instead, measured beside the model; null for none.
        registry: where versions are kept; null for nowhere.
        overrides: what the command line changed; filled in by `compose`.
    """

    name: str
    data: Part[object]
    processor: Part[object]
    model: Part[object]
    compress: Part[object]
    export: Part[object]
    serve: Part[object]
    seed: int = 0
    task: str = "classification"
    standardize_target: bool | None = None
    metric: str | None = "accuracy"
    threshold: str | Mapping[str, float] | None = None
    batch_size: int = 64
    workers: int = 0
    runs_dir: str = "runs"
    resume: str = "auto"
    objective: Part[object] | None = None
    optimizer: Part[object] | None = None
    schedule: Part[object] | None = None
    augment: Part[object] | None = None
    pretrain: Part[object] | None = None
    freeze: Sequence[str] = ()
    trainer: Part[object] | None = None
    callbacks: Mapping[str, Part[object]] = field(default_factory=dict)
    folds: int = 0
    baseline: Part[object] | None = None
    registry: Part[object] | None = None
    overrides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Reads sections that are given as mappings, as a recipe writes them, as parts."""
        for name in (*SECTIONS, "callbacks"):
            object.__setattr__(self, name, value_of(getattr(self, name), name))
        object.__setattr__(self, "overrides", tuple(self.overrides))

    def record(self) -> dict[str, Any]:
        """Returns the recipe as plain values, lists and mappings, from which `RunConfig(**record)` makes it again."""
        return {entry.name: plain_of(getattr(self, entry.name)) for entry in fields(self)}

    def digest(self, without: Iterable[str] = ()) -> str:
        """SHA-256 of all that the model depends on: not of where runs and versions are kept.

        Args:
            without: further keys that are left out.
        """
        return self._digest({entry.name for entry in fields(self)} - _NOT_OF_THE_MODEL - set(without))

    def training_digest(self) -> str:
        """SHA-256 of what the trained net alone depends on."""
        return self._digest(_OF_TRAINING)

    def compression_digest(self) -> str:
        """SHA-256 of what the choice of compression depends on: its own section, the export's, how it is served."""
        return self._digest({"compress", "export", "serve"})

    def targets(self) -> set[str]:
        """Every `_target_` in the recipe, what parts such as `hydra.utils.get_class` name, and an own metric."""
        own = {self.metric} if self.metric is not None and is_own(self.metric) else set[str]()
        return own | set(_targets_in(self.record()))

    def _digest(self, keys: Iterable[str]) -> str:
        return digest_of({key: getattr(self, key) for key in keys})


def digest_of(sections: Mapping[str, object]) -> str:
    """Returns the SHA-256 of plain values and parts by name, whatever their order."""
    return hashlib.sha256(json.dumps(plain_of(sections), sort_keys=True, default=str).encode()).hexdigest()


REQUIRED = ("data", "processor", "model", "compress", "export", "serve")
"""Sections that every recipe has."""
SECTIONS = (*REQUIRED, "objective", "optimizer", "schedule", "augment", "pretrain", "trainer", "baseline", "registry")
"""Sections that are one part each."""


def _targets_in(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield str(node["_target_"])
            if str(node["_target_"]).startswith("hydra.utils.get_") and "path" in node:
                yield str(node["path"])
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _targets_in(child)

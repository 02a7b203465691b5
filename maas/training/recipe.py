"""What of a recipe training takes: plain values, and parts with the types that they build."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar, cast

from lightning.pytorch import Callback, Trainer
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from maas.config import Part, RunConfig
from maas.data.augmentation import Augmentation
from maas.data.splits import Splits
from maas.errors import ConfigError
from maas.runtime.processors import Processor
from maas.scoring.thresholds import ThresholdRule, rule_of
from maas.training.objectives import Objective

_T = TypeVar("_T")


class Pretraining(Protocol):
    """What a net learns from the training inputs alone before it is trained."""

    def pretrain(self, net: nn.Module, processor: Processor, inputs: Sequence[Any], seed: int) -> None:
        """Changes the net's weights in place."""
        ...


@dataclass(frozen=True)
class TrainingRecipe:
    """What a net is trained by; whatever keeps a state while it trains is a part, built once for each training.

    Args:
        name: name of the model.
        seed: random seed.
        task: what is learnt, by the name of its head.
        metric: by which the best epoch is chosen, by its name in the evidence; None where rows have no targets.
        threshold: what the probability from which a label is predicted maximises or reaches on validation rows; None
            predicts the most probable label.
        batch_size: rows in a training step, of each process.
        workers: processes that make batches beside training.
        folds: number of folds of an additional cross-validation; 0 for none.
        standardize_target: whether numbers are learnt in units of their deviation; None where the net decides it.
        data: rows, cleaned and split.
        processor: raw input to arrays; to be fitted.
        model: a net, or a model of another framework.
        objective: logits and targets to a loss; None where nothing is trained, as of those below.
        optimizer: parameters to an optimizer.
        schedule: optimizer and steps to a learning-rate schedule.
        augment: random changes to training batches; None for none.
        pretrain: what the net learns from the inputs alone before; None for nothing.
        freeze: patterns of names of parameters that are not trained.
        trainer: Lightning's; None takes the model as it comes.
        callbacks: Lightning's, by name.
    """

    name: str
    seed: int
    task: str
    metric: str | None
    threshold: ThresholdRule | None
    batch_size: int
    workers: int
    folds: int
    standardize_target: bool | None
    data: Part[Splits]
    processor: Part[Processor]
    model: Part[object]
    objective: Part[Objective] | None
    optimizer: Part[Optimizer] | None
    schedule: Part[LRScheduler] | None
    augment: Part[Augmentation] | None
    pretrain: Pretraining | None
    freeze: Sequence[str]
    trainer: Part[Trainer] | None
    callbacks: Mapping[str, Part[Callback]]

    @classmethod
    def of(cls, config: RunConfig) -> "TrainingRecipe":
        """Takes what a checked recipe says of training.

        Raises:
            ConfigError: the pretraining refused its arguments, or the threshold is none.
        """
        values = {entry.name: cast("Any", getattr(config, entry.name)) for entry in fields(cls)}
        pretrain = config.pretrain.build() if config.pretrain else None
        threshold = None if config.threshold is None else rule_of(config.threshold)
        return cls(**{**values, "pretrain": pretrain, "threshold": threshold})

    @property
    def trainer_settings(self) -> Mapping[str, Any]:
        """The trainer's arguments by name; none where nothing is trained."""
        return self.trainer if self.trainer is not None else {}

    def rows(self) -> Splits:
        """Loads, cleans and splits the rows.

        Raises:
            MaasError: they cannot be read or split.
        """
        return self.data.build()

    def fitted_processor(self, rows: Sequence[Any]) -> Processor:
        """Returns a new processor, fitted on the training rows: their inputs, and targets that are texts.

        Raises:
            MaasError: it refused its arguments or the inputs.
        """
        return self.processor.build().fit(rows)


def required(part: Part[_T] | None, section: str) -> Part[_T]:
    """Returns a part that a recipe needs to train.

    Args:
        part: of the recipe.
        section: where it stands.

    Raises:
        ConfigError: the recipe has none.
    """
    if part is None:
        raise ConfigError(f"{section} is null, and the recipe trains. Set {section}=NAME, or trainer=null.")
    return part

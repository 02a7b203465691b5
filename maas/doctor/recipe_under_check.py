"""What is examined: a recipe, its rows, and its net, each made when a check first needs it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from maas.config import Part
from maas.data.datamodule import Batch
from maas.data.splits import Split, Splits
from maas.doctor.recording import SmokeRun
from maas.doctor.smoke_run import smoke_run_of
from maas.importing.base import ImportedModel
from maas.runtime.processors import Processor
from maas.training.callbacks import callback_parts_of
from maas.training.checkpoint import NetRecord
from maas.training.evaluation import NET_ERRORS
from maas.training.freezing import freeze_
from maas.training.heads import TaskHead
from maas.training.nets import built, resolve_net
from maas.training.objectives import Objective
from maas.training.output_check import OutputFault, output_fault_of
from maas.training.recipe import TrainingRecipe
from maas.training.scales import task_head_for
from maas.training.task import Task
from maas.training.trainers import task_of

PROBED_ROWS = 32
"""Rows that a net predicts: enough to distinguish rows, few enough for a big net."""
PROBED_SEQUENCES = 4
"""Sequences of texts, whose logits at each token take much memory."""


@dataclass(frozen=True)
class RecipeUnderCheck:
    """A recipe with its rows.

    Args:
        training: what the net is trained by.
        splits: clean rows.
        processor: fitted on the training rows.
    """

    training: TrainingRecipe
    splits: Splits
    processor: Processor

    @cached_property
    def is_trained_here(self) -> bool:
        """Whether there is a net that maas trains; an imported model is known by its type, without building it."""
        if self.training.trainer is None:
            return False
        target = self.training.model.imported()
        return not issubclass(target, ImportedModel) if isinstance(target, type) else isinstance(self.net, nn.Module)

    @cached_property
    def task_head(self) -> TaskHead:
        """The recipe's task."""
        return task_head_for(self.training, self.splits)

    @cached_property
    def record(self) -> NetRecord:
        """The net's arguments, those that data and processor fill in among them."""
        facts = {**self.task_head.facts(self.splits.train), **self.processor.net_arguments}
        return resolve_net(self.training.model, facts)

    def new_net(self, seed: int | None = None) -> nn.Module:
        """Builds the net as training would, before any pretraining on the recipe's own rows.

        Args:
            seed: random seed of its weights; None takes the recipe's.
        """
        torch.manual_seed(self.training.seed if seed is None else seed)
        net = cast("nn.Module", built(self.record, self.processor))  # imported ones are left out by `is_trained_here`
        freeze_(net, self.training.freeze)
        return net

    @cached_property
    def net(self) -> nn.Module:
        """A net in training mode that no check trains."""
        return self.new_net()

    @cached_property
    def is_custom_module(self) -> bool:
        """Whether the net is a LightningModule, which brings its own objective and optimizer."""
        return isinstance(self.net, LightningModule)

    @cached_property
    def objective(self) -> Objective:
        """The recipe's objective, which has seen the training targets if it can weigh them."""
        train = replace(self.splits.train, targets=None) if self.is_unbalanced else self.splits.train
        task, _ = task_of(self.training, nn.Identity(), self.task_head, train)
        return cast("Task", task).objective

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the targets; none where targets are texts, numbers or nothing."""
        return self.splits.labels if self.splits.target == "label" else ()

    @cached_property
    def absent_labels(self) -> list[str]:
        """Labels that no training row carries."""
        targets = self.targets("train")
        if self.splits.target == "labels":
            counts = targets.sum(axis=0)
        else:
            counts = np.bincount(targets.astype(np.int64), minlength=len(self.labels))
        return [label for label, count in zip(self.splits.labels, counts, strict=False) if not count]

    @property
    def is_unbalanced(self) -> bool:
        """Whether the loss is to balance labels of which one has no training row, so that nothing can be trained."""
        part = self.training.objective
        parts = [part, part.get("loss")] if part is not None else []
        is_balanced = any("balanced" in one.values() for one in parts if isinstance(one, Mapping))
        return is_balanced and bool(self.absent_labels)

    @cached_property
    def probe(self) -> Batch:
        """Model inputs and targets of some training rows."""
        rows = self.task_head.dataset(self.splits.train.spread(PROBED_ROWS), self.processor)
        return rows[range(min(PROBED_SEQUENCES if self.is_generative else PROBED_ROWS, len(rows)))]

    @cached_property
    def logits(self) -> Tensor | None:
        """What the new net gives for the probe in evaluation mode; None where it cannot be run."""
        return outputs_or_none(self.net, self.probe[0])

    @cached_property
    def fault(self) -> OutputFault | None:
        """What is wrong with the outputs that the new net gives for the probe, and for few rows of it."""
        outputs = self.task_head.facts(self.splits.train).get("outputs")
        return output_fault_of(self.net, self.probe[0], outputs, self.task_head.axes)

    @cached_property
    def extremes(self) -> list[Tensor]:
        """What the net gives for the probe with other, far larger weights: what they keep to, an activation bounds."""
        return list(_shaken_outputs(self.new_net(), self.probe[0]))

    @cached_property
    def smoke_run_net(self) -> nn.Module:
        """The net that the smoke run trains."""
        return self.new_net()

    @cached_property
    def smoke_run(self) -> SmokeRun:
        """A few steps of training on a net of its own; none where no loss can be computed."""
        if self.is_unbalanced:
            return SmokeRun(0)
        return smoke_run_of(
            self.training, self.smoke_run_net, self.task_head, self.splits.train, self.processor, self.probe[0]
        )

    @property
    def net_error(self) -> Exception | None:
        """What the net raised when the checks ran it; None where it did not, or none of them has run it."""
        fault, smoke_run = vars(self).get("fault"), vars(self).get("smoke_run")
        return (fault.error if fault else None) or (smoke_run.error if smoke_run else None)

    @cached_property
    def optimizer(self) -> Optimizer | None:
        """The recipe's optimizer over a parameter of its own; None for a custom module, or where it needs real ones."""
        if self.is_custom_module or self.training.optimizer is None:
            return None
        try:
            made = self.training.optimizer.call([nn.Parameter(torch.zeros(2, 2))])
        except (TypeError, ValueError, AttributeError, LookupError):
            return None
        return made if isinstance(made, Optimizer) else None

    @cached_property
    def processes(self) -> int:
        """How many train together; `devices: auto` counts as one."""
        trainer = self.training.trainer_settings
        devices = trainer.get("devices", 1)
        return int(trainer.get("num_nodes", 1)) * (devices if isinstance(devices, int) and devices > 0 else 1)

    @cached_property
    def is_generative(self) -> bool:
        """Whether the net gives logits at each token of texts that are packed into sequences."""
        return not self.task_head.postprocessor

    @cached_property
    def training_rows(self) -> int:
        """Rows of an epoch: texts may be packed into another number of sequences."""
        train = self.splits.train
        is_packed = self.is_generative and self.is_trained_here
        return len(self.task_head.dataset(train, self.processor)) if is_packed else len(train)

    @cached_property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run, 0 where the recipe does not bound them; `devices: auto` counts as one."""
        trainer = self.training.trainer_settings
        epochs, most = trainer.get("max_epochs"), trainer.get("max_steps", -1)
        limit = trainer.get("limit_train_batches", 1.0)
        batches = -(-self.training_rows // (self.training.batch_size * self.processes))
        batches = min(batches, limit) if isinstance(limit, int) else int(batches * (1.0 if limit is None else limit))
        an_epoch = -(-batches // int(trainer.get("accumulate_grad_batches", 1)))
        by_epochs = an_epoch * int(epochs) if epochs is not None and epochs > 0 else 0
        bounds = [bound for bound in (by_epochs, most) if bound and bound > 0]
        return int(min(bounds, default=0))

    @cached_property
    def callbacks(self) -> dict[str, Part[object]]:
        """The recipe's callbacks by where they stand."""
        return callback_parts_of(self.training)

    @property
    def by_name(self) -> dict[str, Split]:
        """The splits by name."""
        return {"train": self.splits.train, "validation": self.splits.validation, "test": self.splits.test}

    def targets(self, name: str) -> np.ndarray[Any, Any]:
        """Returns a split's targets, one a row; none where rows carry none, or lists of items."""
        targets = self.by_name[name].targets
        return np.zeros(0) if targets is None or self.splits.target == "items" else np.asarray(targets)


@torch.no_grad()
def outputs_or_none(net: nn.Module, model_inputs: Mapping[str, Tensor]) -> Tensor | None:
    """Returns what a net gives in evaluation mode, in float32; None where it cannot be run or gives no tensor."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        found = net(**model_inputs)
    except NET_ERRORS:
        return None
    finally:
        for module, mode in modes.items():
            module.training = mode
    return found.float() if isinstance(found, Tensor) else None


SHAKES = 6
"""Draws of weights; one logit of such a net stays within [0, 1] for all rows by chance in about one draw of ten."""
SHAKE_DEVIATION = 3.0
"""Of the drawn weights: far above any initialisation, so that unbounded outputs leave every narrow range."""


@torch.no_grad()
def _shaken_outputs(net: nn.Module, model_inputs: Mapping[str, Tensor]) -> Iterator[Tensor]:
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    for _ in range(SHAKES):
        for parameter in net.parameters():
            if parameter.is_floating_point():
                parameter.copy_(torch.randn_like(parameter) * SHAKE_DEVIATION)
        outputs = outputs_or_none(net, model_inputs)
        if outputs is not None and outputs.isfinite().all():
            yield outputs

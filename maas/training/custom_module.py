"""A user's own LightningModule: it trains itself; what is watched meanwhile is ours."""

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from maas.data.datamodule import Loader
from maas.data.splits import Split
from maas.scoring.names import monitored
from maas.training.heads import TaskHead
from maas.training.precision import widened


def with_float32_targets(split: Split) -> Split:
    """Returns rows whose targets are float32 where they are numbers: the module's own loss may refuse two types."""
    if split.targets is None or split.targets.dtype.kind != "f":
        return split
    return Split(split.inputs, split.targets.astype(np.float32))


class PairLoader(Loader):
    """Batches as a LightningModule of a user's knows them: model inputs by name, and targets."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return ((batch.inputs, batch.targets) for batch in super().__iter__())


def loader_of(net: nn.Module) -> type[Loader]:
    """Returns what gives a net its batches."""
    return PairLoader if isinstance(net, LightningModule) else Loader


class ValidationMetrics(Callback):
    """Logs the task head's metrics of a LightningModule that knows nothing of them.

    Its steps are given inputs by name, and targets. Its `forward` takes the inputs by name and gives logits (N, K).

    Args:
        task_head: what the logits and targets mean.
        shown: the metric that the progress bar shows.
    """

    def __init__(self, task_head: TaskHead, shown: str | None) -> None:
        self._task_head = task_head
        self._shown = monitored(shown)
        self._metrics = task_head.watched(shown)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Adds one batch."""
        model_inputs, targets = cast("tuple[dict[str, Tensor], Tensor]", batch)
        logits = widened(pl_module(**model_inputs))
        self._metrics.to(targets.device).update(self._task_head.predicted(logits), targets)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the metrics of all validation rows."""
        computed = {} if trainer.sanity_checking else self._metrics.compute()  # its rows may lack what a metric needs
        for name, value in computed.items():
            pl_module.log(name, value, prog_bar=name == self._shown, sync_dist=True)
        self._metrics.reset()

"""Layers that normalise by the batch they are in: what several processes and accumulation mean for them."""

import logging

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from maas.training.windows import sees_several_batches

log = logging.getLogger("maas")
NAMED = 3
"""Layers that the warning names; of the others it gives the number."""


class BatchStatistics(Callback):
    """Warns, once and before the first step, where a step's batches are normalised each by its own rows.

    Args:
        batch_size: rows in a batch of one process.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Looks at the net."""
        if not sees_several_batches(trainer) or not trainer.is_global_zero:
            return
        names = [name.removeprefix("net.") for name, one in pl_module.named_modules() if _is_apart(one, trainer)]
        if names:
            log.warning("%s", _warning(names, self._batch_size, trainer.world_size, trainer.accumulate_grad_batches))


def _is_apart(module: nn.Module, trainer: Trainer) -> bool:
    """Whether a layer normalises a batch by less than all that its step sees."""
    if not isinstance(module, _BatchNorm) or not module.training:
        return False
    return trainer.accumulate_grad_batches > 1 or not isinstance(module, nn.SyncBatchNorm)


def _warning(names: list[str], batch_size: int, world: int, accumulated: int) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    counts = {f"each of {world} processes": world, f"each of {accumulated} batches": accumulated}
    apart = " and ".join(part for part, count in counts.items() if count > 1)
    together = batch_size * world * accumulated
    synced = ", or +trainer.sync_batchnorm=true on GPUs," if accumulated == 1 else ""
    return (
        f"Batch norm ({', '.join(names[:NAMED])}{more}) takes mean and variance from {batch_size} rows, {apart} by "
        f"itself, not from the {together} rows of a step: gradients and running averages differ from those of one "
        f"process with batch_size={together}. Take group or layer norm{synced} where that matters."
    )

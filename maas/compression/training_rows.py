"""A checkpoint's net, and training rows as it takes them, for passes that look at what a net does with them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from torch import nn
from torch.utils.hooks import RemovableHandle

from maas.compression.passes.base import PassContext
from maas.data.datamodule import Batch, BatchDataset
from maas.errors import ExportError
from maas.training.checkpoint import Checkpoint

TRACED_ROWS = 4
"""Rows of a batch that a net is traced with."""


def net_of(checkpoint: Checkpoint) -> nn.Module:
    """Returns a checkpoint's net, in evaluation mode, its parameters free to change.

    Raises:
        ExportError: the model is imported.
    """
    model = checkpoint.model()
    if not isinstance(model, nn.Module):
        raise ExportError(f"{checkpoint.record.name} is an imported model; this takes nets that were trained here.")
    return model.requires_grad_()


def training_batches(checkpoint: Checkpoint, context: PassContext, rows: int) -> Iterator[Batch]:
    """Yields some training rows, those of one padded size together.

    Args:
        checkpoint: checkpoint whose processor prepares them.
        context: context with the training rows, which are taken evenly spread.
        rows: number of rows.
    """
    encoded = BatchDataset(context.splits.train.spread(rows), checkpoint.processor())
    keys, size = np.asarray(encoded.keys), context.training.batch_size
    for key in np.unique(keys):
        among = np.flatnonzero(keys == key)
        for start in range(0, len(among), size):
            yield encoded[among[start : start + size].tolist()]


@contextmanager
def hooked(hooks: Iterable[RemovableHandle]) -> Iterator[None]:
    """Removes hooks after the block."""
    held = list(hooks)
    try:
        yield
    finally:
        for hook in held:
            hook.remove()

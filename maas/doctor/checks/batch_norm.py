"""Batch norm over a single row."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from maas.doctor.finding import Finding
from maas.doctor.patient import Patient


def check(patient: Patient) -> Iterator[Finding]:
    """Normalising a batch of one row by itself: its deviation is 0, and what it says is subtracted.

    Source:
        Ioffe and Szegedy, Batch normalization, arXiv:1502.03167, §3: statistics are those of a mini-batch.
    """
    if not patient.is_trained_here or not any(map(_normalises, patient.net.modules())):
        return
    rows, size = len(patient.splits.train), patient.config.batch_size
    if min(size, rows) > 1 and rows % size != 1:
        return
    which = "each batch" if size == 1 else f"the last batch of {rows} rows by {size}"
    other = next(one for one in range(size + 1 if size > 1 else 16, size + 1000) if rows % one != 1)
    yield Finding(
        "error" if size == 1 or _fails_on_one_row(patient) else "warning",
        "batch_size",
        f"the net has batch norm, and {which} is a single row.",
        f"Set e.g. batch_size={other}, or use another norm.",
    )


def _normalises(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.training


@torch.no_grad()
def _fails_on_one_row(patient: Patient) -> bool:
    try:
        patient.new_net()(**{name: feed[:1] for name, feed in patient.probe[0].items()})
    except ValueError:  # torch's own, where a channel has a single number
        return True
    return False

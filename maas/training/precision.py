"""Losses and metrics in float32 or more, whatever precision a net is trained in."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins import HalfPrecision
from torch import Tensor


def widened(values: Tensor) -> Tensor:
    """Returns float32 for float16 and bfloat16, and everything else as it is."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Returns a context in which products keep their types, also where autocast would shorten them."""
    is_shortened = torch.is_autocast_enabled(device.type)
    return torch.autocast(device.type, enabled=False) if is_shortened else nullcontext()


def keep_targets_(trainer: Trainer) -> None:
    """Lets `bf16-true` and `16-true` convert the inputs of a batch alone: bfloat16 has three digits for a target."""
    plugin: Any = trainer.precision_plugin
    if HalfPrecision not in type(plugin).__mro__:
        return
    convert = plugin.convert_input
    plugin.convert_input = lambda batch: batch._replace(inputs=convert(batch.inputs))

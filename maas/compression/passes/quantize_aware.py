"""Training a net further with the rounding errors of int8, so that it adapts to them."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from maas.bounds import ClosedFraction, Count, Positive, PositiveClosedFraction
from maas.compression.channel_pruning import WEIGHTED, last_weighted
from maas.compression.passes.base import PassContext
from maas.compression.retraining import retrained
from maas.compression.training_rows import hooked, net_of, training_batches
from maas.onnx_graphs.quantizing import FEW_CHANNELS
from maas.training.checkpoint import Checkpoint
from maas.training.distilling import Teacher
from maas.training.pruning_plan import PruningPlan, clip_input_

LEVELS, HALF = 255, 127
"""Steps of uint8 activations, and of int8 weights on each side of 0."""


@dataclass(frozen=True)
class QuantizeAware:
    """Fine-tuning with weights and inputs of layers rounded as `quantize_static` will round them.

    The last layer, and convolutions over up to four channels, as of pictures, stay as they are, here as there.

    The range of each layer's input is measured on training rows, and stays: values beyond are clipped, in training and
    in the graph, so that static quantisation finds the same range. The weights stay fp32 until then.

    Args:
        epochs: number of epochs over the training rows.
        lr: learning rate; null takes the recipe's.
        coverage: fraction of an input's values that lie in its range.
        rows: number of training rows for measuring ranges.
        weight: the teacher's fraction of the loss; the teacher is the checkpoint that the search began with.
        temperature: divisor of the logits before probabilities are compared.

    Source:
        Jacob et al., Quantization and training of neural networks for efficient integer-arithmetic-only inference,
        arXiv:1712.05877, §3.
    """

    epochs: Count = 3
    lr: Positive | None = None
    coverage: PositiveClosedFraction = 0.9999
    rows: Count = 256
    weight: ClosedFraction = 0.7
    temperature: Positive = 4.0
    side: ClassVar[Literal["checkpoint", "onnx"]] = "checkpoint"
    trains: ClassVar[bool] = True
    needs_teacher: ClassVar[bool] = True

    def apply(self, parent: Checkpoint, out: Path, context: PassContext) -> Checkpoint:
        """Writes the net of the best epoch, fp32, with clipped inputs."""
        net = net_of(parent)
        clips = self._ranges(net, parent, context)
        modules = dict(net.named_modules())
        for name, span in clips.items():
            clip_input_(modules[name], *span)
        teacher = Teacher(net_of(context.trained), self.weight, self.temperature) if self.weight else None
        plan = parent.record.plan or PruningPlan()
        return retrained(
            parent,
            out,
            context,
            epochs=self.epochs,
            lr=self.lr,
            teacher=teacher,
            net=net,
            known=msgspec.structs.replace(plan, clips=clips),
            during=_rounding({modules[name]: span for name, span in clips.items()}),
        )

    def _ranges(self, net: nn.Module, parent: Checkpoint, context: PassContext) -> dict[str, tuple[float, float]]:
        """Returns the range of the input of each layer with weights that is rounded; 0 is always inside."""
        model_inputs = next(training_batches(parent, context, 2)).inputs
        head = last_weighted(net, model_inputs)
        layers = {name: one for name, one in net.named_modules() if isinstance(one, WEIGHTED) and one is not head}
        layers = {name: one for name, one in layers.items() if getattr(one, "in_channels", math.inf) > FEW_CHANNELS}
        found: dict[str, list[tuple[float, float]]] = {}

        def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
            def hook(_: nn.Module, inputs: tuple[Any, ...]) -> None:
                values = inputs[0].detach().flatten().sort().values
                edge = int((1 - self.coverage) * len(values))
                found.setdefault(name, []).append((float(values[edge]), float(values[-1 - edge])))

            return hook

        with hooked(one.register_forward_pre_hook(watch(name)) for name, one in layers.items()), torch.no_grad():
            for batch in training_batches(parent, context, self.rows):
                net(**batch.inputs)
        return {
            name: (min(0.0, *(low for low, _ in spans), 0.0), max(0.0, *(high for _, high in spans), 1e-6))
            for name, spans in found.items()
        }


@contextmanager
def _rounding(spans: dict[nn.Module, tuple[float, float]]) -> Iterator[None]:
    """Lets layers compute with rounded weights and inputs inside the block."""
    for module, (low, high) in spans.items():
        module.forward = _rounded_forward(module, low, high)
    try:
        yield
    finally:
        for module in spans:
            del module.forward


def _rounded_forward(module: nn.Module, low: float, high: float) -> Callable[[Tensor], Tensor]:
    scale = (high - low) / LEVELS
    zero = round(-low / scale)

    def forward(values: Tensor) -> Tensor:
        values = torch.fake_quantize_per_tensor_affine(values, scale, zero, 0, LEVELS)
        if isinstance(module, nn.Linear):
            return functional.linear(values, rounded_weight(module.weight), module.bias)
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            convolved: Tensor = module._conv_forward(values, rounded_weight(module.weight), module.bias)  # noqa: SLF001
            return convolved
        raise TypeError(f"{type(module).__name__} has no rounded form.")

    return forward


def rounded_weight(weight: Tensor) -> Tensor:
    """Returns a weight as int8 will hold it, a scale for each output channel; gradients pass as if it were not rounded.

    Args:
        weight: (outputs, …).
    """
    scales = weight.detach().flatten(1).abs().amax(1).clamp(min=1e-12) / HALF
    zeros = torch.zeros(len(scales), dtype=torch.int32, device=weight.device)
    return torch.fake_quantize_per_channel_affine(weight, scales, zeros, 0, -HALF - 1, HALF)

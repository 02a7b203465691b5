"""Whole layers taken out of a stack: some hardly change what goes through them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from maas.bounds import Count, PositiveFraction
from maas.compression.passes.base import PassContext
from maas.compression.training_rows import hooked, net_of, training_batches
from maas.errors import ExportError
from maas.training.checkpoint import Checkpoint
from maas.training.pruning_plan import PruningPlan

_Outputs = Tensor | tuple[Tensor, ...]
Stack = nn.ModuleList | nn.Sequential
PICTURE_AXES = 4
"""(N, C, H, W); what has fewer ends with its channels."""


@dataclass(frozen=True)
class DropLayers:
    """Removes the layers or residual blocks of each stack that change what goes through them least.

    Those that change its shape stay, and one of each stack at least. Where stacks lie in layers of a stack, as blocks
    in stages, the layers go as wholes if none of them changes the shape, and else the blocks inside.

    Args:
        fraction: fraction of the layers of a stack, rounded.
        rows: number of training rows for measuring influence.

    Source:
        Men et al., ShortGPT, arXiv:2403.03853, §3.2 (block influence).
    """

    fraction: PositiveFraction = 0.5
    rows: Count = 256
    side: ClassVar[Literal["checkpoint", "onnx"]] = "checkpoint"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Checkpoint, out: Path, context: PassContext) -> Checkpoint:
        """Writes the shorter net; it must be trained further before use."""
        net = net_of(parent)
        influence = self._influence(net, parent, context)
        if not influence:
            raise ExportError(
                f"{type(net).__name__} has no stack of layers that keep the shape of what they are given."
            )
        plan = parent.record.plan or PruningPlan()
        removed = dict(plan.removed)
        for name, layers in _pruned_stacks(_stacks(net), influence).items():
            places = [place for place in range(len(layers)) if (name, place) in influence]
            count = min(len(layers) - 1, len(places), round(self.fraction * len(layers)))
            least = sorted(places, key=lambda place: influence[name, place])[:count]
            gone = removed.get(name, ())
            left = [place for place in range(len(layers) + len(gone)) if place not in gone]
            removed[name] = tuple(sorted((*gone, *(left[place] for place in least))))
            for place in sorted(least, reverse=True):
                del layers[place]
        removed = {name: places for name, places in removed.items() if places}
        if removed == plan.removed:
            raise ExportError(f"fraction is {self.fraction:g}, which rounds to no layer of any stack; set more.")
        known = msgspec.structs.replace(plan, removed=removed)
        return parent.succeeded_by(out, net, known=known, rows=context.rows, history=(), best_epoch=0, metrics={})

    def _influence(self, net: nn.Module, parent: Checkpoint, context: PassContext) -> dict[tuple[str, int], float]:
        """Returns 1 − the mean cosine between a vector before and after each layer that keeps its shape."""
        found: dict[tuple[str, int], list[float]] = {}

        def watch(key: tuple[str, int]) -> Callable[[nn.Module, tuple[Tensor, ...], _Outputs], None]:
            def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: _Outputs) -> None:
                before, after = inputs[0], output[0] if isinstance(output, tuple) else output
                if before.shape == after.shape:
                    channels = 1 if before.ndim == PICTURE_AXES else -1
                    cosine = functional.cosine_similarity(before, after, dim=channels).mean()
                    found.setdefault(key, []).append(1 - float(cosine))

            return hook

        layers = {(name, place): layer for name, stack in _stacks(net).items() for place, layer in enumerate(stack)}
        with hooked(layer.register_forward_hook(watch(key)) for key, layer in layers.items()), torch.no_grad():
            for batch in training_batches(parent, context, self.rows):
                net(**batch.inputs)
        return {key: sum(values) / len(values) for key, values in found.items()}


def _stacks(net: nn.Module) -> dict[str, Stack]:
    """Returns lists of two layers and more of one kind, by name; outer ones before those inside."""
    return {
        name: module
        for name, module in net.named_modules()
        if isinstance(module, nn.ModuleList | nn.Sequential)
        and len(module) > 1
        and len({type(layer) for layer in module}) == 1
    }


def _pruned_stacks(stacks: Mapping[str, Stack], influence: Mapping[tuple[str, int], float]) -> dict[str, Stack]:
    """Returns the stacks that layers are taken out of: none of them lies inside another one."""
    known, kept = {name for name, _ in influence}, dict[str, Stack]()
    for name, stack in stacks.items():
        is_level = all((name, place) in influence for place in range(len(stack)))
        holds_others = any(_is_inside(other, name) for other in known)
        if not any(_is_inside(name, outer) for outer in kept) and (is_level or not holds_others):
            kept[name] = stack
    return kept


def _is_inside(name: str, outer: str) -> bool:
    return name != outer and name.startswith(f"{outer}." if outer else "")

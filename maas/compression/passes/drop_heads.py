"""Heads taken out of attention."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol, runtime_checkable

from torch import Tensor, nn

from maas.bounds import PositiveFraction
from maas.compression.passes.base import PassContext
from maas.compression.training_rows import net_of
from maas.errors import ExportError
from maas.training.checkpoint import Checkpoint


@runtime_checkable
class Attention(Protocol):
    """An attention that can remove heads."""

    def head_weights(self) -> Tensor:
        """Returns how much each head can write into the tokens' vectors, (H,)."""

    def drop_heads(self, heads: Collection[int]) -> None:
        """Removes heads, by their places; one at least stays."""


@dataclass(frozen=True)
class DropHeads:
    """Removes the heads of each attention that write least into the tokens' vectors.

    Args:
        fraction: fraction of the heads, rounded; one always stays.

    Source:
        Michel et al., Are sixteen heads really better than one?, arXiv:1905.10650.
    """

    fraction: PositiveFraction = 0.5
    side: ClassVar[Literal["checkpoint", "onnx"]] = "checkpoint"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Checkpoint, out: Path, context: PassContext) -> Checkpoint:
        """Writes the net with fewer heads; it must be trained further before use."""
        net = net_of(parent)
        attentions = [(one, one.head_weights()) for one in _attentions(net)]
        if not attentions:
            raise ExportError(f"{type(net).__name__} has no attention whose heads could be dropped.")
        counts = [min(len(weights) - 1, round(self.fraction * len(weights))) for _, weights in attentions]
        if not any(counts):
            raise ExportError(f"fraction is {self.fraction:g}, which rounds to no head of any attention; set more.")
        for (attention, weights), count in zip(attentions, counts, strict=True):
            attention.drop_heads(weights.argsort(stable=True)[:count].tolist())
        return parent.succeeded_by(out, net, rows=context.rows, history=(), best_epoch=0, metrics={})


class SelfAttention(Protocol):
    """The part of an attention of transformers with the heads."""

    num_attention_heads: int
    value: nn.Linear


class AttentionOutput(Protocol):
    """The part of an attention of transformers that writes into the tokens' vectors."""

    dense: nn.Linear


@runtime_checkable
class PrunableAttention(Protocol):
    """An attention of transformers, which can prune its heads by itself."""

    self: SelfAttention
    output: AttentionOutput
    pruned_heads: set[int]

    def prune_heads(self, heads: set[int]) -> None:
        """Removes heads, by the numbers that they had at first."""


@dataclass(frozen=True)
class OfHuggingFace:
    """An attention of transformers as any other.

    Args:
        module: attention with `prune_heads`, and the usual layers inside.
    """

    module: PrunableAttention

    def head_weights(self) -> Tensor:
        """Returns ‖values‖ · ‖output‖ of each head, (H,)."""
        inner, count = self.module.self, self.module.self.num_attention_heads
        values = inner.value.weight.detach().reshape(count, -1).norm(dim=1)
        weight = self.module.output.dense.weight.detach()
        written = weight.reshape(len(weight), count, -1).norm(dim=(0, 2))
        weights: Tensor = values * written
        return weights

    def drop_heads(self, heads: Collection[int]) -> None:
        """Removes heads; transformers counts them as they were at first."""
        gone = self.module.pruned_heads
        left = [head for head in range(self.module.self.num_attention_heads + len(gone)) if head not in gone]
        self.module.prune_heads({left[head] for head in heads})


def _attentions(net: nn.Module) -> Iterator[Attention]:
    for module in net.modules():
        if isinstance(module, Attention):
            yield module
        elif isinstance(module, PrunableAttention):
            yield OfHuggingFace(module)

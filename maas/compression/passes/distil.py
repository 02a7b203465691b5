"""Training a net further, with the checkpoint that the search began with as its teacher."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from torch import nn

from maas.bounds import ClosedFraction, Count, NonNegative, Positive
from maas.compression.passes.base import PassContext
from maas.compression.retraining import retrained
from maas.errors import ExportError
from maas.training.checkpoint import Checkpoint
from maas.training.distilling import Teacher


@dataclass(frozen=True)
class Distil:
    """The recipe's training again, in which the net also learns from the teacher's predictions.

    Args:
        epochs: number of epochs over the training rows.
        lr: learning rate; null takes the recipe's.
        weight: the teacher's fraction of the loss; the rest is the recipe's.
        temperature: divisor of the logits before probabilities are compared.
        features: names of modules whose outputs are compared as well, by the similarity of rows.
        features_weight: weight of that comparison in the loss.

    Source:
        Hinton, Vinyals and Dean, arXiv:1503.02531; Tung and Mori, arXiv:1907.09682.
    """

    epochs: Count = 3
    lr: Positive | None = None
    weight: ClosedFraction = 0.7
    temperature: Positive = 4.0
    features: Sequence[str] = ()
    features_weight: NonNegative = 100.0
    side: ClassVar[Literal["checkpoint", "onnx"]] = "checkpoint"
    trains: ClassVar[bool] = True
    needs_teacher: ClassVar[bool] = True

    def apply(self, parent: Checkpoint, out: Path, context: PassContext) -> Checkpoint:
        """Writes the net of the best epoch."""
        net = context.trained.model()
        if not isinstance(net, nn.Module):
            raise ExportError(f"{context.trained.record.name} is an imported model, so it cannot be a teacher.")
        self._require_features(net, parent)
        teacher = Teacher(net, self.weight, self.temperature, tuple(self.features), self.features_weight)
        return retrained(parent, out, context, epochs=self.epochs, lr=self.lr, teacher=teacher)

    def _require_features(self, teacher: nn.Module, parent: Checkpoint) -> None:
        """Raises ExportError where a name is no module of teacher and student, or means different ones in them."""
        names = [name for name, _ in teacher.named_modules()]
        unknown = [name for name in self.features if name not in names]
        if unknown:
            raise ExportError(f"distil.features names {', '.join(unknown)}; the net has {', '.join(names[1:9])}, …")
        shortened = [name for name, gone in parent.record.plan.removed.items() if gone] if parent.record.plan else []
        moved = [name for name in self.features if any(name.startswith(f"{stack}.") for stack in shortened)]
        if moved:
            raise ExportError(
                f"distil.features names {', '.join(moved)}, in a stack that layers were taken out of: what is left has "
                "other numbers there. Name modules outside of it, e.g. the stack itself."
            )

"""Training a net further, as the recipe does."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from maas.bounds import Count, Positive
from maas.compression.passes.base import PassContext
from maas.compression.retraining import retrained
from maas.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class Finetune:
    """The recipe's training again, from the parent's weights.

    Args:
        epochs: number of epochs over the training rows.
        lr: learning rate; null takes the recipe's.
    """

    epochs: Count = 3
    lr: Positive | None = None
    side: ClassVar[Literal["checkpoint", "onnx"]] = "checkpoint"
    trains: ClassVar[bool] = True
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Checkpoint, out: Path, context: PassContext) -> Checkpoint:
        """Writes the net of the best epoch."""
        return retrained(parent, out, context, epochs=self.epochs, lr=self.lr)

"""One of two labels, by one logit."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from maas.data.splits import Split
from maas.errors import ConfigError
from maas.training.families import classification


class Family(classification.Family):
    """A sigmoid over one logit; the loss is binary cross-entropy on it. The second label is the positive one.

    Raises:
        ConfigError: there are not two labels.
    """

    task: ClassVar[str] = "binary"

    def __init__(self, labels: tuple[str, ...]) -> None:
        if len(labels) != 2:
            raise ConfigError(
                f"task is binary and the data has {len(labels)} labels; it must have 2. Set task=classification."
            )
        super().__init__(labels)

    def facts(self, train: Split) -> dict[str, Any]:
        """Tells that there is one logit."""
        return {"outputs": 1}

    def prepared(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns float (N,) both."""
        return logits[:, 0], targets.to(logits.dtype)

    def activated(self, logits: Tensor) -> Tensor:
        """Returns probabilities (N, 2)."""
        return torch.cat([-logits, logits], dim=1).sigmoid()  # 1 − σ(z) would lose digits where z is large

"""One of two labels, by one logit."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from maas.data.splits import Split
from maas.errors import ConfigError
from maas.training.heads.classification import ClassificationHead


class BinaryHead(ClassificationHead):
    """σ(z) of one logit; the loss is binary cross-entropy on it. The second label is the positive one.

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
        """Returns that there is one logit."""
        return {"outputs": 1}

    def prepared(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns float (N,) both."""
        return logits[:, 0], targets.to(logits.dtype)

    def distance(self, logits: Tensor, taught: Tensor, temperature: float, loss: nn.Module) -> Tensor:
        """Returns T² · KL(teacher ‖ net), as for two logits: −z/2 and z/2."""
        return super().distance(_two(logits), _two(taught), temperature, loss)

    def label_logits(self, logits: Tensor) -> Tensor:
        """Returns −z/2 and z/2, (N, 2): a softmax keeps both tails, where ONNX Runtime's Sigmoid is 0 below −18."""
        return _two(logits)


def _two(logits: Tensor) -> Tensor:
    """Returns two logits (N, 2) whose softmax is what the sigmoid of one is."""
    return torch.cat([-logits, logits], dim=1) / 2

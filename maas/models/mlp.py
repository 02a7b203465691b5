"""A multilayer perceptron over a row of numbers."""

from collections.abc import Sequence

from torch import Tensor, nn

from maas.bounds import Count, Fraction, Positive


class MLP(nn.Module):
    """Linear layers with ReLU between them, over inputs scaled inside the net.

    Args:
        in_features: D, the numbers in a row.
        outputs: K.
        hidden: width of each hidden layer.
        dropout: fraction of hidden units that training drops.
        scale: inputs are multiplied by it first, so that raw values go in.
    """

    def __init__(
        self,
        in_features: Count,
        outputs: Count,
        hidden: Sequence[Count] = (256,),
        dropout: Fraction = 0.0,
        scale: Positive = 1.0,
    ) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = []
        width = in_features
        for size in hidden:
            layers += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(dropout)]
            width = size
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Returns logits.

        Args:
            features: float32 (N, …); everything after N is flattened to D.

        Returns:
            (N, K)
        """
        hidden = self.body(features.flatten(1) * self.scale)  # (N, D) → (N, H)
        logits: Tensor = self.head(hidden)
        return logits

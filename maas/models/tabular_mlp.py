"""A multilayer perceptron over rows of numbers and categories, with missing values."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from maas.bounds import Count, Fraction, Positive

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


class TabularMLP(nn.Module):
    """Columns to one vector, through hidden layers, to outputs μ + σ·head(body(v)).

    v joins
    - (x − m) / s for each number x, 0 where x is missing (NaN);
    - 1 for each number that is missing, else 0;
    - a learnt vector for each category, of width min(50, round(1.6 · size^0.56)).

    The weights of the marks of missing numbers and the vectors of unknown categories begin at zero: where training
    meets none, one that comes later changes nothing.

    m and s, μ and σ are filled in as 0 and 1 where the processor standardises numbers, and the task its target: both in
    float64, in which differences outlast a large offset. Others make the net itself do so, in float32.

    Args:
        number_means: m, of each of D columns of numbers as they come to the net.
        number_deviations: s, likewise; above 0.
        category_sizes: numbers of categories of each of C columns of categories, the unknown one, 0, among them.
        outputs: K.
        hidden: width of each hidden layer.
        activation: after each hidden layer.
        dropout: fraction of hidden units that training drops.
        batch_norm: normalise each hidden layer before its activation.
        target_mean: μ, of the outputs as they leave the net.
        target_deviation: σ, likewise.

    Source:
        The widths are the rule of thumb of fastai's `emb_sz_rule`; embeddings of categories are those of Guo and
        Berkhahn, Entity embeddings of categorical variables, arXiv:1604.06737.
    """

    means: Tensor
    deviations: Tensor

    def __init__(
        self,
        number_means: Sequence[float],
        number_deviations: Sequence[Positive],
        category_sizes: Sequence[Count],
        outputs: Count,
        *,
        hidden: Sequence[Count] = (256, 128),
        activation: Literal["relu", "gelu"] = "relu",
        dropout: Fraction = 0.0,
        batch_norm: bool = False,
        target_mean: float = 0.0,
        target_deviation: Positive = 1.0,
    ) -> None:
        super().__init__()
        self.register_buffer("means", torch.tensor(number_means, dtype=torch.float32))
        self.register_buffer("deviations", torch.tensor(number_deviations, dtype=torch.float32))
        self.target_mean = target_mean
        self.target_deviation = target_deviation
        self.embeddings = nn.ModuleList(_embedding(size) for size in category_sizes)
        width = 2 * len(number_means) + sum(embedding_width(size) for size in category_sizes)
        layers: list[nn.Module] = []
        for size in hidden:
            norm = [nn.BatchNorm1d(size)] if batch_norm else []
            layers += [nn.Linear(width, size), *norm, ACTIVATIONS[activation](), nn.Dropout(dropout)]
            width = size
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, outputs)
        first = next(layer for layer in (*layers, self.head) if isinstance(layer, nn.Linear))
        nn.init.zeros_(first.weight[:, len(number_means) : 2 * len(number_means)])

    def forward(self, numbers: Tensor | None = None, categories: Tensor | None = None) -> Tensor:
        """Returns outputs, or logits.

        Args:
            numbers: float32 (N, D), NaN where missing; left out where D = 0.
            categories: int64 (N, C), 0 where unknown or missing; left out where C = 0.

        Returns:
            (N, K)
        """
        parts: list[Tensor] = []
        if numbers is not None:
            missing = numbers.isnan()
            filled = torch.where(missing, self.means, numbers)
            parts += [(filled - self.means) / self.deviations, missing.to(filled.dtype)]  # (N, D) each
        if categories is not None:
            parts += [
                embedding(column) for embedding, column in zip(self.embeddings, categories.unbind(1), strict=True)
            ]
        hidden = self.body(torch.cat(parts, dim=1))  # (N, H)
        outputs: Tensor = self.head(hidden) * self.target_deviation + self.target_mean
        return outputs


def embedding_width(size: int) -> int:
    """Returns how wide the vectors of a column of `size` categories are."""
    return min(50, round(1.6 * math.pow(size, 0.56)))


def _embedding(size: int) -> nn.Embedding:
    """Returns a table whose vectors are small, so that numbers and categories begin with equal weight."""
    table = nn.Embedding(size, embedding_width(size))
    nn.init.normal_(table.weight, std=0.1)
    with torch.no_grad():
        table.weight[0] = 0
    return table

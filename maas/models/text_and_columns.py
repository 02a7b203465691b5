"""A text and a row of columns, each read by a net of its own, joined before the last layer."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from maas.bounds import Count, Fraction, Positive
from maas.models.tabular_mlp import TabularMLP
from maas.models.text_cnn import TextCNN


class TextAndColumns(nn.Module):
    """head(relu(text(t) ‖ columns(c))): convolutions over tokens beside a perceptron over numbers and categories.

    Args:
        vocabulary_size: V, of the text's tokens; id 0 is padding, id 1 the unknown token.
        number_means: m, of each of D columns of numbers as they come to the net.
        number_deviations: s, likewise; above 0.
        category_sizes: sizes of C columns of categories, the unknown one, 0, among them.
        outputs: K.
        text_width: number of values that the text becomes.
        columns_width: number of values that the columns become.
        width: width of the tokens' embedding.
        channels: channels of each convolution.
        kernels: tokens that each convolution sees.
        hidden: width of each hidden layer over the columns.
        dropout: share of the joined values that training drops.
    """

    def __init__(
        self,
        vocabulary_size: Count,
        number_means: Sequence[float],
        number_deviations: Sequence[Positive],
        category_sizes: Sequence[Count],
        outputs: Count,
        *,
        text_width: Count = 64,
        columns_width: Count = 32,
        width: Count = 32,
        channels: Count = 64,
        kernels: Sequence[Count] = (1, 2, 3),
        hidden: Sequence[Count] = (64,),
        dropout: Fraction = 0.2,
    ) -> None:
        super().__init__()
        self.text = TextCNN(vocabulary_size, text_width, width=width, channels=channels, kernels=kernels)
        self.columns = TabularMLP(number_means, number_deviations, category_sizes, columns_width, hidden=hidden)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(text_width + columns_width, outputs)

    def forward(self, input_ids: Tensor, numbers: Tensor | None = None, categories: Tensor | None = None) -> Tensor:
        """Returns logits, or outputs.

        Args:
            input_ids: int64 (N, T), padded with 0.
            numbers: float32 (N, D), NaN where missing; left out where D = 0.
            categories: int64 (N, C), 0 where unknown or missing; left out where C = 0.

        Returns:
            (N, K)
        """
        joined = torch.cat([self.text(input_ids), self.columns(numbers, categories)], dim=1)  # (N, W)
        outputs: Tensor = self.head(self.dropout(joined.relu()))
        return outputs

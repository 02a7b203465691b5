"""Convolutions over tokens, pooled over time."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from maas.bounds import Count, Fraction, Positive

PADDING, UNKNOWN = 0, 1  # ids of the text processor's first two tokens


class TextCNN(nn.Module):
    """Embedding, parallel convolutions, maximum and mean over the real tokens, a linear head.

    Padded positions carry zeros and are masked after every convolution, so a row's logits depend neither on the length
    of its padding nor on the rows beside it. Kernels of even size look one token further to the right.

    Args:
        vocabulary_size: V; id 0 is padding, id 1 the unknown token.
        outputs: K.
        width: D, of the embedding.
        channels: C, of each convolution.
        kernels: tokens that each convolution sees.
        token_dropout: fraction of tokens that training replaces by the unknown one.
        embedding_dropout: fraction of embedding values that training drops.
        dropout: fraction of pooled features that training drops.
        initial_scale: standard deviation of the embedding's initial normal values.

    Source:
        Kim, Convolutional neural networks for sentence classification, arXiv:1408.5882; the mean beside the maximum and
        the token dropout are additions.
    """

    def __init__(
        self,
        vocabulary_size: Count,
        outputs: Count,
        *,
        width: Count = 64,
        channels: Count = 128,
        kernels: Sequence[Count] = (1, 2, 3),
        token_dropout: Fraction = 0.2,
        embedding_dropout: Fraction = 0.2,
        dropout: Fraction = 0.5,
        initial_scale: Positive = 0.3,
    ) -> None:
        super().__init__()
        self.token_dropout = token_dropout
        self.kernels = tuple(kernels)
        self.embedding = nn.Embedding(vocabulary_size, width, padding_idx=PADDING)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, channels, kernel) for kernel in kernels)
        self.embedding_dropout = nn.Dropout(embedding_dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * channels * len(kernels), outputs)
        with torch.no_grad():
            self.embedding.weight.mul_(initial_scale)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Returns logits.

        Args:
            input_ids: int64 (N, T), padded with 0.

        Returns:
            (N, K)
        """
        if self.training:
            input_ids = drop_tokens(input_ids, self.token_dropout)
        mask = (input_ids != PADDING).unsqueeze(1).to(torch.float32)  # (N, 1, T)
        lengths = mask.sum(2).clamp(min=1.0)  # (N, 1)
        embedded = self.embedding_dropout(self.embedding(input_ids)).transpose(1, 2)  # (N, D, T)
        pooled: list[Tensor] = []
        for kernel, convolution in zip(self.kernels, self.convolutions, strict=True):
            padded = functional.pad(embedded, ((kernel - 1) // 2, kernel // 2))
            activated = convolution(padded).relu() * mask  # (N, C, T)
            pooled += [activated.amax(2), activated.sum(2) / lengths * 2.0]  # (N, C) each, of similar size
        logits: Tensor = self.head(self.dropout(torch.cat(pooled, dim=1)))
        return logits


def drop_tokens(input_ids: Tensor, fraction: float) -> Tensor:
    """Returns ids of which about `fraction` are replaced by the unknown token; padding stays."""
    dropped = (torch.rand(input_ids.shape, device=input_ids.device) < fraction) & (input_ids != PADDING)
    return input_ids.masked_fill(dropped, UNKNOWN)

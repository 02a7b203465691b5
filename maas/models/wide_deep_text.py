"""A linear model over hashed n-grams and a small convolutional net, trained as one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from maas.bounds import Count, Fraction, Positive
from maas.models.text_cnn import PADDING, TextCNN

MULTIPLIER = 1_000_003  # a prime; ids and buckets are far below 2**40, so the products fit int64


class NgramScores(nn.Module):
    """gain / √G · Σ s(g) over the G n-grams g of a text, each with K scores of its own: logistic regression as a net.

    N-grams of two tokens and more share the rows of a table by their hash, which the graph computes itself. Scores
    begin at zero.

    Args:
        vocabulary_size: V; id 0 is padding.
        outputs: K.
        orders: the longest n-gram.
        buckets: rows of each table of n-grams.
        gain: factor on scores, and so on their speed under a given learning rate.

    Source:
        Joulin et al., Bag of tricks for efficient text classification, arXiv:1607.01759.
    """

    def __init__(
        self,
        vocabulary_size: Count,
        outputs: Count,
        *,
        orders: Count = 3,
        buckets: Count = 2**18,
        gain: Positive = 16.0,
    ) -> None:
        super().__init__()
        self.buckets = buckets
        self.gain = gain
        sizes = [vocabulary_size, *[buckets + 1] * (orders - 1)]
        tables = [nn.Embedding(size, outputs, padding_idx=PADDING) for size in sizes]
        for table in tables:
            nn.init.zeros_(table.weight)
        self.tables = nn.ModuleList(tables)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Returns logits.

        Args:
            input_ids: int64 (N, T), padded with 0.

        Returns:
            (N, K)
        """
        grams = input_ids
        total, count = self.tables[0](grams).sum(1), (grams != PADDING).sum(1, keepdim=True)  # (N, K), (N, 1)
        for order, table in enumerate(self.tables[1:], start=1):
            last = input_ids[:, order:]
            hashed = (grams[:, :-1] * MULTIPLIER + last) % self.buckets + 1
            grams = torch.where(last != PADDING, hashed, PADDING)  # (N, T - order)
            total = total + table(grams).sum(1)
            count = count + (grams != PADDING).sum(1, keepdim=True)
        logits: Tensor = self.gain * total / count.to(torch.float32).clamp(min=1.0).sqrt()
        return logits


class WideDeepText(nn.Module):
    """The sum of the logits of `NgramScores` (wide) and `TextCNN` (deep).

    Wide learns what single n-grams mean, deep what they have in common. Only deep is regularised by dropping tokens,
    values and features; wide does better without.

    Args:
        vocabulary_size: V; id 0 is padding, id 1 the unknown token.
        outputs: K.
        orders: wide: the longest n-gram.
        buckets: wide: rows of each table of n-grams.
        gain: wide: how fast scores move.
        width: deep: of the embedding.
        channels: deep: of each convolution.
        kernels: deep: tokens that each convolution sees.
        token_dropout: deep: fraction of tokens that training replaces by the unknown one.
        embedding_dropout: deep: fraction of embedding values that training drops.
        dropout: deep: fraction of pooled features that training drops.

    Source:
        Cheng et al., Wide & deep learning for recommender systems, arXiv:1606.07792.
    """

    def __init__(
        self,
        vocabulary_size: Count,
        outputs: Count,
        *,
        orders: Count = 3,
        buckets: Count = 2**18,
        gain: Positive = 16.0,
        width: Count = 64,
        channels: Count = 128,
        kernels: Sequence[Count] = (1, 2, 3),
        token_dropout: Fraction = 0.2,
        embedding_dropout: Fraction = 0.2,
        dropout: Fraction = 0.5,
    ) -> None:
        super().__init__()
        self.wide = NgramScores(vocabulary_size, outputs, orders=orders, buckets=buckets, gain=gain)
        self.deep = TextCNN(
            vocabulary_size,
            outputs,
            width=width,
            channels=channels,
            kernels=kernels,
            token_dropout=token_dropout,
            embedding_dropout=embedding_dropout,
            dropout=dropout,
        )

    def forward(self, input_ids: Tensor) -> Tensor:
        """Returns logits.

        Args:
            input_ids: int64 (N, T), padded with 0.

        Returns:
            (N, K)
        """
        logits: Tensor = self.wide(input_ids) + self.deep(input_ids)
        return logits

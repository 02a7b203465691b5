"""Two towers that meet in a product: a list of items becomes a vector, and so is every item that may be ranked."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from maas.bounds import Count, Fraction

EXCLUDED = -math.inf
"""The logit of an item that a row leaves out: its probability is 0."""
DEVIATION = 0.1
"""Of the vectors at the beginning."""
GAIN = 10.0
"""Factor on the popularities, and so on their speed: they are far apart, and learnt before anything else."""


class TwoTower(nn.Module):
    """z_k = u · v_k + b_k, with u a weighted mean of the vectors of a row's items; K items, D numbers a vector.

    u = h + tower(h), h = Σ_j α_j e_j, α = softmax(a_j + r_age): each item has a weight a of its own, and each place in
    the order of time another, r. A row without items has u = 0, so that the b_k alone rank: how popular items are.

    Args:
        outputs: K.
        width: D.
        hidden: width of each hidden layer of the tower over h; none leaves u = h.
        ages: places in time, from the newest item, that have a weight each; older ones share the last.
        dropout: fraction of a row's items, and of hidden units, that training drops.
        negatives: items that are drawn for each training batch, beside those that are wanted, in place of all K; the
            sum over them is weighed so that it estimates that over all. null computes all K.

    Source:
        Covington, Adams and Sargin, Deep neural networks for YouTube recommendations, RecSys 2016, §3; the estimate:
        Bengio and Senécal, Quick training of probabilistic neural nets by importance sampling, 2003, with equal odds.
    """

    def __init__(
        self,
        outputs: Count,
        width: Count = 64,
        hidden: Sequence[Count] = (),
        ages: Count = 32,
        dropout: Fraction = 0.2,
        negatives: Count | None = None,
    ) -> None:
        super().__init__()
        self.negatives = negatives if negatives is not None and negatives < outputs else None
        self.dropout = dropout
        self.items = nn.Embedding(outputs + 1, width, padding_idx=outputs)
        self.weights = nn.Parameter(torch.zeros(outputs + 1))
        self.ages = nn.Parameter(torch.zeros(ages))
        self.tower = _tower(width, hidden, dropout) if hidden else None
        self.ranked = nn.Linear(width, outputs, bias=False)
        self.popularity = nn.Parameter(torch.zeros(outputs))
        for table in (self.items, self.ranked):
            nn.init.normal_(table.weight, std=DEVIATION)
        with torch.no_grad():
            self.items.weight[outputs] = 0.0

    def forward(
        self, items: Tensor, exclude: Tensor, top_k: Tensor | None = None, wanted: Tensor | None = None
    ) -> Tensor:
        """Returns logits, −∞ for items that a row leaves out.

        Args:
            items: int64 (N, L), the newest first, padded with K.
            exclude: bool (N,), whether a row's own items are left out.
            top_k: int64 (N,), for the task head, which ends each ranking there; logits do not depend on it.
            wanted: int64 (N, T), items that training wants next, padded with K; without, or in evaluation mode, logits
                are those of all items.

        Returns:
            (N, K); while training with `negatives` S, (N, T + S): those of `wanted`, and of the items drawn.
        """
        users = self.users(items)
        if self.training and self.negatives is not None and wanted is not None:
            return self._sampled(users, items, wanted)
        logits: Tensor = self.ranked(users) + GAIN * self.popularity
        return logits.masked_fill(self._left_out(items, exclude), EXCLUDED)

    def users(self, items: Tensor) -> Tensor:
        """Returns u of each row, (N, D).

        Args:
            items: int64 (N, L), padded with K.
        """
        padding = self.ranked.out_features
        if self.training and self.dropout:
            items = items.masked_fill(torch.rand(items.shape, device=items.device) < self.dropout, padding)
        is_item = items != padding
        ages = torch.arange(items.shape[1], device=items.device).clamp(max=len(self.ages) - 1)
        weights = self.weights[items] + self.ages[ages]  # (N, L)
        parts = weights.masked_fill(~is_item, -1e4).softmax(1) * is_item
        mean = (parts.unsqueeze(1) @ self.items(items)).squeeze(1)  # (N, D)
        users: Tensor = mean if self.tower is None else mean + self.tower(mean)
        return users

    def _left_out(self, items: Tensor, exclude: Tensor) -> Tensor:
        """Returns whether a row leaves an item out, (N, K)."""
        count = self.ranked.out_features
        left_out = torch.zeros(items.shape[0], count + 1, device=items.device)
        taken = exclude.to(left_out.dtype).unsqueeze(1).expand(items.shape)
        return left_out.scatter(1, items, taken)[:, :count] > 0

    def _sampled(self, users: Tensor, items: Tensor, wanted: Tensor) -> Tensor:
        """Returns logits of the items that are wanted, and of some that are drawn for all rows; (N, T + S)."""
        count, draws = self.ranked.out_features, self.negatives or 0
        drawn = torch.randint(count, (draws,), device=users.device)
        own = wanted.clamp(max=count - 1)
        vectors = functional.embedding(own, self.ranked.weight)  # (N, T, D)
        logits = (vectors @ users.unsqueeze(2)).squeeze(2) + GAIN * self.popularity[own]
        others = users @ self.ranked.weight[drawn].T + GAIN * self.popularity[drawn] + math.log(count / draws)
        known = torch.zeros(len(users), count + 1, dtype=torch.bool, device=users.device)
        known = known.scatter(1, items, True).scatter(1, wanted, True)
        return torch.cat(
            [logits.masked_fill(wanted == count, EXCLUDED), others.masked_fill(known[:, drawn], EXCLUDED)], dim=1
        )


def _tower(width: int, hidden: Sequence[int], dropout: float) -> nn.Sequential:
    """Returns layers from D numbers to D; without biases, so that 0 stays 0."""
    layers: list[nn.Module] = []
    for size, after in pairwise([width, *hidden]):
        layers += [nn.Linear(size, after, bias=False), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(hidden[-1], width, bias=False))

"""Rankings: recall, NDCG, hit rate and reciprocal rank of the first places, means over users with a bootstrap."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.data.ranked import RANKING_METRICS, ranking_quality
from maas.evidence.resampling import interval_of, resampled
from maas.evidence.task_metrics.base import Scores, TaskMetrics
from maas.records.evidence import Interval, Slice
from maas.runtime.rankings import NO_ITEM, Rankings, places_of

COMPARED_PLACES = 10
SHARED_FRACTION = 0.8
"""Two rankings agree if they share at least this fraction of the first `COMPARED_PLACES` items."""
RANKINGS_AT_ONCE = 256
"""Rows whose items are compared pair by pair at once."""


class RecommendationMetrics(TaskMetrics):
    """Compares rankings (N, 2R + 1) with the items that came later, and with other rankings.

    Targets are objects (N,), numbers of items; rows without any of them do not come here.
    """

    kind: ClassVar[str] = "recommendation"
    drop_scale: ClassVar[Mapping[str, float]] = dict.fromkeys(RANKING_METRICS, 100.0)

    def compute(self, targets: NDArray[Any], predictions: Scores, seed: int = 0) -> dict[str, Interval]:
        """Returns each of `maas.data.ranked.RANKING_METRICS`, the mean over rows."""
        quality = _with_count(ranking_quality(Rankings.of(predictions).items, list(targets)))
        once, many = _means(quality.sum(axis=0)), _means(resampled(quality, seed))
        pairs = zip(RANKING_METRICS, once.tolist(), many.T, strict=True)
        return {name: interval_of(value, samples) for name, value, samples in pairs}

    def drop(self, targets: NDArray[Any], parent: Scores, child: Scores, metric: str, seed: int = 0) -> Interval:
        """Returns the hundredths that are lost."""
        place, wanted = RANKING_METRICS.index(metric), list(targets)
        before, after = (ranking_quality(Rankings.of(one).items, wanted)[:, place] for one in (parent, child))
        lost = _with_count(100 * (before - after)[:, None])
        return interval_of(float(_means(lost.sum(axis=0))[0]), _means(resampled(lost, seed))[:, 0])

    def agrees(self, reference: Scores, found: Scores) -> NDArray[np.bool_]:
        """Compares the items in the first places, whatever their order."""
        left, right = (Rankings.of(one).items[:, :COMPARED_PLACES] for one in (reference, found))
        shared = ((left[:, :, None] == right[:, None, :]) & (left != NO_ITEM)[:, :, None]).sum(axis=(1, 2))
        most = np.maximum((left != NO_ITEM).sum(axis=1), (right != NO_ITEM).sum(axis=1))
        close: NDArray[np.bool_] = shared >= SHARED_FRACTION * most
        return close

    def difference(self, reference: Scores, found: Scores) -> float:
        """Returns the largest difference of an item's scores, which is none where neighbours change places.

        An item that only one of two rankings holds has at most the other's last score there, so that the difference is
        what its own exceeds that by. It is infinite where rankings have unequal lengths, or were made by other numbers
        of items.
        """
        starts = range(0, len(reference), RANKINGS_AT_ONCE)
        parts = ([Rankings.of(one[start : start + RANKINGS_AT_ONCE]) for one in (reference, found)] for start in starts)
        return max((max(_excess(left, right), _excess(right, left)) for left, right in parts), default=0.0)

    def as_scores(self, targets: NDArray[Any]) -> Scores:
        """Returns rankings that begin with the items of each row, in their order; their scores fall from 1."""
        places = max(1, *map(len, targets))
        items = np.full((len(targets), min(places, places_of(places))), NO_ITEM)
        for row, own in enumerate(targets):
            items[row, : len(own)] = own[: items.shape[1]]
        scores = np.where(items != NO_ITEM, 1 / np.arange(1, items.shape[1] + 1), 0.0)
        return Rankings(scores, items, np.ones(len(items), dtype=np.int64)).array()

    def slices(self, targets: NDArray[Any] | None, labels: Sequence[str], parent: Scores, child: Scores) -> list[Slice]:
        """Returns none: rows have no label."""
        return []


def _with_count(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adds a column of ones, which counts rows."""
    return np.concatenate([values, np.ones((len(values), 1))], axis=1)


def _means(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns means from sums (…, M + 1), of which the last is the number of rows."""
    means: NDArray[np.float64] = sums[..., :-1] / sums[..., -1:]
    return means


def _excess(left: Rankings, right: Rankings) -> float:
    """Returns by how much scores of `left` differ from those of `right`, see `RecommendationMetrics.difference`."""
    lengths = left.is_item.sum(axis=1)
    if left.items.shape != right.items.shape or (lengths != right.is_item.sum(axis=1)).any():
        return np.inf
    if (left.known != right.known).any():
        return np.inf
    is_same = (left.items[:, :, None] == right.items[:, None, :]) & left.is_item[:, :, None]
    own = left.scores.astype(np.float64)
    others = (is_same * right.scores[:, None, :].astype(np.float64)).sum(axis=2)
    last = right.scores[np.arange(len(lengths)), np.maximum(lengths, 1) - 1].astype(np.float64)[:, None]
    apart = np.where(is_same.any(axis=2), np.abs(own - others), np.maximum(own - last, 0.0))
    return float(np.where(left.is_item, apart, 0.0).max(initial=0.0))

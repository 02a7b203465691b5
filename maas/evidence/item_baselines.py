"""What a user would pick instead of a net that ranks: what is popular, and the neighbours of what somebody had."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from maas.bounds import Count
from maas.data.ranked import RANKING_METRICS, ranking_quality
from maas.data.splits import Split, Splits
from maas.errors import ConfigError
from maas.evidence.baselines import Baseline
from maas.runtime.rankings import MOST_RANKED

HISTORIES_AT_ONCE = 256
CHOSEN_BY = RANKING_METRICS.index("ndcg_at_10")
Lists = NDArray[np.object_]
Scorer = Callable[[sparse.csr_matrix], NDArray[np.float64]]
"""Scores all items for some rows of histories, (n, K) both."""


def popularity() -> Baseline:
    """Ranks items by how many training users had them, without those that a row has."""
    return _by_popularity


def item_neighbours(neighbours: Sequence[Count] = (20, 50, 100, 200)) -> Baseline:
    """Ranks items by Σ_j cos(i, j) over the items j of a row, and items that are alike by popularity.

    The cosine is that of two items' columns in the matrix of training users and items; each item keeps its nearest
    ones. `popularity` is measured beside it.

    Args:
        neighbours: how many are kept; the number that does best on the validation split is taken.

    Source:
        Deshpande and Karypis, Item-based top-N recommendation algorithms, 2004, §4.
    """

    def fit_and_predict(splits: Splits) -> Mapping[str, Lists]:
        histories = _histories(splits.train, splits)
        popular = _popular(histories)
        nearest = _nearest(histories, max(neighbours))

        def scorer(count: int) -> Scorer:
            kept = nearest(count)
            return lambda rows: (rows @ kept).toarray() + 1e-6 * popular

        validation = splits.validation
        wanted = [] if validation.targets is None else list(validation.targets)

        def quality(count: int) -> float:
            lists = _ranked(validation, splits, scorer(count))
            ranked = np.stack([np.pad(one, (0, MOST_RANKED - len(one)), constant_values=-1) for one in lists])
            return float(ranking_quality(ranked, wanted)[:, CHOSEN_BY].mean())

        best = max(neighbours, key=quality)
        return {"baseline": _ranked(splits.test, splits, scorer(best)), "popularity": _by_popularity(splits)}

    return fit_and_predict


def _by_popularity(splits: Splits) -> Lists:
    popular = _popular(_histories(splits.train, splits))
    return _ranked(splits.test, splits, lambda rows: np.tile(popular, (rows.shape[0], 1)))


def _histories(split: Split, splits: Splits) -> sparse.csr_matrix:
    """Returns which items each row has, (N, K), 1 or 0.

    Raises:
        ConfigError: rows are no histories.
    """
    if splits.target != "items":
        raise ConfigError("baseline item_neighbours and popularity are for histories of items. Set baseline=null.")
    numbers = {name: number for number, name in enumerate(splits.labels)}
    rows = [[numbers[name] for name in (row["items"] if isinstance(row, dict) else row)] for row in split.inputs]
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.fromiter((number for row in rows for number in row), np.int64, starts[-1])
    return sparse.csr_matrix((np.ones(len(columns), dtype=np.float32), columns, starts), (len(rows), len(numbers)))


def _popular(histories: sparse.csr_matrix) -> NDArray[np.float64]:
    """Returns the fraction of rows that have each item, (K,)."""
    counts: NDArray[np.float64] = np.asarray(histories.sum(axis=0), dtype=np.float64).ravel()
    counts /= max(1, histories.shape[0])
    return counts


def _nearest(histories: sparse.csr_matrix, most: int) -> Callable[[int], sparse.csr_matrix]:
    """Returns a function from a number of neighbours to the matrix of cosines with these alone, (K, K)."""
    lengths = np.sqrt(np.asarray(histories.multiply(histories).sum(axis=0))).ravel()
    directions = (histories @ sparse.diags(1 / np.maximum(lengths, 1.0))).tocsc()
    count = directions.shape[1]
    kept = min(most, count - 1)
    nearest, cosines = np.empty((count, kept), dtype=np.int64), np.empty((count, kept), dtype=np.float32)
    for start, stop in _blocks(count):
        block = (directions[:, start:stop].T @ directions).toarray()  # (n, K)
        block[np.arange(stop - start), np.arange(start, stop)] = -1.0
        nearest[start:stop] = _first(block, kept)
        cosines[start:stop] = np.take_along_axis(block, nearest[start:stop], axis=1)

    def matrix(wanted: int) -> sparse.csr_matrix:
        width = min(wanted, kept)
        rows = np.repeat(np.arange(count), width)
        return sparse.csr_matrix((cosines[:, :width].ravel(), (rows, nearest[:, :width].ravel())), (count, count))

    return matrix


def _ranked(split: Split, splits: Splits, scorer: Scorer) -> Lists:
    """Returns the best items of each row without those that it has, objects (N,)."""
    histories = _histories(split, splits)
    lists: list[NDArray[Any]] = []
    for start, stop in _blocks(histories.shape[0]):
        rows = histories[start:stop]
        scores = scorer(rows)
        scores[rows.nonzero()] = -np.inf
        best = _first(scores, min(MOST_RANKED, scores.shape[1]))
        is_left = np.isfinite(np.take_along_axis(scores, best, axis=1))
        lists += [own[left] for own, left in zip(best, is_left, strict=True)]
    return np.fromiter(lists, dtype=object, count=len(lists))


def _first(scores: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Returns the columns of the largest scores of each row, the largest first, and of equal ones the first column."""
    some = np.sort(np.argpartition(-scores, count - 1, axis=1)[:, :count], axis=1)
    order = np.argsort(-np.take_along_axis(scores, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)


def _blocks(count: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + HISTORIES_AT_ONCE, count)) for start in range(0, count, HISTORIES_AT_ONCE))

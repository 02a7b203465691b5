"""How good rankings are, row by row: which of the items that came later stand in their first places."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DEPTHS = (10, 20)
"""First places that are looked at; items that come after count as not ranked."""
RANKED_PLACES = max(DEPTHS)
RANKING_METRICS = tuple(
    f"{name}_at_{depth}" for depth in DEPTHS for name in ("recall", "ndcg", "hit_rate", "reciprocal_rank")
)


def ranking_quality(ranked: NDArray[np.int64], wanted: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Returns the value of each of `RANKING_METRICS` for each row, (N, M).

    With the places p at which one of the T wanted items stands, among the first k: recall = hits / T; NDCG =
    Σ_p 1/log₂(p + 1) / Σ_{p ≤ min(k, T)} 1/log₂(p + 1); the hit rate is 1 where there is a hit; the reciprocal rank is
    1 / p of the first hit, 0 without one.

    Args:
        ranked: numbers of items, the best first, (N, R); negative ones are none.
        wanted: numbers of the items that came later, each once, at least one a row.

    Source:
        Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques, 2002, with gains of 0 and 1.
    """
    is_hit = np.zeros((len(ranked), RANKED_PLACES), dtype=bool)
    looked_at = ranked[:, :RANKED_PLACES]
    for row, (items, later) in enumerate(zip(looked_at, wanted, strict=True)):
        is_hit[row, : looked_at.shape[1]] = np.isin(items, later)
    counts = np.fromiter(map(len, wanted), np.int64, len(ranked))
    return np.concatenate([_at(is_hit[:, :depth], counts) for depth in DEPTHS], axis=1)


def _at(is_hit: NDArray[np.bool_], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns the four values of each row from the hits at its first places, (N, k), and its wanted items, (N,)."""
    depth = is_hit.shape[1]
    places = np.arange(1, depth + 1)
    discounts = 1 / np.log2(places + 1)
    ideal = np.cumsum(discounts)[np.minimum(counts, depth) - 1]
    any_hit = is_hit.any(axis=1)
    first = np.where(any_hit, 1 / (is_hit.argmax(axis=1) + 1), 0.0)
    return np.stack([is_hit.sum(axis=1) / counts, is_hit @ discounts / ideal, any_hit, first], axis=1)

"""Quality of rankings against scikit-learn's NDCG, sets, and cases by hand."""

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from maas.data.ranked import RANKING_METRICS, ranking_quality


def by_name(ranked, wanted) -> dict[str, np.ndarray]:
    return dict(zip(RANKING_METRICS, ranking_quality(ranked, wanted).T, strict=True))


def test_values_are_those_by_hand_when_two_of_three_are_found():
    found = by_name(np.array([[4, 7, 1, 9]]), [np.array([7, 9, 30])])
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert found["recall_at_10"] == pytest.approx(2 / 3)
    assert found["ndcg_at_10"] == pytest.approx((1 / np.log2(3) + 1 / np.log2(5)) / ideal)
    assert found["hit_rate_at_10"] == 1
    assert found["reciprocal_rank_at_10"] == 0.5


def test_places_without_an_item_are_no_hits_when_a_ranking_is_short():
    found = ranking_quality(np.array([[3, -1, -1], [-1, -1, -1]]), [np.array([3]), np.array([0])])
    np.testing.assert_array_equal(found[0], 1.0)
    np.testing.assert_array_equal(found[1], 0.0)


@pytest.mark.parametrize("seed", range(3))
def test_values_are_those_of_others_when_rankings_are_random(seed):
    random, items, rows = np.random.default_rng(seed), 60, 50
    scores = random.normal(size=(rows, items))
    ranked = np.argsort(-scores, axis=1)
    wanted = [random.permutation(items)[: random.integers(1, 30)] for _ in range(rows)]
    relevant = np.zeros((rows, items))
    for row, own in enumerate(wanted):
        relevant[row, own] = 1
    found = by_name(ranked, wanted)
    for depth in (10, 20):
        each = [ndcg_score(relevant[row : row + 1], scores[row : row + 1], k=depth) for row in range(rows)]
        np.testing.assert_allclose(found[f"ndcg_at_{depth}"], each)
        hits = [set(ranked[row, :depth].tolist()) & set(wanted[row].tolist()) for row in range(rows)]
        recalls = [len(one) / len(own) for one, own in zip(hits, wanted, strict=True)]
        np.testing.assert_allclose(found[f"recall_at_{depth}"], recalls)
        np.testing.assert_array_equal(found[f"hit_rate_at_{depth}"], [bool(one) for one in hits])
        first = [
            next((1 / (at + 1) for at in range(depth) if relevant[row, ranked[row, at]]), 0) for row in range(rows)
        ]
        np.testing.assert_allclose(found[f"reciprocal_rank_at_{depth}"], first)

"""Shapley values against their definition, over games small enough to be played out in full."""

from itertools import permutations

import numpy as np
import pytest

from maas.explaining.sampling import Remembered, occlusion, shapley

SIZE = 5


@pytest.fixture
def game():
    """A random value for each of the 32 subsets of five parts."""
    values = np.random.default_rng(0).normal(size=2**SIZE)
    return lambda masks: values[masks @ 2 ** np.arange(SIZE)]


def pairwise(masks):
    """A game in which parts count alone and in pairs."""
    alone, pairs = (np.random.default_rng(1).normal(size=shape) for shape in (SIZE, (SIZE, SIZE)))
    kept = masks.astype(float)
    return kept @ alone + np.einsum("mi,ij,mj->m", kept, pairs, kept)


def exact(game) -> np.ndarray:
    """The mean over all 120 orders, by the definition."""
    found = np.zeros(SIZE)
    for order in permutations(range(SIZE)):
        kept = np.zeros((1, SIZE), dtype=bool)
        for part in order:
            before = game(kept)[0]
            kept[0, part] = True
            found[part] += game(kept)[0] - before
    return found / 120


@pytest.mark.parametrize("orders", [1, 2, 3, 7])
def test_attributions_add_up_when_orders_are_few(game, orders):
    found = shapley(game, SIZE, orders, seed=0)
    all_, none = game(np.array([[True] * SIZE, [False] * SIZE]))
    assert found.sum() == pytest.approx(all_ - none, abs=1e-12)


def test_attributions_come_near_the_definition_when_orders_are_many(game):
    few, many = (np.abs(shapley(game, SIZE, orders, seed=0) - exact(game)).max() for orders in (4, 4000))
    assert many < 0.05 < few


@pytest.mark.parametrize("seed", range(5))
def test_attributions_are_exact_when_parts_interact_in_pairs_and_orders_come_in_twos(seed):
    np.testing.assert_allclose(shapley(pairwise, SIZE, 2, seed), exact(pairwise), atol=1e-12)
    assert np.abs(shapley(pairwise, SIZE, 1, seed) - exact(pairwise)).max() > 0.01


def test_symmetric_parts_share_alike_when_orders_are_many():
    def largest(masks):
        return np.maximum(masks[:, 0], masks[:, 1]).astype(float) + 3 * masks[:, 2]

    np.testing.assert_allclose(shapley(largest, 3, 2, seed=0), [0.5, 0.5, 3])  # each pair of orders is symmetric
    np.testing.assert_allclose(shapley(largest, 3, 1001, seed=0), [0.5, 0.5, 3], atol=0.01)


def test_part_that_matters_to_nothing_gets_nothing_when_it_is_left_out():
    found = shapley(lambda masks: np.sin(masks[:, 0] + 2.0 * masks[:, 1]), 3, 3, seed=0)
    assert found[2] == 0


def test_occlusion_is_what_each_part_alone_costs_when_the_others_stay(game):
    full = np.ones(SIZE, dtype=bool)
    expected = [game(full[None])[0] - game((full & (np.arange(SIZE) != part))[None])[0] for part in range(SIZE)]
    np.testing.assert_allclose(occlusion(game, SIZE), expected)


def test_occlusion_finds_nothing_when_two_parts_say_the_same():
    def either(masks):
        return masks.any(axis=1).astype(float)

    np.testing.assert_array_equal(occlusion(either, 2), [0, 0])
    np.testing.assert_allclose(shapley(either, 2, 2, seed=0), [0.5, 0.5])


def test_value_is_asked_for_once_when_a_mask_comes_again(game):
    asked = []
    remembered = Remembered(lambda masks: asked.extend(masks.tolist()) or game(masks))
    masks = np.random.default_rng(2).random((200, SIZE)) < 0.5
    np.testing.assert_array_equal(remembered(masks), game(masks))
    np.testing.assert_array_equal(remembered(masks[::-1]), game(masks[::-1]))
    assert len(asked) == len({tuple(mask) for mask in masks.tolist()})


def test_orders_are_the_same_when_the_seed_is(game):
    np.testing.assert_array_equal(shapley(game, SIZE, 3, seed=4), shapley(game, SIZE, 3, seed=4))
    assert np.abs(shapley(game, SIZE, 3, seed=4) - shapley(game, SIZE, 3, seed=5)).max() > 0.01

"""Edits and error rates against jiwer, on random texts, and against the textbook's recursion."""

import random
from functools import cache

import jiwer
import numpy as np
import pytest

from maas.data.edits import edit_counts, edit_distance

WORDS = ["a", "an", "on", "turn", "light", "lights", "öl", "开", "灯"]


def texts(count: int, seed: int, fewest: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(fewest, 7))) for _ in range(count)]


def by_recursion(left: str, right: str) -> int:
    @cache
    def distance(one: int, other: int) -> int:
        if not one or not other:
            return one + other
        changed = distance(one - 1, other - 1) + (left[one - 1] != right[other - 1])
        return min(changed, distance(one - 1, other) + 1, distance(one, other - 1) + 1)

    return distance(len(left), len(right))


@pytest.mark.parametrize("seed", range(20))
def test_distance_is_the_recursions_when_sequences_are_random(seed):
    draw = random.Random(seed)
    left, right = ("".join(draw.choices("abc", k=draw.randint(0, 12))) for _ in range(2))
    assert edit_distance(left, right) == by_recursion(left, right)
    assert edit_distance(list(right), list(left)) == edit_distance(left, right)


@pytest.mark.parametrize(("left", "right", "edits"), [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0)])
def test_distance_is_the_length_when_one_sequence_is_empty(left, right, edits):
    assert edit_distance(left, right) == edits


@pytest.mark.parametrize("seed", range(10))
def test_error_rates_equal_jiwers_when_texts_are_random_and_some_hypotheses_empty(seed):
    references, found = texts(60, seed, fewest=1), texts(60, seed + 100, fewest=0)
    found[:5] = [""] * 5
    found[5:15] = references[5:15]
    sums = edit_counts(references, found).sum(axis=0)
    assert sums[0] / sums[1] == pytest.approx(jiwer.wer(references, found), abs=1e-12)
    assert sums[2] / sums[3] == pytest.approx(jiwer.cer(references, found), abs=1e-12)
    assert sums[4] == sum(one != other for one, other in zip(references, found, strict=True))


def test_counts_are_rows_of_each_pair_when_texts_are_given():
    counts = edit_counts(["turn it on", " on "], ["turn on", "on"])
    np.testing.assert_array_equal(counts, [[1, 3, 3, 10, 1], [0, 1, 0, 2, 0]])

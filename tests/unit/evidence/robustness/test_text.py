"""Typing errors: as many as were asked for, in any script."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maas.evidence.robustness import perturbations_of
from maas.evidence.robustness.text import mistyped

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def typed(rows: list[str], rate: float, seed: int = 0) -> list[str]:
    return mistyped(rows, rate, np.random.default_rng(seed))


def edits(one: str, other: str) -> int:
    """Counts insertions, deletions, replacements and swaps of neighbours: Damerau and Levenshtein."""
    cost = np.zeros((len(one) + 1, len(other) + 1), dtype=int)
    cost[:, 0], cost[0, :] = range(len(one) + 1), range(len(other) + 1)
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            change = cost[i - 1, j - 1] + (one[i - 1] != other[j - 1])
            cost[i, j] = min(cost[i - 1, j] + 1, cost[i, j - 1] + 1, change)
            if i > 1 and j > 1 and (one[i - 1], one[i - 2]) == (other[j - 2], other[j - 1]):
                cost[i, j] = min(cost[i, j], cost[i - 2, j - 2] + 1)
    return int(cost[-1, -1])


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.1])
def test_share_of_errors_is_the_rate_when_texts_are_mistyped(rate):
    random = np.random.default_rng(1)
    rows = ["".join(random.permutation(list(LETTERS))) for _ in range(200)]
    made = sum(edits(*pair) for pair in zip(rows, typed(rows, rate), strict=True))
    count = 200 * 26
    spread = np.sqrt(count * rate * (1 - rate))
    assert rate * count - 3 * spread - 0.5 * rate**2 * count < made < rate * count + 3 * spread


def test_each_kind_of_error_is_as_likely_when_errors_are_many():
    rows = ["ab"] * 8000  # the first sign cannot be swapped, so the second is looked at
    second = [row for row in typed(rows, 0.2, seed=3) if row in {"a", "ba", "abb", "aa"}]
    shares = {row: second.count(row) / 8000 for row in ("ba", "a", "aa", "abb")}
    for share in shares.values():
        assert share == pytest.approx(0.8 * 0.2 / 4, abs=0.01)


def test_stronger_errors_hold_the_weaker_ones_when_the_seed_is_the_same():
    row = LETTERS * 10
    distances = [edits(row, typed([row], rate)[0]) for rate in (0.02, 0.05, 0.1)]
    assert distances == sorted(distances)
    assert distances[0] > 0


def test_texts_are_the_same_when_the_seed_is():
    assert typed([LETTERS], 0.3) == typed([LETTERS], 0.3)
    assert typed([LETTERS], 0.3) != typed([LETTERS], 0.3, seed=1)


def test_signs_keep_their_marks_when_they_are_mistyped():
    signs = ["e\u0301", "n\u0303", "👩\u200d👧", "❤\ufe0f", "क\u093f"]
    for seed in range(50):
        (text,) = typed(["".join(signs)], 0.5, seed)
        for sign in signs:
            text = text.replace(sign, "")
        assert not text


def test_signs_are_replaced_by_their_own_script_when_scripts_are_mixed():
    row = "质量太差abcXYZ123"
    for seed in range(50):
        (text,) = typed([row], 0.9, seed)
        assert set(text) <= set(row)
    only_one = {typed(["好a"], 0.99, seed)[0] for seed in range(50)}
    assert all(set(text) <= {"好", "a"} for text in only_one)


def test_blanks_stay_when_texts_are_mistyped():
    (text,) = typed(["a b\tc\nd e"], 0.99)
    assert [sign for sign in text if sign.isspace()] == [" ", "\t", "\n", " "]


def test_text_stays_when_nothing_would_be_left_of_it():
    assert all(typed(["a", " b "], 0.99, seed)[0].strip() for seed in range(30))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=4), st.floats(0, 1), st.integers(0, 2**32))
def test_texts_stay_texts_when_they_are_anything(rows, rate, seed):
    found = typed(rows, rate, seed)
    assert len(found) == len(rows)
    for old, new in zip(rows, found, strict=True):
        assert bool(old.strip()) == bool(new.strip())
        new.encode()


def test_typos_serve_every_processor_of_texts_when_they_are_looked_up(text_processor):
    (typos,) = perturbations_of(text_processor)
    assert (typos.name, typos.strengths[0]) == ("typos", 0)
    assert typos.rows_at(0.2, [LETTERS], np.random.default_rng(0)) == typed([LETTERS], 0.2)

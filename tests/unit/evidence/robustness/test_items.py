"""Items that are missing from histories."""

import numpy as np
import pytest

from maas.evidence.robustness import perturbations_of
from maas.runtime.processors.items import ItemsProcessor

NAMES = [f"item {number}" for number in range(400)]


@pytest.fixture(scope="module")
def processor() -> ItemsProcessor:
    return ItemsProcessor(keep_histories=True).fit([{"user": "ann", "items": NAMES}])


def changed(processor, rows, strength, name):
    (found,) = (one for one in perturbations_of(processor) if one.name == name)
    return found.rows_at(strength, rows, np.random.default_rng(0))


def thinned(processor, rows, strength):
    return changed(processor, rows, strength, "missing items")


@pytest.mark.parametrize("strength", [0.25, 0.75])
def test_fraction_of_a_history_is_of_others_and_the_rest_stays_in_its_place(processor, strength):
    (row,) = changed(processor, [NAMES], strength, "items of others")
    same = np.mean([one == other for one, other in zip(row["items"], NAMES, strict=True)])
    assert same == pytest.approx(1 - strength, abs=3 * np.sqrt(strength * (1 - strength) / 400) + 1 / 400)
    assert set(row["items"]) <= set(NAMES)


@pytest.mark.parametrize("strength", [0.25, 0.5, 0.9])
def test_fraction_of_a_history_is_missing_and_the_order_stays(processor, strength):
    (row,) = thinned(processor, [NAMES], strength)
    assert [name for name in NAMES if name in row["items"]] == row["items"]
    spread = 3 * np.sqrt(400 * strength * (1 - strength))
    assert len(row["items"]) == pytest.approx(400 * (1 - strength), abs=spread)


def test_more_is_missing_of_the_same_rows_when_the_strength_is_higher(processor):
    weak, strong = ([set(row["items"]) for row in thinned(processor, [NAMES, NAMES], one)] for one in (0.25, 0.75))
    assert all(one > other for one, other in zip(weak, strong, strict=True))


def test_kept_history_of_a_user_is_thinned_and_settings_stay(processor):
    (row,) = thinned(processor, [{"user": "ann", "top_k": 3, "exclude_seen": False}], 0.5)
    assert row.keys() == {"items", "top_k", "exclude_seen"}
    assert (row["top_k"], row["exclude_seen"]) == (3, False)
    assert 0 < len(row["items"]) < len(NAMES)
    assert len(processor.preprocess([row])[0]["items"]) == len(row["items"])


def test_rows_are_those_that_were_given_when_nothing_is_missing(processor):
    rows = [NAMES[:3], {"user": "ann"}]
    assert thinned(processor, rows, 0.0) == rows

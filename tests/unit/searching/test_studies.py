"""A study goes on where it was killed, and tries the same values whenever it is run."""

import pytest

from maas.searching.dimensions import Choices, NumberRange
from maas.searching.studies import Study

DIMENSIONS = {"lr": NumberRange(0.001, 1.0, is_log=True), "width": NumberRange(16, 64, 16), "kind": Choices(("a", "b"))}
FINITE = {"lr": Choices(("0.05", "0.1")), "width": NumberRange(16, 64, 16)}
OWN, FINITE_OWN = {"lr": 0.05, "width": 32, "kind": "b"}, {"lr": "0.05", "width": 32}


def opened(folder, sampler="tpe", n_trials=14) -> Study:
    folder.mkdir(exist_ok=True)
    dimensions, own = (FINITE, FINITE_OWN) if sampler == "grid" else (DIMENSIONS, OWN)
    return Study(folder / "study.journal", dimensions, sampler=sampler, n_trials=n_trials, seed=3, own=own)


def tried(study: Study, trials: int) -> list[dict]:
    """Runs some trials, one at a time, and returns their values."""
    found = []
    for _ in range(trials):
        for number, values in study.ask(1).items():
            study.tell(number, -abs(float(values["lr"]) - 0.1) - values["width"] / 100)
            found.append(values)
    return found


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_values_are_those_of_one_go_when_a_study_is_broken_off(tmp_path, sampler):
    whole = tried(opened(tmp_path / "whole", sampler), 20)
    begun = tried(opened(tmp_path / "parts", sampler), 3)
    killed = opened(tmp_path / "parts", sampler)
    under_way = killed.ask(1)  # its value is never reported
    rest = tried(opened(tmp_path / "parts", sampler), 20)
    assert rest[0] == under_way[3]
    assert begun + rest == whole
    assert len(whole) == 14
    assert whole[0] == OWN


def test_every_combination_is_tried_once_with_the_recipes_own_first_when_a_grid_is_asked_for(tmp_path):
    found = tried(opened(tmp_path, "grid"), 20)
    assert found[0] == FINITE_OWN
    assert len(found) == len({tuple(one.values()) for one in found}) == 8


def test_grid_stops_when_it_has_as_many_trials_as_asked_for(tmp_path):
    assert len(tried(opened(tmp_path, "grid", n_trials=3), 20)) == 3


def test_more_trials_follow_when_a_finished_study_is_asked_for_more(tmp_path):
    assert len(tried(opened(tmp_path, n_trials=2), 9)) == 2
    assert tried(opened(tmp_path, n_trials=2), 9) == []
    assert len(tried(opened(tmp_path, n_trials=5), 9)) == 3


def test_failed_trials_count_when_the_end_is_looked_for(tmp_path):
    study = opened(tmp_path, n_trials=4)
    numbers = list(study.ask(3))
    for number in numbers:
        study.tell(number, None)
    assert list(study.ask(3)) == [3]


def test_smaller_values_are_sought_when_they_are_better(tmp_path):
    found = {}
    for is_smaller_better in (False, True):
        folder = tmp_path / str(is_smaller_better)
        folder.mkdir()
        study = Study(
            folder / "study.journal",
            {"lr": NumberRange(0.0, 1.0)},
            sampler="tpe",
            n_trials=40,
            seed=0,
            own=None,
            is_smaller_better=is_smaller_better,
        )
        values = []
        while asked := study.ask(1):
            for number, one in asked.items():
                study.tell(number, one["lr"])
                values.append(one["lr"])
        found[is_smaller_better] = sum(values[20:]) / 20
    assert found[True] < 0.35
    assert found[False] > 0.65

"""Rows are held out once each, or refused before anything is trained."""

import numpy as np
import pytest

from maas.data.folds import folded, require_foldable
from maas.data.splits import Split, Splits
from maas.errors import ConfigError
from maas.records.evidence import DataRecord


def splits_of(targets: np.ndarray | None, labels: tuple[str, ...]) -> Splits:
    """Twelve rows, of which eight are for training and two each for validation and test."""
    rows = [f"row {number}" for number in range(12)]
    parts = [slice(0, 8), slice(8, 10), slice(10, 12)]
    split = [Split(rows[one], None if targets is None else targets[one]) for one in parts]
    return Splits(*split, labels, DataRecord("0" * 64, {}, {}))


LABELLED = np.array([0, 1, 0, 1, 0, 1, 2, 2, 0, 1, 2, 0])


@pytest.mark.parametrize(("targets", "labels"), [(LABELLED, ("a", "b", "c")), (np.linspace(0, 1, 12), ())])
def test_each_row_is_held_out_once_and_never_trained_on_then_when_folds_are_made(targets, labels):
    splits = splits_of(targets, labels)
    folds = list(folded(splits, 3))
    held = [row for fold in folds for row in fold.test.inputs]
    assert sorted(held) == sorted(f"row {number}" for number in range(12))
    for fold in folds:
        others = [*fold.train.inputs, *fold.validation.inputs]
        assert sorted([*fold.test.inputs, *others]) == sorted(held)
        if labels:  # each third has its fraction of the 5, 4 and 3 rows of the labels
            assert np.bincount(fold.test.targets, minlength=3).tolist()[2] == 1


def test_rows_of_equal_content_fall_together_when_their_numbers_differ():
    measured = [f"object {number // 4}" for number in range(40)]
    parts = [Split(measured[start:stop], np.arange(start, stop) * 0.5) for start, stop in ((0, 24), (24, 32), (32, 40))]
    folds = list(folded(Splits(*parts, (), DataRecord("0" * 64, {}, {})), 3))
    assert sorted(row for fold in folds for row in fold.test.inputs) == sorted(measured)
    for fold in folds:
        names = [set(part.inputs) for part in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, names)) == len(set.union(*names)) == 10
        assert all(names)


def test_equal_rows_fall_by_themselves_when_they_are_observations_of_their_own():
    parts = [Split(["a", "b"] * 3, np.array([1.0, 2.0] * 3)) for _ in range(3)]
    folds = list(folded(Splits(*parts, (), DataRecord("0" * 64, {}, {})), 9))
    assert [len(fold.test) for fold in folds] == [2] * 9
    assert sorted(row for fold in folds for row in fold.test.inputs) == ["a"] * 9 + ["b"] * 9


def test_folds_are_refused_when_there_are_fewer_contents():
    parts = [Split(["a", "b"], np.array([1.0, 2.0]) + offset) for offset in range(3)]
    with pytest.raises(ConfigError, match=r"^folds is 3; the data has 2 different rows, so set at most folds=2\.$"):
        require_foldable(Splits(*parts, (), DataRecord("0" * 64, {}, {})), 3)


FAULTS = {
    "folds is 3, and the rows carry no targets to evaluate held-out rows with. Set folds=0, or data.target.": (
        None,
        (),
    ),
    "folds is 4; the rarest label, c, has 3 rows, so set at most folds=3.": (LABELLED, ("a", "b", "c")),
    "folds is 3; the rarest label, d, has 0 rows, so add rows, or set folds=0.": (LABELLED, ("a", "b", "c", "d")),
    "folds is 13; the data has 12 rows, so set at most folds=12.": (np.linspace(0, 1, 12), ()),
}


@pytest.mark.parametrize("message", FAULTS)
def test_rows_are_refused_in_one_line_when_they_cannot_be_held_out(message):
    splits, count = splits_of(*FAULTS[message]), int(message.split()[2].strip(",;"))
    for refuse in (lambda: require_foldable(splits, count), lambda: next(folded(splits, count))):
        with pytest.raises(ConfigError) as caught:
            refuse()
        assert str(caught.value) == message


def test_nothing_is_required_of_rows_when_there_are_no_folds():
    require_foldable(splits_of(None, ()), 0)

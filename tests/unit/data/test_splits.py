"""Splits decided by content: nothing leaks, nothing depends on order, little moves when rows are added."""

import random
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from maas.data.contents import content_digest
from maas.data.splits import Splits, prepare
from maas.errors import DataError

Rows = list[tuple[Any, str | None]]
PARTS = ("test", "validation", "train")  # in the order of the digests


def table(rows: Rows) -> Dataset:
    return Dataset.from_dict({"input": [value for value, _ in rows], "label": [label for _, label in rows]})


def some(count: int, seed: int = 0) -> Rows:
    """Returns rows of three labels in the shares 1 : 2 : 3."""
    pick = random.Random(seed)
    return [(f"text {seed} {index} {pick.random()}", "abbccc"[index % 6]) for index in range(count)]


def split(rows: Rows, **shares: float) -> Splits:
    return prepare({"all": table(rows)}, **shares)


def place(splits: Splits) -> dict[str, str]:
    """Returns content → the split that it is in."""
    return {content_digest(value): part for part in PARTS for value in getattr(splits, part).inputs}


def test_every_row_is_in_one_split_when_none_is_given():
    rows = some(600)
    splits = split(rows, validation_fraction=0.1, test_fraction=0.2)
    kept = [value for part in PARTS for value in getattr(splits, part).inputs]
    assert sorted(kept) == sorted(value for value, _ in rows)
    assert splits.record.rows == {"test": 120, "validation": 60, "train": 420}
    assert splits.record.removed == {}


def test_targets_name_the_rows_label_when_rows_are_split():
    rows = dict(some(60))
    splits = split(list(rows.items()))
    assert splits.labels == ("a", "b", "c")
    for part in PARTS:
        one = getattr(splits, part)
        assert [splits.labels[target] for target in one.targets] == [rows[value] for value in one.inputs]
        assert one.targets.dtype == np.int64


def test_each_label_has_its_share_in_each_split_when_labels_are_unequal():
    splits = split(some(600), validation_fraction=0.1, test_fraction=0.2)
    for part, share in (("test", 0.2), ("validation", 0.1), ("train", 0.7)):
        counts = np.bincount(getattr(splits, part).targets)
        assert np.abs(counts - share * np.array([100, 200, 300])).max() <= 1


def test_splits_are_the_same_when_the_rows_come_in_another_order():
    rows = some(300)
    shuffled = random.Random(1).sample(rows, len(rows))
    first, second = split(rows), split(shuffled)
    assert first.record == second.record
    for part in PARTS:
        assert list(getattr(first, part).inputs) == list(getattr(second, part).inputs)
        assert (getattr(first, part).targets == getattr(second, part).targets).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(40, 120), st.integers(1, 12), st.integers(0, 10_000))
def test_no_more_rows_cross_a_boundary_than_were_added_when_rows_are_added(count, added, seed):
    old = [(f"old {seed} {index}", "ab"[index % 2]) for index in range(count)]
    new = [(f"new {seed} {index}", "a") for index in range(added)]
    before, after = place(split(old, test_fraction=0.2)), place(split(old + new, test_fraction=0.2))
    of_label = {content_digest(value): label for value, label in old}
    moved = [content for content in before if before[content] != after[content]]
    assert all(of_label[content] == "a" for content in moved)  # other labels stay where they are
    for last in (0, 1):  # the boundaries of test and of validation
        crossed = [one for one in moved if (PARTS.index(before[one]) > last) != (PARTS.index(after[one]) > last)]
        assert len(crossed) <= added
    ranked = [PARTS.index(after[content]) for content in sorted(of_label) if of_label[content] == "a"]
    assert ranked == sorted(ranked)  # digests decide, as before


def test_seed_of_python_and_order_of_labels_do_not_matter_when_splitting_twice():
    assert split(some(90)).record.fingerprint == split(some(90)[::-1]).record.fingerprint


def test_fingerprint_differs_when_a_row_or_a_label_differs():
    rows = some(90)
    prints = {
        split(rows).record.fingerprint,
        split(rows[:-1]).record.fingerprint,
        split([(rows[0][0], "b"), *rows[1:]]).record.fingerprint,
        split(rows, test_fraction=0.3).record.fingerprint,
    }
    assert len(prints) == 4


def test_empty_repeated_and_contradictory_rows_go_when_they_are_cleaned():
    rows = some(60)
    dirty = [
        *rows, *rows[:5], (None, "a"), ("", "a"), (" \n", "b"), ("no label", None),
        ("both", "a"), ("both", "b"), ("both ", "a"),
    ]  # fmt: skip
    splits = split(dirty)
    assert splits.record.removed == {"empty": 4, "repeated": 5, "contradictory": 3}
    assert place(splits) == place(split(rows))


def test_blanks_around_a_text_do_not_count_when_repeats_are_sought():
    splits = split([*some(60), ("  same text", "a"), ("same text\t", "a")])
    assert splits.record.removed == {"repeated": 1}
    assert "same text" in {value for part in PARTS for value in getattr(splits, part).inputs}


def test_given_splits_are_kept_when_the_source_brings_all_three():
    parts = {"train": some(60, 1), "validation": some(12, 2), "test": some(18, 3)}
    splits = prepare({name: table(rows) for name, rows in parts.items()})
    for name, rows in parts.items():
        assert set(getattr(splits, name).inputs) == {value for value, _ in rows}
    assert splits.record.removed == {}


def test_leaks_go_from_the_earlier_split_when_given_splits_overlap():
    train, validation, test = some(60, 1), some(12, 2), some(18, 3)
    splits = prepare(
        {
            "train": table([*train, *validation[:3], *test[:4]]),
            "validation": table([*validation, *test[4:6]]),
            "test": table(test),
        }
    )
    assert splits.record.rows == {"train": 60, "validation": 12, "test": 18}
    assert splits.record.removed == {"repeated": 9}
    assert len(place(splits)) == 90


def test_content_goes_from_both_when_given_splits_contradict_each_other():
    train, test = some(60, 1), some(18, 3)
    splits = prepare({"train": table([*train, ("both", "a")]), "test": table([*test, ("both", "b")])})
    assert splits.record.removed == {"contradictory": 2}
    assert content_digest("both") not in place(splits)


@pytest.mark.parametrize(("given", "cut"), [("test", "validation"), ("validation", "test")])
def test_missing_split_is_cut_from_training_when_the_other_is_given(given, cut):
    splits = prepare(
        {"train": table(some(120, 1)), given: table(some(30, 2))}, validation_fraction=0.1, test_fraction=0.1
    )
    assert splits.record.rows == {"train": 108, given: 30, cut: 12}


def test_leak_is_found_when_one_file_writes_whole_numbers_and_the_other_fractions():
    rows = [([float(index), 1.0], "ab"[index % 2]) for index in range(40)]
    same = [([index, 1], "ab"[index % 2]) for index in range(10)]
    splits = prepare({"train": table(rows), "test": table(same)})
    assert splits.record.removed == {"repeated": 10}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"all": [(f"t{index}", "a") for index in range(20)]},
            "The training split has 1 label(s); a classifier needs at least 2.",
        ),
        (
            {"all": [("x", "a"), ("y", "b")]},
            "The validation split is empty. Give more rows, or raise data.validation_fraction.",
        ),
        (
            {"train": some(60), "test": [("new", "zebra"), ("old", "a")]},
            "The test split has labels that the training split lacks: zebra.",
        ),
        ({"all": [(None, "a"), ("", "b")]}, "The train split is empty. Give more rows."),
    ],
)
def test_message_names_the_split_when_the_rows_cannot_be_split(tables, message):
    with pytest.raises(DataError) as caught:
        prepare({name: table(rows) for name, rows in tables.items()})
    assert str(caught.value) == message


def test_digest_differs_by_content_alone_when_texts_or_arrays_are_given():
    assert content_digest(" 文本\n") == content_digest("文本")
    assert content_digest([1.0, 2.0]) != content_digest([2.0, 1.0])
    assert len(content_digest("\ud800")) == 64


def test_rows_of_rare_labels_are_left_out_when_their_clean_rows_are_few():
    rows = [*some(600), ("rare", "d"), ("rare", "d"), ("other", "e"), ("another", "e")]
    splits = split(rows, validation_fraction=0.1, test_fraction=0.2, min_label_rows=2)
    kept = {value for part in PARTS for value in getattr(splits, part).inputs}
    assert kept == {value for value, label in rows if label != "d"}  # its second row is a repeat
    assert splits.labels == ("a", "b", "c", "e")
    assert splits.record.removed == {"repeated": 1, "rare_label": 1}


def few_values(count: int, seed: int = 0) -> Rows:
    """Returns rows of four contents and two labels, which contradict each other."""
    pick = random.Random(seed)
    return [("abcd"[pick.randrange(4)], "yn"[pick.random() < 0.3]) for _ in range(count)]


def test_equal_rows_are_kept_and_spread_when_each_is_an_observation():
    rows = few_values(1000)
    splits = prepare({"all": table(rows)}, 0.1, 0.2, repeats="keep")
    assert splits.record.removed == {}
    assert sum(splits.record.rows.values()) == 1000
    assert splits.record.rows["test"] == pytest.approx(200, abs=2)
    assert len(set(splits.test.inputs)) == 4


def test_equal_rows_fall_the_same_way_when_their_order_changes():
    rows = few_values(500)
    shuffled = random.Random(1).sample(rows, len(rows))
    one, other = (prepare({"all": table(each)}, repeats="keep") for each in (rows, shuffled))
    assert one.record.fingerprint == other.record.fingerprint
    for part in PARTS:
        pairs = [
            sorted(zip(getattr(each, part).inputs, getattr(each, part).targets, strict=True)) for each in (one, other)
        ]
        assert pairs[0] == pairs[1]


def test_rows_that_stand_once_fall_as_ever_when_repeats_are_kept():
    rows = some(300)
    assert place(prepare({"all": table(rows)}, repeats="keep")) == place(split(rows))

"""Histories to numbers: order, unknown items, users whose history was kept, and what is refused."""

import numpy as np
import pytest

from maas.errors import InputError
from maas.runtime.processors.base import load_processor
from maas.runtime.processors.items import ItemsProcessor

ROWS = [
    {"user": "u1", "items": ["a", "b", "c"]},
    {"user": "u2", "items": ["b", "c"]},
    {"user": 3, "items": ["c"]},
]


@pytest.fixture
def processor() -> ItemsProcessor:
    return ItemsProcessor(pad_multiple=4, keep_histories=True).fit(ROWS)


def numbers(processor: ItemsProcessor, row: object) -> list[int]:
    return processor.preprocess([row])[0]["items"].tolist()


def test_items_are_numbered_by_their_rows_and_then_by_name_when_fitted(processor):
    assert processor.names == ("c", "b", "a")
    assert ItemsProcessor().fit([["z", "z", "y"], ["x"]]).names == ("x", "y", "z")


def test_items_come_newest_first_and_once_when_a_row_repeats_them(processor):
    assert numbers(processor, ["a", "c", "a"]) == [2, 0]
    assert numbers(processor, ["unknown", "b", ""]) == [1]
    assert numbers(ItemsProcessor(max_items=2).fit(ROWS), ["a", "b", "c"]) == [0, 1]


def test_kept_history_comes_before_the_rows_own_items_when_a_user_is_named(processor):
    assert numbers(processor, {"user": "u2"}) == [0, 1]
    assert numbers(processor, {"user": "u2", "items": ["b", "a"]}) == [2, 1, 0]
    assert numbers(processor, {"user": 3}) == numbers(processor, {"user": "3"}) == [0]
    assert numbers(processor, {"user": "nobody"}) == []


def test_nothing_of_users_is_saved_when_histories_are_not_kept(tmp_path):
    plain = ItemsProcessor().fit(ROWS)
    plain.save(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["items.json"]
    assert "u1" not in (tmp_path / "items.json").read_text()
    assert numbers(plain, {"user": "u1"}) == []


def test_histories_are_the_same_when_they_are_saved_and_loaded(processor, tmp_path):
    processor.save(tmp_path)
    again = load_processor(processor.record(), tmp_path)
    assert again.names == processor.names
    assert numbers(again, {"user": "u1"}) == numbers(processor, {"user": "u1"}) == [0, 1, 2]


def test_batch_is_padded_with_the_number_after_the_last_when_rows_are_unequal(processor):
    rows = [["a", "b"], {"items": [], "top_k": 3, "exclude_seen": False}]
    batch = processor.batch(processor.preprocess(rows))
    np.testing.assert_array_equal(batch["items"], [[1, 2, 3, 3], [3, 3, 3, 3]])
    assert batch["exclude"].tolist() == [True, False]
    assert batch["top_k"].tolist() == [20, 3]
    assert {name: array.dtype for name, array in batch.items()} == {
        "items": "int64",
        "exclude": "bool",
        "top_k": "int64",
    }


def test_list_of_lists_is_many_when_json_is_read(processor):
    assert [processor.is_many(value) for value in (["a"], [], {"user": "u1"}, [["a"]], [{"user": "u1"}])] == [
        False, False, False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a", r"^Row 0 is of type str; give a list of items, or an object such as"),
        ({}, r"^Row 0 has neither items nor a user; give a list"),
        ({"item": ["a"]}, r"^Row 0 has 'item'; it may have user, items, top_k, exclude_seen\.$"),
        ({"items": "ab"}, r"^Row 0 has items of type str; give a list"),
        ({"items": [1.5]}, r"^Row 0 has an item of type float; it is a text or a whole number\.$"),
        ({"user": ["u1"]}, r"^Row 0 has a user of type list; it is a text or a whole number\.$"),
        ({"items": [], "top_k": 0}, r"^Row 0 has top_k '0'; it is a whole number from 1 to 100\.$"),
        ({"items": [], "top_k": True}, r"^Row 0 has top_k 'True'; it is a whole number from 1 to 100\.$"),
        ({"items": [], "exclude_seen": 1}, r"^Row 0 has exclude_seen '1'; it is true or false\.$"),
        (["a"] * 10_001, r"^Row 0 has 10,001 items; 10,000 are taken\. Send the newest\.$"),
    ],
)
def test_row_is_refused_in_one_line_when_it_is_none(processor, row, said):
    with pytest.raises(InputError, match=said):
        processor.preprocess([row])

"""Interactions split by time: what is in a history, what is to be predicted, what is left out and counted."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from maas.data.interactions import InteractionTable, by_time
from maas.errors import ConfigError, DataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def tastes(interactions):
    return interactions.tastes


def split(tmp_path, frame: pd.DataFrame, **settings):
    frame.to_csv(tmp_path / "had.csv", index=False)
    return by_time(InteractionTable(str(tmp_path / "had.csv")), **{"min_item_users": 1, **settings})


SMALL = pd.DataFrame(
    [
        ("a", "x", 1), ("a", "y", 2), ("b", "y", 3), ("b", "x", 4), ("b", "y", 5), ("c", "x", 6), ("c", "y", 7),
        ("d", "y", 7), ("d", "z", 7.5), ("e", "z", 7.6),  # of training until here
        ("a", "z", 8), ("new", "x", 8.2),
        ("a", "w", 9), ("c", "z", 9.1), ("new", "y", 9.2),
    ],
    columns=["user", "item", "time"],
)  # fmt: skip


def test_history_ends_where_a_split_begins_when_it_is_by_time(tmp_path):
    splits = split(tmp_path, SMALL, validation_fraction=2 / 14, test_fraction=3 / 14)
    assert splits.labels == ("y", "x", "z")  # of four users, three and two
    assert splits.target == "items"
    assert list(splits.train.inputs)[:2] == [{"user": "a", "items": ["x", "y"]}, {"user": "b", "items": ["y", "x"]}]
    assert list(splits.validation.inputs) == [["x", "y"], []]
    assert [one.tolist() for one in splits.validation.targets] == [[2], [1]]
    assert list(splits.test.inputs) == [["x", "y"], ["x"]]
    assert [one.tolist() for one in splits.test.targets] == [[2], [0]]


def test_what_is_left_out_is_counted_when_rows_repeat_or_items_are_new(tmp_path):
    frame = pd.concat([SMALL, pd.DataFrame([("a", None, 3), ("", "x", 3)], columns=SMALL.columns)])
    splits = split(tmp_path, frame, validation_fraction=2 / 14, test_fraction=3 / 14)
    assert splits.record.removed == {"incomplete": 2, "repeated": 1, "unknown_item": 1}
    assert splits.record.rows == {"train": 5, "validation": 2, "test": 2}
    rare = split(tmp_path, frame, validation_fraction=2 / 14, test_fraction=3 / 14, min_item_users=3)
    assert rare.labels == ("y", "x")
    assert rare.record.removed == {"incomplete": 2, "repeated": 1, "unknown_item": 1, "rare_item": 4}


def test_nothing_later_is_in_training_when_many_interact(tmp_path, tastes):
    frame = tastes()
    splits = split(tmp_path, frame, validation_fraction=0.1, test_fraction=0.2)
    when = {(row.user, row.item): row.time for row in frame.itertuples()}
    end = np.quantile(frame["time"], 0.7)
    trained = [(row["user"], item) for row in splits.train.inputs for item in row["items"]]
    assert max(when[pair] for pair in trained) <= end
    for row, wanted in zip(splits.test.inputs, splits.test.targets, strict=True):
        assert not {splits.labels[item] for item in wanted} & set(row)
    assert sum(map(len, splits.test.targets)) == pytest.approx(0.2 * len(frame), rel=0.02)


def test_splits_are_the_same_when_the_rows_order_is_another(tmp_path, tastes):
    frame = tastes(60)
    one = split(tmp_path, frame)
    other = split(tmp_path, frame.sample(frac=1, random_state=1))
    assert one.record == other.record
    assert list(one.test.inputs) == list(other.test.inputs)
    assert split(tmp_path, frame.iloc[1:]).record.fingerprint != one.record.fingerprint


@pytest.mark.parametrize(
    "column",
    [
        pd.date_range("2024-01-01", periods=15, freq="h"),
        pd.date_range("2024-01-01 00:00:00.000000001", periods=15, freq="h").as_unit("ns"),
        pd.date_range("1960-01-01", periods=15, freq="D").as_unit("s"),
        np.arange(1_700_000_000_000_000_001, 1_700_000_000_000_000_001 + 15 * 10**9, 10**9),
        pd.date_range("2024-01-01", periods=15, freq="h").strftime("%Y-%m-%dT%H:%M:%S"),
        range(15),
    ],
)
def test_times_are_read_when_they_are_stamps_texts_or_numbers(tmp_path, column):
    frame = SMALL.assign(time=column)
    frame.to_parquet(tmp_path / "had.parquet")
    from_parquet = by_time(InteractionTable(str(tmp_path / "had.parquet")), 2 / 14, 3 / 14, 1)
    from_csv = split(tmp_path, frame, validation_fraction=2 / 14, test_fraction=3 / 14)
    assert list(from_parquet.test.inputs) == list(from_csv.test.inputs)


def test_rows_are_incomplete_when_a_parquet_file_has_nan(tmp_path):
    gap = {"user": "a", "item": "x", "time": float("nan")}
    table = pa.table({name: [*SMALL[name], value] for name, value in gap.items()})
    pq.write_table(table, tmp_path / "had.parquet")
    splits = by_time(InteractionTable(str(tmp_path / "had.parquet")), 2 / 14, 3 / 14, 1)
    assert splits.record.removed["incomplete"] == 1
    assert list(splits.test.inputs) == [["x", "y"], ["x"]]


def test_times_are_seconds_when_texts_are_moments(tmp_path):
    frame = SMALL.assign(time=[f"1970-01-01T00:00:{place:02}.5Z" for place in range(len(SMALL))])
    frame.to_csv(tmp_path / "had.csv", index=False)
    assert InteractionTable(str(tmp_path / "had.csv")).read().times.tolist() == [place + 0.5 for place in range(15)]


def test_names_keep_their_zeros_when_they_are_codes(tmp_path, tastes):
    frame = tastes(60).assign(user=lambda rows: rows["user"].str[1:])
    assert split(tmp_path, frame).train.inputs[7]["user"] == "007"


def test_fewer_users_are_evaluated_when_a_most_is_set(tmp_path, tastes):
    splits = split(tmp_path, tastes(), max_users=9)
    assert (len(splits.validation), len(splits.test)) == (9, 9)


@pytest.mark.parametrize(
    ("change", "settings", "said"),
    [
        ({}, {"validation_fraction": 0.5, "test_fraction": 0.5}, r"their sum must be below 1"),
        ({"time": 5}, {}, r"lie between 5 and 5 and do not split"),
        ({"time": "soon"}, {}, r"The column time holds what is neither a number nor a time"),
        ({}, {"min_item_users": 99}, r"^0 items have 99 users in training, of 72 items there; 2 are needed"),
    ],
)
def test_table_is_refused_in_one_line_when_it_does_not_split(tmp_path, tastes, change, settings, said):
    with pytest.raises((ConfigError, DataError), match=said):
        split(tmp_path, tastes().assign(**change), **settings)


def test_column_is_named_when_the_table_lacks_it(tmp_path):
    SMALL.to_csv(tmp_path / "had.csv", index=False)
    with pytest.raises(DataError, match=r"has no column buyer; its columns are user, item, time"):
        InteractionTable(str(tmp_path / "had.csv"), user="buyer").read()
    with pytest.raises(DataError, match=r"There is no file .*none.csv"):
        InteractionTable("none.csv").read()

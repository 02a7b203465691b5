"""Rows of numbers: shape, range and finiteness are checked; nothing is scaled unless it is asked for."""

import json
import tracemalloc

import numpy as np
import pytest

from maas.errors import InputError
from maas.runtime.processors import load_processor
from maas.runtime.processors.array import ArrayProcessor


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([1, 2], "Row 1 has shape [2]; the model takes [3]."),
        ([[1, 2, 3]], "Row 1 has shape [1, 3]; the model takes [3]."),
        (5, "Row 1 is a single value; the model takes [3] of them. Write [row] for one row."),
        ("abc", "Row 1 is a single value; the model takes [3] of them. Write [row] for one row."),
        (None, "Row 1 is a single value; the model takes [3] of them. Write [row] for one row."),
        ([], "Row 1 has shape [0]; the model takes [3]."),
        ([1, [2], 3], "Row 1 is not an array of numbers of shape [3]: "),
        (["1", "2", "3"], "Row 1 holds something else than numbers; the model takes [3] of them."),
        ([1, None, 3], "Row 1 holds something else than numbers; the model takes [3] of them."),
        ([1, True, 3], "Row 1 holds something else than numbers; the model takes [3] of them."),
        ([True, False, True], "Row 1 holds something else than numbers; the model takes [3] of them."),
        ([1, 2j, 3], "Row 1 holds something else than numbers; the model takes [3] of them."),
        ([1, float("nan"), 3], "Row 1 holds a value that is not a finite number."),
        ([1, float("inf"), 3], "Row 1 holds a value that is not a finite number."),
        ([1, -float("inf"), 3], "Row 1 holds a value that is not a finite number."),
        ([1, 1e300, 3], "Row 1 holds a value that is not a finite number."),
        ([0, 1, 17], "Row 1 holds values from 0 to 17; they must lie in [0, 16]."),
        ([-0.5, 1, 2], "Row 1 holds values from -0.5 to 2; they must lie in [0, 16]."),
    ],
)
def test_row_is_named_with_what_is_wrong_when_it_does_not_fit(row, message):
    with pytest.raises(InputError) as caught:
        ArrayProcessor([3], low=0, high=16).arrays([[1, 2, 3], row])
    assert str(caught.value).startswith(message)


def test_open_end_is_shown_when_only_one_limit_is_set():
    with pytest.raises(InputError, match=r"they must lie in \[-inf, 1\]\.$"):
        ArrayProcessor([1], high=1).arrays([[2]])
    with pytest.raises(InputError, match=r"they must lie in \[1, inf\]\.$"):
        ArrayProcessor([1], low=1).arrays([[0]])


@pytest.mark.parametrize("row", [[0, 16, 8], (0, 16, 8), np.array([0, 16, 8], dtype=np.uint8), np.array([0.0, 16, 8])])
def test_values_come_through_unchanged_when_they_fit(row):
    (encoded,) = ArrayProcessor([3], low=0, high=16).arrays([row])
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [0, 16, 8]


def test_rows_of_many_axes_are_stacked_when_they_are_collated():
    processor = ArrayProcessor([2, 3])
    rows = processor.preprocess([np.arange(6).reshape(2, 3).tolist(), np.zeros((2, 3), dtype=bool)])
    batch = processor.batch(rows)["features"]
    assert batch.shape == (2, 2, 3)
    assert processor.bucket(rows[0]) == processor.bucket(rows[1])
    assert processor.net_arguments == {"in_features": 6}
    assert processor.input_specs[0].shape == (-1, 2, 3)


def test_processor_is_the_same_when_it_was_saved_and_loaded(tmp_path):
    processor = ArrayProcessor([2, 3], low=-1.5)
    processor.save(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert load_processor(processor.record(), tmp_path).record() == processor.record()


def test_memory_stays_small_when_one_long_text_stands_among_many_values():
    tracemalloc.start()
    with pytest.raises(
        InputError, match=r"^Row 0 holds something else than numbers; the model takes \[512\] of them\.$"
    ):
        ArrayProcessor([512]).arrays([["x" * 1_000_000, *range(511)]])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


FAR = 1.7e9 + np.random.default_rng(0).normal(0, [[60.0, 1.0], [0.0, 1e9]], (1200, 2, 2))
"""Of rows (2, 2): seconds since 1970, a value that is always the same, and one that differs widely."""


def test_values_are_standardised_in_float64_when_asked_for():
    fitted = ArrayProcessor([2, 2], standardize=True).fit(list(FAR))
    found = np.stack(fitted.arrays(list(FAR)))
    deviation = FAR.std(axis=0)
    expected = (FAR - FAR.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert fitted.input_specs[0].datatype == "FP64"
    np.testing.assert_array_equal(fitted.values([FAR[0].tolist()])[0], FAR[0])


def test_values_are_standardised_alike_when_the_processor_was_saved_and_loaded(tmp_path):
    fitted = ArrayProcessor([2, 2], standardize=True).fit(list(FAR))
    fitted.save(tmp_path)
    again = load_processor(json.loads(json.dumps(fitted.record())), tmp_path)
    np.testing.assert_array_equal(again.arrays([FAR[7]]), fitted.arrays([FAR[7]]))


def test_values_come_as_they_are_when_a_record_is_older(tmp_path):
    again = load_processor({"kind": "array", "shape": [3], "low": None, "high": None}, tmp_path)
    assert again.arrays([[1, 2, 3]])[0].tolist() == [1, 2, 3]
    assert again.input_specs[0].datatype == "FP32"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([1e39, 1], "Row 1 holds a value that lies further from the mean of its training rows than float32 can count"),
        ([1e200, 1], "Row 1 holds a value that is not a finite number, or beyond 1e+150 in size."),
        ([-0.5, 1e300], "Row 1 holds a value that is not a finite number, or beyond 1e+150 in size."),
    ],
)
def test_row_is_named_when_it_cannot_be_standardised(row, message):
    fitted = ArrayProcessor([2], standardize=True).fit([[0, 1], [1, 2]])
    with pytest.raises(InputError) as caught:
        fitted.arrays([[0, 1], row])
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32, np.float64])
def test_rows_of_one_array_give_what_they_give_one_by_one(kind, standardize):
    rows = np.random.default_rng(0).integers(0, 17, (5, 2, 3)).astype(kind)
    processor = ArrayProcessor([2, 3], low=0, high=16, standardize=standardize).fit(rows)
    together, alone = processor.preprocess(rows), processor.preprocess(list(rows))
    for found, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(found["values"], expected["values"])
        assert found["values"].dtype == np.float32
    batches = [processor.batch(features)["features"] for features in (together, together[1:3], alone, alone[1:3])]
    np.testing.assert_array_equal(batches[0], batches[2])
    np.testing.assert_array_equal(batches[1], batches[3])


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (np.nan, "Row 3 holds a value that is not a finite number"),
        (17, "Row 3 holds values from 0 to 17; they must lie"),
    ],
)
def test_row_of_one_array_is_named_when_it_is_refused(value, cause):
    rows = np.zeros((5, 4), np.float32)
    rows[3, 2] = value
    with pytest.raises(InputError, match=cause):
        ArrayProcessor([4], low=0, high=16).preprocess(rows)


def test_row_of_one_array_is_named_when_it_cannot_be_standardised():
    fitted = ArrayProcessor([1], standardize=True).fit([[0.0], [1e-50], [2e-50]])
    with pytest.raises(InputError, match=r"^Row 1 holds a value that lies further from the mean"):
        fitted.preprocess(np.array([[0.0], [1.0]]))


def test_features_are_the_processors_own_when_rows_are_one_array():
    rows = np.zeros((2, 4), np.float32)
    features = ArrayProcessor([4]).preprocess(rows)
    rows[:] = 1
    assert not features[1]["values"].any()

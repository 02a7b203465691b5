"""Models take turns, and a ratio is taken turn by turn."""

import numpy as np
import pytest

from maas.evidence.benchmark import interleaved, latency, timed_batches


def test_models_take_turns_when_they_are_timed():
    calls: list[str] = []
    times = interleaved({name: lambda name=name: calls.append(name) for name in "ab"}, rounds=3, min_turn_s=0)
    assert calls[-6:] == ["a", "b"] * 3
    assert {name: values.shape for name, values in times.items()} == {"a": (3,), "b": (3,)}
    assert all((values >= 0).all() for values in times.values())


def test_short_run_is_repeated_within_its_turn_when_a_turn_has_a_length():
    calls: list[int] = []
    interleaved({"a": lambda: calls.append(1)}, rounds=2, min_turn_s=0.002)
    assert len(calls) > 100


def test_latency_is_the_quartiles_when_written_out():
    baseline = np.array([10.0, 20.0, 30.0, 40.0, 50.0])
    found = latency(baseline / 2, baseline, batch_size=8, threads=2)
    assert (found.batch_size, found.threads) == (8, 2)
    assert (found.median_ms, found.iqr_ms) == pytest.approx((15, 10))
    assert (found.ratio, found.ratio_low, found.ratio_high) == pytest.approx((0.5, 0.5, 0.5))


def test_ratio_is_unmoved_when_the_machine_slows_down_for_both():
    baseline = np.array([1.0, 1.0, 9.0, 9.0])
    assert latency(baseline * 0.8, baseline, 1, 1).ratio == pytest.approx(0.8)


def test_timed_batches_are_full_and_of_one_padded_size_each(text_processor):
    features = [{text_processor.feature: np.zeros(length, np.int64)} for length in [3, 9, 4, 17, 5, 10, 6, 7, 11]]
    sizes = [text_processor.bucket(row) for row in features]
    batches = timed_batches(text_processor, features, 3, count=2)
    assert [len(batch) for batch in batches] == [3, 3]
    assert all(len({sizes[index] for index in batch}) == 1 for batch in batches)


def test_rows_are_taken_again_when_no_padded_size_has_enough(text_processor):
    features = [{text_processor.feature: np.zeros(length, np.int64)} for length in (3, 30)]
    assert timed_batches(text_processor, features, 4, count=2) == [[0, 1, 0, 1]]

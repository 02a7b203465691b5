"""What a model's work is estimated to take, from what was measured when it was loaded."""

import time

import numpy as np
import pytest

from maas.runtime.bundle import Bundle
from maas.serving.costs import Costs, longest_row, measured, size_of
from maas.serving.executors import INLINE_BELOW_S


class Timed:
    """A model whose run takes a time for each byte of its rows; it refuses rows that are too long."""

    def __init__(self, predictor, seconds_per_byte: float, batch_size: int, most_bytes: int = 10**9) -> None:
        self.processor = predictor.processor
        self.batch_size = batch_size
        self.runs: list[tuple[int, int]] = []
        self._seconds_per_byte = seconds_per_byte
        self._most_bytes = most_bytes

    def run(self, features):
        sizes = list(map(size_of, features))
        if max(sizes) > self._most_bytes:
            raise RuntimeError("invalid expand shape")
        self.runs.append((len(features), max(sizes)))
        if self._seconds_per_byte:
            time.sleep(self._seconds_per_byte * sum(sizes))
        return {}


@pytest.fixture(scope="module")
def text_bundle(bundles, tmp_path_factory) -> Bundle:
    return Bundle.open(bundles.text_bundle(tmp_path_factory.mktemp("costs") / "text", batch_size=32))


def test_longest_row_fills_the_models_tokens_when_golden_rows_do_not(text_bundle):
    processor = text_bundle.predictor.processor
    row = longest_row(processor, ["bad", "好"])
    assert [sum(array.size for array in one.values()) for one in processor.preprocess(["bad", row])] == [3, 64]


def test_run_is_short_when_a_full_batch_of_the_longest_rows_is(text_bundle):
    costs = measured(Timed(text_bundle.predictor, 0.0, batch_size=32), text_bundle.golden.inputs)
    assert costs.rows == 32
    assert costs.is_inline


def test_full_batch_is_not_measured_when_one_row_is_too_long_for_the_loop(text_bundle):
    model = Timed(text_bundle.predictor, 1e-5, batch_size=1024)
    costs = measured(model, text_bundle.golden.inputs)
    assert (costs.rows, max(rows for rows, _ in model.runs)) == (1, 1)
    assert not costs.is_inline
    assert costs.longest_run_s >= 1e-5 * 64 * 8


def test_batch_belongs_in_a_thread_when_it_is_large_though_a_single_row_is_short(text_bundle):
    model = Timed(text_bundle.predictor, 1e-6, batch_size=1024)
    costs = measured(model, text_bundle.golden.inputs)
    assert not costs.is_inline
    assert costs.run_s(1024 * 64 * 8) > INLINE_BELOW_S


def test_estimates_grow_with_size_and_are_never_below_the_shortest_run():
    costs = Costs(shortest_run_s=1e-4, run_s_per_byte=1e-6, preprocess_s_per_byte=1e-7, rows=8, longest_run_s=5e-4)
    assert costs.run_s(1) == 1e-4
    assert costs.run_s(1000) == pytest.approx(1e-3)
    assert costs.preprocess_s(10_000) == pytest.approx(1e-3)


def test_model_is_measured_by_its_golden_rows_when_it_cannot_run_longer_ones(text_bundle, caplog):
    model = Timed(text_bundle.predictor, 0.0, batch_size=4, most_bytes=20 * 8)
    costs = measured(model, ["bad", "好"])
    assert max(size for _, size in model.runs) == 3 * 8
    assert costs.rows == 4
    assert "cannot run its longest rows, which will be answered by 500: invalid expand shape." in caplog.text


def test_files_are_never_preprocessed_on_the_loop(bundles, tmp_path):
    bundle = Bundle.open(bundles.image_bundle(tmp_path / "image"))
    assert measured(bundle.predictor, bundle.golden.inputs).preprocess_s(1) == np.inf


@pytest.mark.parametrize(
    ("shortest_run_s", "longest_run_s", "is_inline"),
    [(1e-5, 2e-5, True), (3e-5, 2e-5, True), (0.3, 2e-5, False), (1e-5, 0.3, False)],
)
def test_run_is_inline_when_both_measurements_are_short_whichever_is_longer(shortest_run_s, longest_run_s, is_inline):
    assert Costs(shortest_run_s, 0.0, 0.0, 8, longest_run_s).is_inline == is_inline

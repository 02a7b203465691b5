"""Ranges of activations against closed forms."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from maas.errors import ExportError
from maas.onnx_graphs.ranges import entropy_range, measured_ranges, percentile_range

ROWS = np.random.default_rng(0).normal(size=(4, 500, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def doubling() -> onnx.ModelProto:
    """Computes 2 x and whether x is positive, which is no float."""
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["batch", 2]) for end in ("x", "out")]
    nodes = [
        helper.make_node("Add", ["x", "x"], ["twice"], name="add"),
        helper.make_node("Greater", ["x", "zero"], ["positive"], name="greater"),
        helper.make_node("Neg", ["twice"], ["out"], name="neg"),
    ]
    zero = onnx.numpy_helper.from_array(np.float32(0), "zero")
    graph = helper.make_graph(nodes, "main", ends[:1], ends[1:], [zero])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def ranges(graph, method, rows=ROWS, coverage=0.9):
    return measured_ranges(graph, ["x", "twice", "positive", "out"], [{"x": one} for one in rows], method, coverage)


def test_range_holds_all_values_of_all_batches_when_it_is_minmax(doubling):
    low, high = float(ROWS.min()), float(ROWS.max())
    assert ranges(doubling, "minmax") == {"x": (low, high), "twice": (2 * low, 2 * high), "out": (-2 * high, -2 * low)}


def test_zero_is_inside_when_no_value_is_negative(doubling):
    assert ranges(doubling, "minmax", np.abs(ROWS) + 1)["x"] == (0.0, pytest.approx(np.abs(ROWS).max() + 1))


def test_tails_are_cut_off_when_it_is_percentile(doubling):
    bin_width = float(np.ptp(ROWS)) / 2048
    expected = [np.quantile(ROWS, 0.05, method="lower"), np.quantile(ROWS, 0.95, method="higher")]
    np.testing.assert_allclose(ranges(doubling, "percentile")["x"], expected, atol=2 * bin_width)


def test_quantiles_are_exact_to_a_bin_when_all_bins_are_equal():
    assert percentile_range(np.ones(1000, np.int64), (-1.0, 1.0), 0.9) == pytest.approx((-0.9, 0.9), abs=0.003)
    assert percentile_range(np.ones(1000, np.int64), (-1.0, 1.0), 1.0) == (-1.0, 1.0)


def test_nothing_is_lost_when_values_are_uniform_and_outliers_are_cut_when_they_are_rare():
    assert entropy_range(np.full(2048, 9), (0.0, 1.0)) == (0.0, 1.0)
    values = np.append(np.random.default_rng(0).normal(size=100_000), [-50.0, 50.0])
    low, high = entropy_range(np.histogram(values, 2048, (-50.0, 50.0))[0], (-50.0, 50.0))
    assert -12 < low < -3
    assert 3 < high < 12


def test_span_stays_when_all_values_are_zero():
    counts = np.zeros(2048, np.int64)
    counts[0] = 100
    assert entropy_range(counts, (0.0, 1.0)) == (0.0, 1.0)


def test_refusal_names_the_tensor_when_it_is_not_finite(doubling):
    rows = np.full((1, 1, 2), np.inf, dtype=np.float32)
    with pytest.raises(ExportError, match=r"^Tensor x is not finite on training rows; ranges for int8 cannot be"):
        ranges(doubling, "minmax", rows)
    rows[0, 0, 1] = np.nan
    with pytest.raises(ExportError, match=r"^Tensor x is not finite on training rows; "):
        ranges(doubling, "minmax", np.where(np.isnan(rows), rows, 1))
    with pytest.raises(ExportError, match=r"^There are no training rows; "):
        ranges(doubling, "minmax", [])

"""The ranges of a graph's tensors over training rows; no more than one batch's activations are in memory at a time."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from maas.errors import ExportError
from maas.onnx_graphs.running import activations
from maas.runtime.codec import ModelInputs

RangeMethod = Literal["minmax", "entropy", "percentile"]

ValueRange = tuple[float, float]

BINS, LEVELS, STEP = 2048, 256, 16
"""Bins of a histogram; levels of uint8; bins between two ranges that are compared."""

_EMPTY_FRACTION = 1e-9
"""Fraction of the values that stands for none, where a logarithm needs a number above 0."""


def measured_ranges(
    graph: onnx.ModelProto,
    names: Sequence[str],
    model_inputs: Iterable[ModelInputs],
    method: RangeMethod,
    coverage: float,
) -> dict[str, ValueRange]:
    """Returns the range of each float tensor that is to be held by int8; 0 is always inside.

    Args:
        graph: graph in fp32.
        names: names of tensors that the graph computes or is fed with.
        model_inputs: training rows, batch by batch.
        method: `minmax` takes all values; `percentile` cuts the rarest off at both ends; `entropy` cuts where the
            distribution of what is left of the values differs least from theirs.
        coverage: fraction of the values that `percentile` keeps.

    Raises:
        ExportError: there are no rows, or a tensor is not finite.

    Source:
        Migacz, 8-bit inference with TensorRT, GTC 2017, for `entropy`.
    """
    model_inputs = list(model_inputs)
    spans: dict[str, ValueRange] = {}
    broken: list[str] = []
    for name, values in activations(graph, names, model_inputs):
        low, high = spans.get(name, (0.0, 0.0))
        spans[name] = min(low, float(values.min())), max(high, float(values.max()))
        if not np.isfinite(values).all():
            broken.append(name)
    if broken or not model_inputs:
        found = f"Tensor {broken[0]} is not finite on training rows" if broken else "There are no training rows"
        raise ExportError(f"{found}; ranges for int8 cannot be measured.")
    if method == "minmax":
        return spans
    counts = {name: np.zeros(BINS, np.int64) for name in spans}
    for name, values in activations(graph, names, model_inputs):
        counts[name] += np.histogram(values, BINS, spans[name])[0]
    cut = {"percentile": lambda one, span: percentile_range(one, span, coverage), "entropy": entropy_range}[method]
    return {name: cut(counts[name], span) for name, span in spans.items()}


def percentile_range(counts: NDArray[Any], span: ValueRange, coverage: float) -> ValueRange:
    """Returns the range between the quantiles (1 - coverage) / 2 and (1 + coverage) / 2, to a bin.

    Args:
        counts: values in each of equal bins, (B,).
        span: range of all bins.
        coverage: fraction of the values inside, in (0, 1].
    """
    edges = np.linspace(*span, len(counts) + 1)
    cumulated = np.cumsum(counts) / max(counts.sum(), 1)
    tail = (1 - coverage) / 2
    low, high = edges[np.searchsorted(cumulated, tail, side="right")], edges[np.searchsorted(cumulated, 1 - tail) + 1]
    return min(float(low), 0.0), max(float(high), 0.0)


def entropy_range(counts: NDArray[Any], span: ValueRange) -> ValueRange:
    """Returns the range, shrunk towards 0 on both sides alike, whose 256 levels lose the least information.

    The values at 0 are left out: they are exact in every range, and there are many after a Relu.

    Args:
        counts: values in each of equal bins, (B,).
        span: range of all bins; holds 0.
    """
    edges = np.linspace(*span, len(counts) + 1)
    zero = int(np.clip(np.searchsorted(edges, 0.0, side="right") - 1, 0, len(counts) - 1))
    counts = counts.copy()
    counts[zero] = 0
    if not counts.any():
        return span
    below, above = zero, len(counts) - zero - 1
    fractions = [kept / len(counts) for kept in range(LEVELS, len(counts) + 1, STEP)]
    ends = [(below - round(below * fraction), zero + 1 + round(above * fraction)) for fraction in fractions]
    start, stop = min(ends, key=lambda one: _divergence(counts, *one))
    return min(float(edges[start]), 0.0), max(float(edges[stop]), 0.0)


def _divergence(counts: NDArray[Any], start: int, stop: int) -> float:
    """Returns KL(p ‖ q) of the values clipped to bins [start, stop), p, and of what 256 levels make of them, q."""
    inside = counts[start:stop].astype(np.float64)
    p = inside.copy()
    p[0] += counts[:start].sum()
    p[-1] += counts[stop:].sum()
    level = np.arange(len(inside)) * LEVELS // len(inside)
    filled = inside > 0
    sums, widths = np.bincount(level, inside, LEVELS), np.bincount(level, filled, LEVELS)
    q = np.where(filled, (sums / np.maximum(widths, 1))[level], 0.0)
    p, q = p / p.sum(), np.maximum(q / max(q.sum(), 1.0), _EMPTY_FRACTION)
    some = p > 0
    return float(np.sum(p[some] * np.log(p[some] / q[some])))

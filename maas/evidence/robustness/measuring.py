"""The metric at each strength of each perturbation."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.evidence.robustness.base import perturbations_of
from maas.records.evidence import Interval, RobustnessCurve
from maas.runtime.model import Predictor

MOST_DISTURBED_ROWS = 300

Metric = Callable[[NDArray[Any], NDArray[Any]], Interval]
"""Targets (N,) and the model's plain numbers (N, K) to a value with its interval."""


def curves(
    predictor: Predictor,
    metric: Metric,
    rows: Sequence[Any],
    targets: NDArray[Any],
    *,
    name: str,
    seed: int = 0,
    most_rows: int = MOST_DISTURBED_ROWS,
) -> tuple[RobustnessCurve, ...]:
    """Measures a model on inputs that get worse, the same rows for each strength.

    Args:
        predictor: the model.
        metric: of its answers.
        rows: raw rows that the model has not learnt from.
        targets: (N,).
        name: the metric's.
        seed: random seed of the choice of rows and of the perturbations.
        most_rows: are measured.

    Returns:
        A curve a perturbation; none where none is known for this kind of input.
    """
    picked = np.sort(np.random.default_rng(seed).permutation(len(rows))[:most_rows])
    sample, wanted = [rows[index] for index in picked.tolist()], targets[picked]
    return tuple(
        RobustnessCurve(
            name=one.name,
            unit=one.unit,
            metric=name,
            rows=len(sample),
            strengths=one.strengths,
            values=tuple(
                metric(wanted, _predictions(predictor, one.rows_at(strength, sample, np.random.default_rng(seed))))
                for strength in one.strengths
            ),
        )
        for one in perturbations_of(predictor.processor)
    )


def _predictions(predictor: Predictor, rows: list[Any]) -> NDArray[Any]:
    return predictor.postprocessor.scores(predictor.outputs(rows))

"""From measured steps to the seconds of a training: arithmetic, and nothing of torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WARM_UP = 3
"""First steps that are left out: they allocate memory and choose kernels."""
OUTLIER_DEVIATIONS = 5.0
"""Robust deviations from the line beyond which a step was disturbed, and is left out."""


FEWEST, LONGEST = 20, 3.0
"""Steps after those that warm up, however slow; and how many times the wanted seconds they may take at most."""


@dataclass(frozen=True)
class TimedBatch:
    """One timed batch.

    Args:
        size: its padded size, rows times the largest row.
        seconds: from the end of the batch before to its own end.
    """

    size: int
    seconds: float


@dataclass(frozen=True)
class Loop:
    """How long a training lasts.

    Args:
        batches: of an epoch.
        epochs: None where nothing bounds them.
        total_batches: of all epochs, the last of which may end early; None likewise.
        validations: of an epoch, or the fraction of the epochs that are validated.
    """

    batches: int
    epochs: int | None
    total_batches: int | None
    validations: float


@dataclass(frozen=True)
class Watched:
    """What was timed of a training.

    Args:
        loop: length of the whole training.
        steps: training batches in their order.
        sizes: padded sizes of all training batches of an epoch.
        validated: batches of the validations that were timed, one after another.
        validation_size: the padded sizes of all validation batches, summed.
        end_s: seconds of an epoch's end without its validation batches: metrics, checkpoint, hooks; on average.
        looped_s: seconds from the first epoch's start to the last one's end.
        checkpoint_bytes: of a training checkpoint.
        checkpoint_s: seconds that writing one takes.
        every_s: seconds between two of them; None where none are written.
        stops_early: whether a callback may end it before.
    """

    loop: Loop
    steps: tuple[TimedBatch, ...]
    sizes: tuple[int, ...]
    validated: tuple[TimedBatch, ...]
    validation_size: int
    end_s: float
    looped_s: float
    checkpoint_bytes: int
    checkpoint_s: float
    every_s: float | None
    stops_early: bool

    @property
    def validation_s(self) -> float:
        """Seconds of all validation batches: those that were timed, by their fraction of the padded size."""
        size = sum(step.size for step in self.validated)
        return sum(step.seconds for step in self.validated) * self.validation_size / size if size else 0.0

    @property
    def seconds(self) -> float | None:
        """Of the whole training; None where nothing bounds it."""
        if self.loop.total_batches is None or self.loop.epochs is None:
            return None
        ends = self.loop.epochs * (self.end_s + self.loop.validations * self.validation_s)
        looped = self.loop.total_batches * mean_seconds(self.steps, self.sizes) + ends
        points = looped // self.every_s if self.every_s else 0
        return float(looped + points * self.checkpoint_s)


def is_enough(count: int, timed_s: float, wanted_s: float) -> bool:
    """Whether so many steps in so many seconds are enough for an estimate.

    Args:
        count: of steps, those that warm up among them.
        timed_s: seconds that they took.
        wanted_s: seconds that are enough for `FEWEST` steps or more.
    """
    return timed_s >= wanted_s and (count >= WARM_UP + FEWEST or timed_s >= LONGEST * wanted_s)


def mean_seconds(steps: Sequence[TimedBatch], sizes: Sequence[int]) -> float:
    """Returns the mean seconds of a step over batches of given sizes, from a sample of them that was timed.

    The regression estimator: t̄ + b · (s̄ of all − s̄ of the sample), with b the slope of seconds over padded sizes;
    where all are of one size, the mean. Steps that warm up are left out, and those far from the line.

    Args:
        steps: one or more, in their order.
        sizes: padded sizes of all batches.

    Source:
        Cochran, Sampling Techniques, 3rd edition, §7.1.
    """
    kept = steps[WARM_UP:] if len(steps) >= 3 * WARM_UP else steps[-1:]
    x = np.array([step.size for step in kept], dtype=np.float64)
    y = np.array([step.seconds for step in kept])
    near = _near(y - _slope(x, y) * x)
    x, y = x[near], y[near]
    return float(max(y.mean() + _slope(x, y) * (np.mean(sizes) - x.mean()), y.min()))


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Returns b ≥ 0 of least squares; 0 where x hardly differs."""
    spread = float(((x - x.mean()) ** 2).sum())
    if spread <= 1e-6 * len(x) * x.mean() ** 2:
        return 0.0
    return max(0.0, float(((x - x.mean()) * (y - y.mean())).sum()) / spread)


def _near(residuals: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Returns which residuals lie within `OUTLIER_DEVIATIONS` robust deviations (1.4826 · MAD) of their median."""
    distance = np.abs(residuals - np.median(residuals))
    rounding = 1e-9 * np.abs(residuals).max()
    near: NDArray[np.bool_] = distance <= OUTLIER_DEVIATIONS * 1.4826 * np.median(distance) + rounding
    return near


def extrapolated(small: tuple[int, float], large: tuple[int, float], rows: int) -> float:
    """Returns seconds for `rows` by the power law through two timed sizes; its exponent lies within 0.5 and 1.5.

    Args:
        small: rows and seconds.
        large: more rows, and seconds.
        rows: at least as many as `large`.
    """
    exponent = np.log(large[1] / small[1]) / np.log(large[0] / small[0]) if large[0] > small[0] else 1.0
    return float(large[1] * (rows / large[0]) ** np.clip(exponent, 0.5, 1.5))

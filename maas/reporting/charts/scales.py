"""Scales of axes: where a value lies, and which values have a tick."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from math import ceil, floor, isfinite, log10

TICK_STEPS = (1.0, 2.0, 5.0)
MARGIN_FRACTION = 0.05
MOST_TICKS = 6


@dataclass(frozen=True)
class Scale:
    """An axis of numbers.

    Args:
        low: value at its beginning.
        high: value at its end, above `low`.
        is_log: whether equal ratios are equal distances; both ends are then above 0.
    """

    low: float
    high: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Returns where a value lies: 0 at the beginning, 1 at the end; values beyond are at the ends."""
        if self.is_log:
            low, high, value = log10(self.low), log10(self.high), log10(max(value, self.low))
        else:
            low, high = self.low, self.high
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def ticks(self) -> list[float]:
        """Returns round values between the ends, six at most."""
        return self._log_ticks() if self.is_log else self._linear_ticks()

    def _linear_ticks(self) -> list[float]:
        step = next(step for step in _round_steps(self.high - self.low) if (self.high - self.low) / step <= MOST_TICKS)
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [round(index * step, 12) for index in range(first, last + 1)]

    def _log_ticks(self) -> list[float]:
        powers = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
        inside = [
            factor * 10.0**power
            for power in powers
            for factor in TICK_STEPS
            if self.low <= factor * 10.0**power * (1 + 1e-9) and factor * 10.0**power <= self.high * (1 + 1e-9)
        ]
        if len(inside) <= MOST_TICKS:
            return inside if len(inside) > 1 else [self.low, self.high]
        decades = [tick for tick in inside if abs(log10(tick) - round(log10(tick))) < 1e-9]
        return decades[:: ceil(len(decades) / MOST_TICKS)]


def scale_over(values: Iterable[float], *, is_log: bool = False, ends: Iterable[float] = ()) -> Scale:
    """Returns a scale that holds values, with a margin at either side.

    Args:
        values: those to be seen; what is not finite is passed over, as is what is not above 0 on a logarithmic scale.
        is_log: whether the scale is logarithmic.
        ends: values at which the scale may end without a margin, such as 0 and 1.
    """
    found = [value for value in values if isfinite(value) and (value > 0 or not is_log)]
    low, high = (min(found), max(found)) if found else (0.1 if is_log else 0.0, 1.0)
    if is_log:
        ratio = (high / low) ** MARGIN_FRACTION if high > low else 1.5
        return Scale(low / ratio, high * ratio, is_log=True)
    margin = (high - low) * MARGIN_FRACTION or abs(high) * MARGIN_FRACTION or 1.0
    kept = set(ends)
    return Scale(
        low if low in kept and high > low else low - margin, high if high in kept and high > low else high + margin
    )


def _round_steps(span: float) -> Iterator[float]:
    """Yields 1, 2 or 5 times powers of ten, from far below a span upwards."""
    for power in count(floor(log10(span)) - 2):
        yield from (step * 10.0**power for step in TICK_STEPS)

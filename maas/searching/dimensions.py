"""What one setting varies over. Nothing here imports Optuna."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Scalar = str | int | float | bool | None
"""What a value may be that is chosen."""
Value_co = TypeVar("Value_co", bound=Scalar, covariant=True)


@dataclass(frozen=True)
class Choices(Generic[Value_co]):
    """A few values.

    Args:
        values: the values, in order.
    """

    values: tuple[Value_co, ...]

    def grid(self) -> Sequence[Value_co]:
        """Returns every value."""
        return self.values


@dataclass(frozen=True)
class NumberRange:
    """Numbers between two ends, both of which count.

    Args:
        low: smallest number.
        high: largest number; whole numbers at both ends make whole numbers between.
        step: distance of neighbours; None for any number.
        is_log: whether equal ratios, not equal differences, are equally likely.
    """

    low: float
    high: float
    step: float | None = None
    is_log: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers alone."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def of(self, value: object) -> float | None:
        """Returns a value as it stands in the range; None if it lies outside or between two steps."""
        if not isinstance(value, int | float) or isinstance(value, bool) or not self.low <= value <= self.high:
            return None
        steps = (value - self.low) / self.step if self.step else 0.0
        if (self.is_whole and value != int(value)) or not math.isclose(steps, round(steps), abs_tol=1e-9):
            return None
        return int(value) if self.is_whole else float(value)

    def grid(self) -> Sequence[float]:
        """Returns every value; none where any number is one."""
        step = self.step or (1 if self.is_whole else None)
        if step is None:
            return ()
        count = round((self.high - self.low) / step) + 1
        return [
            self.low + index * step if self.is_whole else round(self.low + index * step, 12) for index in range(count)
        ]

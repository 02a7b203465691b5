"""The space of a sweep: which keys of a recipe vary, and over what, read from overrides in Hydra's grammar.

Source: https://hydra.cc/docs/advanced/override_grammar/extended/
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from omegaconf import OmegaConf

from maas.errors import ConfigError
from maas.searching.dimensions import Choices, NumberRange


@dataclass(frozen=True)
class SweepSpace:
    """What a command line keeps and what it varies.

    Args:
        fixed: overrides that every trial has.
        written: what each swept key varies over, as the command line has it.
        first: one value of each swept key.
        dimensions: what each swept key varies over; without those that only Hydra can list (`glob`).
        listed: the values of each swept key that has a list of them, as an override writes them.
        globs: patterns of keys that vary over the names in a group.
    """

    fixed: tuple[str, ...]
    written: dict[str, str]
    first: dict[str, str]
    dimensions: dict[str, Choices[str] | NumberRange]
    listed: dict[str, tuple[str, ...]]
    globs: dict[str, Glob]

    @classmethod
    def read(cls, overrides: Sequence[str]) -> "SweepSpace":
        """Reads a command line.

        Raises:
            ConfigError: faults of overrides, a line each.
        """
        parsed, faults = [], []
        for override in overrides:
            try:
                parsed.append(OverridesParser.create().parse_override(override))
            except HydraException as error:
                faults.append(_unreadable(override, error))
        swept = [one for one in parsed if one.is_sweep_override()]
        dimensions: dict[str, Choices[str] | NumberRange] = {}
        for one in swept:
            try:
                dimensions.update(_dimension(one))
            except ConfigError as fault:
                faults.append(str(fault))
        if faults:
            raise ConfigError("\n".join(faults))
        return cls(
            fixed=tuple(_written(one) for one in parsed if not one.is_sweep_override()),
            written={one.get_key_element(): _written(one).partition("=")[2] for one in swept},
            first={key: str(_first(dimension)) for key, dimension in dimensions.items()},
            dimensions=dimensions,
            listed={key: found for one in swept for key, found in _listed(one)},
            globs=dict(_globs(swept)),
        )

    @property
    def point(self) -> list[str]:
        """The overrides of one combination, for finding what is wrong with all of them."""
        return [*self.fixed, *(f"{key}={value}" for key, value in self.first.items())]


def own_value(dimension: Choices[str] | NumberRange, value: object) -> str | float | None:
    """Returns a recipe's own value as it stands in a dimension; None if it is none of its values."""
    if isinstance(dimension, NumberRange):
        return dimension.of(value)
    return next((one for one in dimension.values if OmegaConf.from_dotlist([f"v={one}"])["v"] == value), None)


def plain(key: str) -> str:
    """Returns a key of the recipe without the sign that adds it (`+optimizer.nesterov`)."""
    return key.lstrip("+")


def _written(override: Override) -> str:
    return str(override.input_line)


def _unreadable(override: str, error: HydraException) -> str:
    key, _, value = override.partition("=")
    if "(" not in value:
        return f"{override!r} is not an override; write key=value, and quote values with spaces or commas."
    reason = str(error).splitlines()[0].partition("': ")[2]
    return f"{override} cannot be read: {reason}. Write e.g. {key}=interval(0.001,0.1) or {key}=choice(1,2,3)."


def _dimension(override: Override) -> Iterator[tuple[str, Choices[str] | NumberRange]]:
    """Yields the key of an override and what it varies over; nothing for `glob`."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        yield override.get_key_element(), _interval(_written(override), value)
    elif isinstance(value, RangeSweep):
        yield override.get_key_element(), _range(_written(override), value)
    elif override.is_choice_sweep() and hasattr(value, "list"):
        yield override.get_key_element(), Choices(tuple(override.sweep_string_iterator()))


def _globs(swept: Sequence[Override]) -> Iterator[tuple[str, Glob]]:
    for one in swept:
        value: object = one.value()
        if isinstance(value, Glob):
            yield one.get_key_element(), value


def _listed(override: Override) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields the key of an override and its values, as an override writes them; nothing where they are not listed."""
    if not isinstance(override.value(), Glob | IntervalSweep):
        yield override.get_key_element(), tuple(override.sweep_string_iterator())


def _interval(written: str, sweep: IntervalSweep) -> NumberRange:
    low, high, is_log = sweep.start, sweep.end, _is_log(written, sweep.tags)
    if low is None or high is None or not low < high or not math.isfinite(high - low):
        raise ConfigError(f"{written} ends before it begins. Write the smaller number first.")
    if is_log and low <= 0:
        raise ConfigError(f"{written} begins at {low}; tag(log,…) requires numbers above 0.")
    return NumberRange(low, high, is_log=is_log)


def _range(written: str, sweep: RangeSweep) -> NumberRange:
    start, stop, step = sweep.start, sweep.stop, sweep.step
    if _is_log(written, sweep.tags):
        raise ConfigError(f"{written}: tag(log,…) takes an interval.")
    count = math.ceil(round((stop - start) / step, 9)) if start is not None and stop is not None and step else 0
    if start is None or count < 1:
        raise ConfigError(f"{written} holds no value. Write range(START,STOP,STEP), with STOP after START.")
    last = start + (count - 1) * step
    if not all(isinstance(number, int) for number in (start, step)):
        start, last = float(start), round(float(last), 12)
    return NumberRange(min(start, last), max(start, last), abs(step))


def _is_log(written: str, tags: set[str]) -> bool:
    if tags - {"log"}:
        raise ConfigError(f"{written} is tagged {', '.join(sorted(tags - {'log'}))}; the only tag is log.")
    return bool(tags)


def _first(dimension: Choices[str] | NumberRange) -> str | float:
    return dimension.values[0] if isinstance(dimension, Choices) else dimension.low

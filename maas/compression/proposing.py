"""Settings of passes that are worth a try: Optuna looks where cheaper nets kept the budget."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_type_hints

import msgspec
import optuna

from maas.compression.passes import Pass
from maas.compression.store import settings_of
from maas.errors import BudgetError

Range = Mapping[str, Any] | list[Any]
"""As a recipe writes it."""


@dataclass(frozen=True)
class Span:
    """Numbers from `low` to `high`, on a grid of `step` or evenly by their logarithms."""

    low: float
    high: float
    step: float | None
    log: bool


Choice = list[Any] | Span


@dataclass(frozen=True)
class Proposal:
    """Passes with settings to try.

    Args:
        number: from 0.
        passes: by name, in order.
        key: the same for the same settings.
        trial: Optuna's own.
    """

    number: int
    passes: Mapping[str, Any]
    key: str
    trial: optuna.Trial


class Proposals:
    """Proposes settings within a space, one after another; the same answers bring the same proposals.

    Args:
        passes: with the settings that are not searched, by name.
        space: pass → setting → a list of values, or `{low, high}` with `step` or `log`.
        seed: of the sampler.

    Raises:
        BudgetError: the space names what there is not, or a range cannot be read.
    """

    def __init__(self, passes: Mapping[str, Pass], space: Mapping[str, Mapping[str, Range]], seed: int) -> None:
        self._space = _read(passes, space)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        self._passes = passes

    def ask(self) -> Proposal:
        """Returns the next proposal."""
        trial = self._study.ask()
        passes = dict(self._passes)
        for name, ranges in self._space.items():
            values = {key: _suggested(trial, f"{name}.{key}", one) for key, one in ranges.items()}
            passes[name] = replace(passes[name], **values)
        return Proposal(trial.number, passes, repr(sorted(trial.params.items())), trial)

    def tell(self, proposal: Proposal, cost: float, excess: float) -> None:
        """Says what a proposal gave.

        Args:
            proposal: as it was asked for.
            cost: parameters times multiply-accumulates.
            excess: by how much the budget is exceeded; 0 or less where it is kept.
        """
        proposal.trial.set_constraint("excess", excess)
        self._study.tell(proposal.trial, math.log(cost))


def _suggested(trial: optuna.Trial, name: str, one: Choice) -> Any:
    if isinstance(one, list):
        return trial.suggest_categorical(name, one)
    if isinstance(one.low, int) and isinstance(one.high, int):
        return trial.suggest_int(name, one.low, one.high, step=int(one.step or 1), log=one.log)
    return trial.suggest_float(name, one.low, one.high, step=one.step, log=one.log)


def _read(passes: Mapping[str, Pass], space: Mapping[str, Mapping[str, Range]]) -> dict[str, dict[str, Choice]]:
    """Returns a space whose values have the types of the settings.

    Raises:
        BudgetError: it names what there is not, holds what a setting does not take, or a range cannot be read.
    """
    found: dict[str, dict[str, Choice]] = {}
    for name, ranges in space.items():
        if name not in passes:
            raise BudgetError(f"compress.space names the pass {name}; there are {', '.join(passes) or 'none'}.")
        known, types = settings_of(passes[name]), get_type_hints(type(passes[name]), include_extras=True)
        for key, one in ranges.items():
            if key not in known:
                raise BudgetError(f"compress.space.{name} names the setting {key}; there are {', '.join(known)}.")
            found.setdefault(name, {})[key] = _choice(f"compress.space.{name}.{key}", one, types[key])
    return found


def _choice(path: str, one: Range, kind: Any) -> Choice:
    if isinstance(one, list) and one:
        return [_value(path, value, kind) for value in one]
    if not isinstance(one, Mapping) or not {"low", "high"} <= set(one) <= {"low", "high", "step", "log"}:
        raise BudgetError(
            f"{path} is {one}; it must be a list of values, or {{low: 0.3, high: 0.8}} with step or log besides."
        )
    span = Span(_value(path, one["low"], kind), _value(path, one["high"], kind), one.get("step"), bool(one.get("log")))
    if not all(isinstance(end, int | float) for end in (span.low, span.high)) or not span.low < span.high:
        raise BudgetError(f"{path} goes from {span.low} to {span.high}; low must be a number below high.")
    if span.log and (span.step is not None or span.low <= 0):
        raise BudgetError(f"{path} has log, so low must be above 0, and step be left out; it is {one}.")
    return span


def _value(path: str, value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BudgetError(f"{path} holds {value!r}, which the setting does not take: {error}.") from error

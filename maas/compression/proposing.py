"""Proposals for the settings of passes: Optuna looks where cheaper nets kept the budget."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_type_hints

import msgspec
import optuna

from maas.compression.passes import Pass
from maas.compression.store import pass_settings
from maas.errors import BudgetError

WrittenDimension = Mapping[str, Any] | list[Any]
"""A setting's values as a recipe writes them."""


@dataclass(frozen=True)
class NumberRange:
    """Numbers from `low` to `high`, on a grid of `step` or evenly by their logarithms."""

    low: float
    high: float
    step: float | None
    log: bool


SettingDimension = list[Any] | NumberRange


@dataclass(frozen=True)
class Proposal:
    """Passes with settings to try.

    Args:
        number: number of the proposal, from 0.
        passes: passes by name, in order.
        key: text that is the same for the same settings.
        trial: Optuna's trial.
    """

    number: int
    passes: Mapping[str, Any]
    key: str
    trial: optuna.Trial


class Proposals:
    """Proposes settings within a space, one after another; the same results lead to the same proposals.

    Args:
        passes: passes by name, with the settings that are not searched.
        space: pass → setting → a list of values, or `{low, high}` with `step` or `log`.
        seed: random seed of the sampler.

    Raises:
        BudgetError: the space names a pass or setting that is not there, or a range cannot be read.
    """

    def __init__(
        self, passes: Mapping[str, Pass], space: Mapping[str, Mapping[str, WrittenDimension]], seed: int
    ) -> None:
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
        """Reports the result of a proposal.

        Args:
            proposal: the proposal.
            cost: parameters times multiply-accumulates.
            excess: percentage points beyond the budget; 0 or less where it is kept.
        """
        proposal.trial.set_constraint("excess", excess)
        self._study.tell(proposal.trial, math.log(cost))


def _suggested(trial: optuna.Trial, name: str, one: SettingDimension) -> object:
    if isinstance(one, list):
        return trial.suggest_categorical(name, one)
    if isinstance(one.low, int) and isinstance(one.high, int):
        return trial.suggest_int(name, one.low, one.high, step=int(one.step or 1), log=one.log)
    return trial.suggest_float(name, one.low, one.high, step=one.step, log=one.log)


def _read(
    passes: Mapping[str, Pass], space: Mapping[str, Mapping[str, WrittenDimension]]
) -> dict[str, dict[str, SettingDimension]]:
    """Returns a space whose values have the types of the settings.

    Raises:
        BudgetError: it names a pass or setting that is not there, or holds what the setting does not take.
    """
    found: dict[str, dict[str, SettingDimension]] = {}
    for name, ranges in space.items():
        if name not in passes:
            raise BudgetError(f"compress.space names the pass {name}; there are {', '.join(passes) or 'none'}.")
        known, types = pass_settings(passes[name]), get_type_hints(type(passes[name]), include_extras=True)
        for key, one in ranges.items():
            if key not in known:
                raise BudgetError(f"compress.space.{name} names the setting {key}; there are {', '.join(known)}.")
            found.setdefault(name, {})[key] = _choice(f"compress.space.{name}.{key}", one, types[key])
    return found


def _choice(path: str, one: WrittenDimension, kind: object) -> SettingDimension:
    if isinstance(one, list) and one:
        return [_value(path, value, kind) for value in one]
    if not isinstance(one, Mapping) or not {"low", "high"} <= set(one) <= {"low", "high", "step", "log"}:
        raise BudgetError(
            f"{path} is {one}; it must be a list of values, or {{low: 0.3, high: 0.8}} and optionally step or log."
        )
    span = NumberRange(
        _value(path, one["low"], kind), _value(path, one["high"], kind), one.get("step"), bool(one.get("log"))
    )
    if not all(isinstance(end, int | float) for end in (span.low, span.high)) or not span.low < span.high:
        raise BudgetError(f"{path} goes from {span.low} to {span.high}; low must be a number below high.")
    if span.log and (span.step is not None or span.low <= 0):
        raise BudgetError(f"{path} has log, so low must be above 0, and step be left out; it is {one}.")
    return span


def _value(path: str, value: object, kind: object) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BudgetError(f"{path} holds {value!r}, which the setting does not take: {error}.") from error

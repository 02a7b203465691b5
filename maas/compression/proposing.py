"""Settings of passes that are worth a try: Optuna looks where cheaper nets kept the budget."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import optuna

from maas.compression.passes import Pass
from maas.compression.store import settings_of
from maas.errors import BudgetError

Range = Mapping[str, Any] | list[Any]


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
        _require_space(passes, space)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        self._passes = passes
        self._space = space

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


def _suggested(trial: optuna.Trial, name: str, one: Range) -> Any:
    if isinstance(one, list):
        return trial.suggest_categorical(name, one)
    low, high, step, log = one["low"], one["high"], one.get("step"), bool(one.get("log"))
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, step=step or 1, log=log)
    return trial.suggest_float(name, low, high, step=step, log=log)


def _require_space(passes: Mapping[str, Pass], space: Mapping[str, Mapping[str, Range]]) -> None:
    for name, ranges in space.items():
        if name not in passes:
            raise BudgetError(f"compress.space names the pass {name}; there are {', '.join(passes) or 'none'}.")
        known = settings_of(passes[name])
        for key, one in ranges.items():
            if key not in known:
                raise BudgetError(f"compress.space.{name} names the setting {key}; there are {', '.join(known)}.")
            if not (isinstance(one, list) and one) and not (isinstance(one, Mapping) and {"low", "high"} <= set(one)):
                raise BudgetError(
                    f"compress.space.{name}.{key} is {one}; it must be a list of values, or {{low: 0.3, high: 0.8}} "
                    "with step or log besides."
                )

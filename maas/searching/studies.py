"""What a search tries next, by Optuna: a sweep, kept on disk so that a killed one resumes; or proposals in memory."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from maas.searching.dimensions import Choices, NumberRange, Scalar

Dimension = Choices[str] | NumberRange
TrialValues = dict[str, str | float]
NAME = "sweep"
optuna.logging.set_verbosity(optuna.logging.WARNING)


class Study:
    """The trials of a sweep.

    What a trial tries depends on the seed, its number and the trials that ended before it alone: one trial at a time, a
    sweep tries the same values whenever it is run, interrupted or not.

    Args:
        journal: the file that keeps it.
        dimensions: what each key varies over.
        sampler: `tpe`, `random`, or `grid` for every combination.
        n_trials: number of trials, failed ones counted.
        seed: random seed of the sampler.
        own: the recipe's own values, tried first; None where they do not lie in the space.
        is_smaller_better: whether trials with smaller values are better.
    """

    def __init__(
        self,
        journal: Path,
        dimensions: Mapping[str, Dimension],
        *,
        sampler: str,
        n_trials: int,
        seed: int,
        own: Mapping[str, str | float] | None,
        is_smaller_better: bool = False,
    ) -> None:
        self._distributions = {key: distribution_of(dimension) for key, dimension in dimensions.items()}
        self._sampler, self._seed = sampler, seed
        self._given: list[TrialValues] = [dict(own)] if own else []
        self.limit = n_trials
        if sampler == "grid":
            rest = (one for one in _combinations(dimensions) if one not in self._given)
            self._given += itertools.islice(rest, self.limit - len(self._given))
            self.limit = len(self._given)
        storage = JournalStorage(JournalFileBackend(str(journal)))
        direction = StudyDirection.MINIMIZE if is_smaller_better else StudyDirection.MAXIMIZE
        self._study = optuna.create_study(storage=storage, study_name=NAME, direction=direction, load_if_exists=True)
        self._broken_off = {trial.number: trial.params for trial in self._trials(TrialState.RUNNING)}

    def ask(self, count: int) -> dict[int, TrialValues]:
        """Returns up to `count` trials by number, with their values; those that a killed sweep left come first."""
        trials = dict(itertools.islice(self._broken_off.items(), count))
        for number in trials:
            del self._broken_off[number]
        while len(trials) < count and self.started < self.limit:
            number, values = self._next()
            trials[number] = values
        return trials

    def tell(self, number: int, value: float | None) -> None:
        """Keeps what a trial gave; None if it failed."""
        self._study.tell(number, value, state=TrialState.FAIL if value is None else TrialState.COMPLETE)

    @property
    def started(self) -> int:
        """How many trials were begun."""
        return len(self._study.get_trials(deepcopy=False)) - len(self._trials(TrialState.WAITING))

    def _next(self) -> tuple[int, TrialValues]:
        number = self.started
        if number < len(self._given) and not self._trials(TrialState.WAITING):
            self._study.enqueue_trial(self._given[number])
        self._study.sampler = _sampler(self._sampler, self._seed, number)
        trial = self._study.ask(self._distributions)
        return trial.number, trial.params

    def _trials(self, state: TrialState) -> list[FrozenTrial]:
        found: list[FrozenTrial] = self._study.get_trials(deepcopy=False, states=(state,))
        return found


def _combinations(dimensions: Mapping[str, Dimension]) -> Iterator[TrialValues]:
    grids: list[Sequence[str | float]] = [dimension.grid() for dimension in dimensions.values()]
    for values in itertools.product(*grids):
        yield dict(zip(dimensions, values, strict=True))


def _sampler(name: str, seed: int, number: int) -> BaseSampler:
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return TPESampler(seed=own) if name == "tpe" else RandomSampler(seed=own)


def distribution_of(dimension: Choices[Scalar] | NumberRange) -> BaseDistribution:
    """Returns a dimension as Optuna draws from it."""
    if isinstance(dimension, Choices):
        return CategoricalDistribution(dimension.values)
    if dimension.is_whole:
        return IntDistribution(
            int(dimension.low), int(dimension.high), log=dimension.is_log, step=int(dimension.step or 1)
        )
    return FloatDistribution(dimension.low, dimension.high, log=dimension.is_log, step=dimension.step)


@dataclass(frozen=True)
class ProposedValues:
    """Values to try.

    Args:
        values: value of each dimension, by name.
        trial: Optuna's trial.
    """

    values: Mapping[str, object]
    trial: optuna.Trial


class Proposer:
    """Proposes values, one after another, by TPE; the same results lead to the same proposals.

    Args:
        dimensions: what each name varies over, in the order in which values are drawn.
        seed: random seed of the sampler.
    """

    def __init__(self, dimensions: Mapping[str, Choices[Scalar] | NumberRange], seed: int) -> None:
        self._distributions = {name: distribution_of(dimension) for name, dimension in dimensions.items()}
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))

    def ask(self) -> ProposedValues:
        """Returns the next proposal."""
        trial = self._study.ask(self._distributions)
        return ProposedValues(trial.params, trial)

    def tell(self, proposed: ProposedValues, cost: float, excess: float) -> None:
        """Reports the result of a proposal.

        Args:
            proposed: the proposal.
            cost: what is minimised, by its logarithm.
            excess: by how much the constraint is violated; 0 or less where it holds.
        """
        proposed.trial.set_constraint("excess", excess)
        self._study.tell(proposed.trial, math.log(cost))

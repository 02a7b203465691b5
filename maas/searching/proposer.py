"""Values that are worth a try: the cheapest within a constraint. Nothing is kept; a seed repeats its proposals."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import optuna

from maas.searching.dimensions import Choices, NumberRange, Scalar
from maas.searching.distributions import distribution_of


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

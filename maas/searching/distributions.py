"""Dimensions as Optuna's distributions."""

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from maas.searching.dimensions import Choices, NumberRange, Scalar

optuna.logging.set_verbosity(optuna.logging.WARNING)


def distribution_of(dimension: Choices[Scalar] | NumberRange) -> BaseDistribution:
    """Returns a dimension as Optuna draws from it."""
    if isinstance(dimension, Choices):
        return CategoricalDistribution(dimension.values)
    if dimension.is_whole:
        return IntDistribution(
            int(dimension.low), int(dimension.high), log=dimension.is_log, step=int(dimension.step or 1)
        )
    return FloatDistribution(dimension.low, dimension.high, log=dimension.is_log, step=dimension.step)

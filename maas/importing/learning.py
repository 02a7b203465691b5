"""Whether an estimator has learnt, and how one learns from model inputs."""

import sys
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import StackingClassifier, StackingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from maas.errors import ConfigError, one_line
from maas.importing.frames import Frame, feature_table
from maas.runtime.codec import ModelInputs

LEARNING_ERRORS: tuple[type[Exception], ...] = (
    ValueError,
    TypeError,
    AttributeError,
    NotImplementedError,
    ArithmeticError,
    IndexError,
)
"""What scikit-learn raises of rows and settings; anything else is a fault of the estimator and shows its traceback."""

ROWS_OF_ONE_THREAD = 10_000
"""Rows up to which one thread learns: of a tree of few rows, threads do little but wait for each other, busily."""


def is_fitted(estimator: BaseEstimator) -> bool:
    """Returns whether an estimator has learnt."""
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def has_method(estimator: BaseEstimator, method: str) -> bool:
    """Returns whether an estimator has a method, or will have it once it has learnt."""
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    by_default = isinstance(last, StackingClassifier | StackingRegressor) and last.final_estimator is None
    return by_default or hasattr(estimator, method)


def given(model_inputs: ModelInputs, frame: Frame | None) -> pd.DataFrame | NDArray[np.float64]:
    """Returns what an estimator is given: a frame, or float64 (N, D)."""
    return feature_table(model_inputs) if frame is None else frame.of(model_inputs)


def learnt(
    estimator: BaseEstimator, model_inputs: ModelInputs, frame: Frame | None, targets: NDArray[Any]
) -> BaseEstimator:
    """Returns a fitted copy; what draws at random draws the same on every run.

    Raises:
        ConfigError: scikit-learn refuses the rows.
    """
    fresh = clone(estimator)
    undrawn = {name: 0 for name, value in fresh.get_params().items() if name.endswith("random_state") and value is None}
    try:
        with threads_for(len(targets)):
            return fresh.set_params(**undrawn).fit(given(model_inputs, frame), targets)
    except (*LEARNING_ERRORS, *row_refusals()) as error:
        raise ConfigError(f"{type(estimator).__name__} cannot learn from these rows: {one_line(error)}.") from error


def threads_for(rows: int) -> threadpool_limits:
    """Returns a context in which scikit-learn uses the threads that so many rows are worth."""
    return threadpool_limits(limits=1 if rows <= ROWS_OF_ONE_THREAD else None)


def row_refusals() -> tuple[type[Exception], ...]:
    """Returns what an estimator raises of rows that it does not take; LightGBM's errors have no common base with any.

    Libraries that the process has not imported raise nothing.
    """
    lightgbm = sys.modules.get("lightgbm")
    return (ValueError, IndexError) if lightgbm is None else (ValueError, IndexError, lightgbm.basic.LightGBMError)

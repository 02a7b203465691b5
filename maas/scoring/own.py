"""A user's own metric: a function of targets and predictions, or of targets and scores, named by its import path."""

import importlib
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from numpy.typing import NDArray

from maas.errors import ConfigError

PREDICTIONS = ("predictions", "predicted", "y_pred")
SCORES = ("scores", "probabilities", "y_score", "y_prob", "y_proba")
"""Names of the second parameter, by what it takes."""
OF_SCORES_ALL_THE_SAME = ("log_loss", "d2_log_loss_score")
"""Functions of scikit-learn that call probabilities y_pred."""
DECLARED = "greater_is_better"
"""The attribute of a function that says which way is better, by scikit-learn's word."""
ENDINGS = {"_score": False, "_loss": True, "_error": True, "_deviance": True}
"""Whether a function whose name ends so is a loss, by scikit-learn's convention."""


@dataclass(frozen=True)
class OwnMetric:
    """A function as a metric.

    Args:
        name: import path.
        function: takes targets (N,) and either predictions (N,) or scores; gives a number.
        takes_scores: whether it takes scores.
        is_loss: whether less is better.
    """

    name: str
    function: Callable[[NDArray[Any], NDArray[Any]], float]
    takes_scores: bool
    is_loss: bool

    def value(self, targets: NDArray[Any], given: NDArray[Any]) -> float:
        """Returns its value for rows.

        Args:
            targets: positions of labels, or numbers, (N,); of sets of labels 0 and 1, (N, K).
            given: predictions as the targets are, or scores: probabilities (N, K), of two labels those of the second
                (N,), of sets those of all, or numbers (N,).

        Raises:
            ConfigError: it fails on these rows, or gives no finite number.
        """
        try:
            value = float(self.function(targets, given))
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise ConfigError(f"metric {self.name} fails on {len(targets):,} rows: {reason}.") from error
        if not math.isfinite(value):
            raise ConfigError(f"metric {self.name} is {value} of {len(targets):,} rows; it must be a finite number.")
        return value


def is_own(metric: str) -> bool:
    """Returns whether a metric is named by an import path."""
    return "." in metric


@cache
def own_metric(path: str) -> OwnMetric:
    """Returns the function that an import path names, as a metric.

    Raises:
        ConfigError: it cannot be imported or called so, or does not say which way is better.
    """
    function = _function(path)
    return OwnMetric(path, function, _takes_scores(path, function), _is_loss(path, function))


def _function(path: str) -> Callable[..., Any]:
    module, _, name = path.rpartition(".")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"metric is {path!r}, which cannot be imported: {error}. Name a function.") from error
    if not callable(function):
        raise ConfigError(f"metric is {path!r}, which is a {type(function).__name__}. Name a function.")
    found: Callable[..., Any] = function
    return found


def _takes_scores(path: str, function: Callable[..., Any]) -> bool:
    try:
        parameters = list(inspect.signature(function).parameters)
    except (ValueError, TypeError):
        parameters = []
    second = parameters[1] if len(parameters) > 1 else ""
    if second in SCORES or path.rpartition(".")[2] in OF_SCORES_ALL_THE_SAME:
        return True
    if second in PREDICTIONS:
        return False
    raise ConfigError(
        f"metric is {path!r}, a function of ({', '.join(parameters)}); it must take targets, and predictions or "
        "scores. Call its second parameter predictions, or scores."
    )


def _is_loss(path: str, function: Callable[..., Any]) -> bool:
    declared = getattr(function, DECLARED, None)
    if isinstance(declared, bool):
        return not declared
    for ending, is_loss in ENDINGS.items():
        if path.endswith(ending):
            return is_loss
    name = path.rpartition(".")[2]
    raise ConfigError(
        f"metric is {path!r}, which does not say whether more is better. Set {name}.{DECLARED} = True or False below "
        f"the function, or let its name end with {', '.join(ENDINGS)}."
    )

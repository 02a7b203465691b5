"""Which metrics a recipe may choose for each kind of target, and of which of them less is better."""

from maas.errors import ConfigError
from maas.scoring.own import is_own, own_metric

METRICS_OF_LABELS = ("accuracy", "precision", "recall", "f1", "balanced_accuracy", "mcc")
"""Metrics of predicted labels."""
METRICS_OF_PROBABILITIES = ("auc", "average_precision", "log_loss", "brier", "ece_15")
"""Metrics of the probabilities of all labels."""
METRICS_OF_SETS = ("macro_f1", "micro_f1", "samples_f1", "subset_accuracy", "hamming_loss", "average_precision")
"""Metrics of predicted sets of labels."""
METRICS_OF_NUMBERS = ("r2", "mae", "rmse", "mape")
"""Metrics of predicted numbers."""
ECE, PINBALL = "ece_", "pinball_"
"""How metrics begin whose name ends with their parameter."""
PARAMETERS = {ECE: range(2, 1001), PINBALL: range(1, 100)}
"""What the parameter may be: a number of bins, or a quantile in percent."""
SMALLER_IS_BETTER = frozenset({"log_loss", "brier", "hamming_loss", "mae", "rmse", "mape"})
"""Metrics of which less is better; so it is of those with a parameter."""

VALIDATION_PREFIX = "validation_"
"""How training names the metrics of validation rows."""


def is_loss(metric: str) -> bool:
    """Returns whether less of a metric is better.

    Raises:
        ConfigError: it is an own function that cannot be a metric.
    """
    if is_own(metric):
        return own_metric(metric).is_loss
    return metric in SMALLER_IS_BETTER or any(parameter_of(metric, stem) is not None for stem in PARAMETERS)


def parameter_of(metric: str, stem: str) -> int | None:
    """Returns the number that a metric's name ends with, e.g. 15 of `ece_15`; None where it is no such name."""
    digits = metric.removeprefix(stem)
    if digits == metric or not (digits.isascii() and digits.isdecimal()) or digits.startswith("0"):
        return None
    return int(digits) if int(digits) in PARAMETERS[stem] else None


def with_parameter(known: tuple[str, ...]) -> str | None:
    """Returns how metrics begin that a task has beside the known ones: `ece_`, `pinball_`; None where it has none."""
    return ECE if "ece_15" in known else PINBALL if "mae" in known else None


def metric_fault(metric: object, known: tuple[str, ...]) -> str | None:
    """Returns what is wrong with the metric that was chosen for a task; None where nothing is.

    Args:
        metric: as it was written.
        known: metrics of the task.
    """
    stem = with_parameter(known)
    takes_own = stem is not None or known == METRICS_OF_SETS
    if metric in known:
        return None
    if isinstance(metric, str):
        if stem is not None and parameter_of(metric, stem) is not None:
            return None
        if takes_own and is_own(metric):
            return _fault_of_own(metric)
    more = f", {stem}{PARAMETERS[stem].start} to {stem}{PARAMETERS[stem].stop - 1}" if stem else ""
    more += ", or my.module.f" if takes_own else ""
    return f"metric is {metric!r}; it must be one of {', '.join(known)}{more}. Set e.g. metric={known[0]}."


def _fault_of_own(metric: str) -> str | None:
    try:
        own_metric(metric)
    except ConfigError as error:
        return str(error)
    return None


def logged_name(metric: str) -> str:
    """Returns a metric's name as training logs it after `validation_`: torch allows no dots in it."""
    return metric.replace(".", "_")


def monitored(metric: str | None) -> str:
    """Returns under which name training logs the metric of validation rows."""
    return f"{VALIDATION_PREFIX}{logged_name(str(metric))}"

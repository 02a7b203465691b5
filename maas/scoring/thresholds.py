"""From which probability on a label is predicted, chosen by the rows of one split."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maas.errors import ConfigError

Values = NDArray[np.float64]


@dataclass(frozen=True)
class LabelCounts:
    """Rows of a label and of the rest, by whether the label is predicted, at each of M thresholds; (M,) each.

    Args:
        own: TP, rows of the label with it.
        false: FP, other rows with it.
        missed: FN, rows of the label without it.
        rest: TN, other rows without it.
    """

    own: Values
    false: Values
    missed: Values
    rest: Values


def precision_of(counts: LabelCounts) -> Values:
    """TP / (TP + FP), (M,)."""
    return _fraction(counts.own, counts.own + counts.false)


def recall_of(counts: LabelCounts) -> Values:
    """TP / (TP + FN), (M,)."""
    return _fraction(counts.own, counts.own + counts.missed)


def f1_of(counts: LabelCounts) -> Values:
    """2 TP / (2 TP + FP + FN), (M,)."""
    return _fraction(2 * counts.own, 2 * counts.own + counts.false + counts.missed)


def accuracy_of(counts: LabelCounts) -> Values:
    """(TP + TN) / N, (M,)."""
    right = counts.own + counts.rest
    return _fraction(right, right + counts.false + counts.missed)


def balanced_accuracy_of(counts: LabelCounts) -> Values:
    """Mean of TP / (TP + FN) and TN / (TN + FP), (M,)."""
    return (recall_of(counts) + _fraction(counts.rest, counts.rest + counts.false)) / 2


def mcc_of(counts: LabelCounts) -> Values:
    """(TP · TN − FP · FN) / √((TP + FP)(TP + FN)(TN + FP)(TN + FN)), (M,)."""
    predicted, others = counts.own + counts.false, counts.rest + counts.missed
    spread = np.sqrt(predicted * (counts.own + counts.missed)) * np.sqrt(others * (counts.rest + counts.false))
    return _fraction(counts.own * counts.rest - counts.false * counts.missed, spread)


OfCounts = Callable[[LabelCounts], Values]
MAXIMISED: Mapping[str, OfCounts] = {
    "f1": f1_of,
    "balanced_accuracy": balanced_accuracy_of,
    "mcc": mcc_of,
    "accuracy": accuracy_of,
}
"""What a threshold may maximise, of one label against the rest."""
REACHED: Mapping[str, tuple[OfCounts, OfCounts]] = {
    "precision": (precision_of, recall_of),
    "recall": (recall_of, precision_of),
}
"""What a threshold may reach, and what is then maximised."""


@dataclass(frozen=True)
class ThresholdRule:
    """How a threshold is chosen.

    Args:
        metric: name in `MAXIMISED` or `REACHED`.
        at_least: what it must reach; None maximises it.
    """

    metric: str
    at_least: float | None = None

    def __str__(self) -> str:
        """As a recipe has it, e.g. `f1` or `precision=0.9`."""
        return self.metric if self.at_least is None else f"{self.metric}={self.at_least:g}"


def rule_of(written: object) -> ThresholdRule:
    """Reads what a recipe has: the name of a metric, or `{precision: 0.9}`.

    Raises:
        ConfigError: it is something else.
    """
    if isinstance(written, str) and written in MAXIMISED:
        return ThresholdRule(written)
    if isinstance(written, Mapping) and len(written) == 1:
        ((metric, least),) = written.items()
        if metric in REACHED and isinstance(least, int | float) and 0 < least <= 1:
            return ThresholdRule(str(metric), float(least))
    raise ConfigError(
        f"threshold is {written!r}; it must be one of {', '.join(MAXIMISED)}, which is "
        "{precision: 0.9} or {recall: 0.9}, which is reached. Set e.g. threshold=f1, or threshold=null for the most "
        "probable label."
    )


def chosen_threshold(is_own: NDArray[np.bool_], scores: NDArray[np.floating], rule: ThresholdRule) -> float:
    """Returns from which score on rows are said to be of a label, halfway between two scores of rows.

    Of equally good thresholds the highest is taken.

    Args:
        is_own: which rows are of the label, (N,); some are, and some are not.
        scores: probabilities of the label, (N,).
        rule: how it is chosen.

    Raises:
        ConfigError: no threshold reaches what is required.
    """
    different, places = np.unique(scores.astype(np.float64), return_inverse=True)
    own, others = (
        np.bincount(places, weights, minlength=len(different))[::-1].cumsum()[::-1] for weights in (is_own, ~is_own)
    )  # rows with at least each score
    counts = LabelCounts(own, others, own[0] - own, others[0] - others)
    thresholds = (np.concatenate([[0.0], different[:-1]]) + different) / 2
    if rule.at_least is None:
        return _best(thresholds, MAXIMISED[rule.metric](counts))
    reached, maximised = (of(counts) for of in REACHED[rule.metric])
    if not (reached >= rule.at_least).any():
        raise ConfigError(
            f"threshold is {rule}, and on {len(scores):,} validation rows {rule.metric} is {reached.max():.4f} at "
            f"most. Set e.g. threshold={{{rule.metric}: {np.floor(100 * reached.max()) / 100:g}}}, or threshold=f1."
        )
    return _best(thresholds, np.where(reached >= rule.at_least, maximised, -np.inf))


def _best(thresholds: Values, values: Values) -> float:
    """Returns the highest of the thresholds with the largest value; one of 0 would take every row."""
    usable = np.where(thresholds > 0, values, -np.inf)[::-1]
    return float(thresholds[len(usable) - 1 - int(usable.argmax())])


def _fraction(part: Values, whole: Values) -> Values:
    fraction: Values = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return fraction

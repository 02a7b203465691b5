"""A threshold is the best of all that rows distinguish, as trying each of them shows."""

import numpy as np
import pytest
from sklearn import metrics as reference

from maas.errors import ConfigError
from maas.scoring.thresholds import MAXIMISED, ThresholdRule, chosen_threshold, rule_of

OF_SKLEARN = {
    "f1": lambda own, found: reference.f1_score(own, found, zero_division=0),
    "balanced_accuracy": reference.balanced_accuracy_score,
    "mcc": reference.matthews_corrcoef,
    "accuracy": reference.accuracy_score,
}


def rows(count: int = 80, seed: int = 0, digits: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    own = random.random(count) < 0.2
    scores = 1 / (1 + np.exp(-(random.normal(size=count) + 1.5 * own - 1)))
    return own, scores.astype(np.float32) if digits is None else scores.round(digits)


def test_metrics_are_all_known_when_scikit_learn_has_them():
    assert set(OF_SKLEARN) == set(MAXIMISED)


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("metric", MAXIMISED)
def test_threshold_is_the_best_of_all_when_each_is_tried(metric, digits):
    own, scores = rows(digits=digits)
    found = chosen_threshold(own, scores, ThresholdRule(metric))
    tried = [OF_SKLEARN[metric](own, scores >= one) for one in np.unique(scores)]
    assert OF_SKLEARN[metric](own, scores >= found) == pytest.approx(max(tried))
    assert found not in scores


@pytest.mark.parametrize("least", [0.3, 0.6, 0.9])
@pytest.mark.parametrize(("metric", "other"), [("precision", "recall"), ("recall", "precision")])
def test_threshold_reaches_what_is_required_and_loses_least_when_each_is_tried(metric, other, least):
    own, scores = rows()
    measure = {
        "precision": lambda one: reference.precision_score(own, scores >= one, zero_division=0),
        "recall": lambda one: reference.recall_score(own, scores >= one),
    }
    found = chosen_threshold(own, scores, ThresholdRule(metric, least))
    assert measure[metric](found) >= least
    tried = [measure[other](one) for one in np.unique(scores) if measure[metric](one) >= least]
    assert measure[other](found) == pytest.approx(max(tried))


def test_threshold_is_refused_with_what_is_reached_when_nothing_reaches_it():
    own, scores = np.array([True, False, False, True]), np.array([0.2, 0.9, 0.1, 0.3])
    with pytest.raises(ConfigError) as caught:
        chosen_threshold(own, scores, ThresholdRule("precision", 0.9))
    assert str(caught.value) == (
        "threshold is precision=0.9, and on 4 validation rows precision is 0.6667 at most. Set e.g. "
        "threshold={precision: 0.66}, or threshold=f1."
    )


def test_rows_without_a_chance_stay_out_when_their_score_is_0():
    own, scores = np.array([True, True, False]), np.array([0.0, 0.4, 0.0])
    assert chosen_threshold(own, scores, ThresholdRule("recall", 0.5)) == pytest.approx(0.2)


@pytest.mark.parametrize(
    "written",
    ["precision", "auc", {"precision": 0}, {"recall": 1.5}, {"f1": 0.5}, {"precision": 0.5, "recall": 0.5}, 0.5, []],
)
def test_rule_is_refused_in_one_line_when_it_is_none(written):
    with pytest.raises(
        ConfigError, match=r"^threshold is .*; it must be one of f1, balanced_accuracy, mcc, accuracy, which"
    ):
        rule_of(written)


def test_rule_is_read_when_a_recipe_has_it():
    assert str(rule_of("f1")) == "f1"
    assert str(rule_of({"recall": 1})) == "recall=1"

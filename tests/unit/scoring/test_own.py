"""Functions of one's own as metrics: found by their path, with the way that is better, refused in one line."""

import math

import numpy as np
import pytest
from sklearn import metrics as reference

from maas.errors import ConfigError
from maas.scoring.names import is_loss, metric_fault, monitored, parameter_of
from maas.scoring.own import own_metric
from maas.scoring.values import value_for_labels, value_for_numbers

HERE = __name__
KNOWN = ("accuracy", "ece_15")


def cost(targets, predictions):
    """Ten for a missed second label, one for a false alarm."""
    return float(np.where(targets > predictions, 10, np.where(targets < predictions, 1, 0)).mean())


cost.greater_is_better = False


def undeclared(targets, predictions):
    return 0.0


def misnamed_score(targets, guesses):
    return 0.0


def nothing_score(targets, predictions):
    return math.nan


LIMIT_SCORE = 3


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet([1, 1], 200)
    return random.integers(0, 2, 200), probabilities


@pytest.fixture
def here(monkeypatch):
    """Makes this file importable by its name."""
    monkeypatch.setitem(__import__("sys").modules, "own_metrics_here", __import__("sys").modules[HERE])
    own_metric.cache_clear()
    return "own_metrics_here"


def test_function_is_a_metric_when_its_attribute_says_which_way_is_better(here, rows):
    targets, probabilities = rows
    own = own_metric(f"{here}.cost")
    assert own.is_loss
    assert is_loss(f"{here}.cost")
    assert value_for_labels(f"{here}.cost")(targets, probabilities) == cost(targets, probabilities.argmax(axis=1))


@pytest.mark.parametrize(
    ("name", "is_less_better"),
    [("cohen_kappa_score", None), ("top_k_accuracy_score", False), ("brier_score_loss", True), ("hamming_loss", True)],
)
def test_function_of_scikit_learn_is_a_metric_when_its_name_ends_by_convention(name, is_less_better):
    path = f"sklearn.metrics.{name}"
    if is_less_better is None:  # its parameters are called y1 and y2
        assert "(y1, y2" in metric_fault(path, KNOWN)
        return
    assert metric_fault(path, KNOWN) is None
    assert own_metric(path).is_loss is is_less_better


def test_scores_of_the_second_label_are_given_when_there_are_two(rows):
    targets, probabilities = rows
    found = value_for_labels("sklearn.metrics.roc_auc_score")(targets, probabilities)
    assert found == reference.roc_auc_score(targets, probabilities[:, 1])


def test_probabilities_are_given_when_scikit_learn_calls_them_predictions(rows):
    targets, probabilities = rows
    found = value_for_labels("sklearn.metrics.log_loss")(targets, probabilities)
    assert found == pytest.approx(reference.log_loss(targets, probabilities))


def test_numbers_are_given_when_targets_are_numbers():
    targets, numbers = np.arange(5.0), np.arange(5.0) + 1
    assert value_for_numbers("sklearn.metrics.max_error")(targets, numbers) == 1
    assert value_for_numbers("r2")(targets, numbers) == pytest.approx(reference.r2_score(targets, numbers))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no_such_module.f", "which cannot be imported: No module named 'no_such_module'. Name a function."),
        ("{here}.no_such", "which cannot be imported"),
        ("{here}.LIMIT_SCORE", "which is a int. Name a function."),
        ("{here}.undeclared", "Set undeclared.greater_is_better = True or False below the function, or let its name"),
        ("{here}.misnamed_score", "a function of (targets, guesses); it must take targets, and predictions or scores."),
    ],
)
def test_function_is_refused_in_one_line_when_it_is_no_metric(here, path, words):
    fault = metric_fault(path.format(here=here), KNOWN)
    assert fault.startswith("metric is ")
    assert words in fault
    assert "\n" not in fault


def test_function_is_refused_when_it_gives_no_number(here):
    with pytest.raises(
        ConfigError, match=r"metric own_metrics_here.nothing_score is nan of 3 rows; it must be a finite"
    ):
        own_metric(f"{here}.nothing_score").value(np.zeros(3), np.zeros(3))


def test_function_is_refused_when_it_fails_on_the_rows():
    with pytest.raises(ConfigError, match=r"metric sklearn.metrics.max_error fails on 2 rows: "):
        own_metric("sklearn.metrics.max_error").value(np.zeros(2), np.zeros(3))


def test_known_metrics_are_named_when_none_is_called_so():
    expected = (
        "metric is 'acc'; it must be one of accuracy, ece_15, ece_2 to ece_1000, or my.module.f. "
        "Set e.g. metric=accuracy."
    )
    assert metric_fault("acc", KNOWN) == expected
    assert metric_fault("wer", ("word_accuracy",)) == (
        "metric is 'wer'; it must be one of word_accuracy. Set e.g. metric=word_accuracy."
    )
    assert metric_fault("ece_20", KNOWN) is None


@pytest.mark.parametrize("name", ["log_loss", "brier", "ece_20", "mae", "pinball_5", "sklearn.metrics.hamming_loss"])
def test_less_is_better_when_a_metric_is_a_loss(name):
    assert is_loss(name)


@pytest.mark.parametrize("name", ["accuracy", "auc", "r2", "word_accuracy", "ece_x", "sklearn.metrics.r2_score"])
def test_more_is_better_when_a_metric_is_none(name):
    assert not is_loss(name)


def test_name_in_logs_has_no_dots_when_the_metric_is_a_path():
    assert monitored("my.module.cost") == "validation_my_module_cost"
    assert parameter_of("pinball_100", "pinball_") is None

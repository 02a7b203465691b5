"""Metrics against scikit-learn, intervals against closed forms and against resampling the rows themselves."""

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from maas.evidence.metrics import classification_metrics, paired_drop, wilson
from maas.scoring.labels import LABEL_METRICS, confusion_matrix


def some(rows: int, classes: int, accuracy: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns targets of unequal frequency, and predictions of about the given accuracy."""
    random = np.random.default_rng(seed)
    shares = np.arange(1, classes + 1) / sum(range(1, classes + 1))
    targets = random.choice(classes, rows, p=shares)
    noise = random.integers(0, classes, rows)
    return targets, np.where(random.random(rows) < accuracy, targets, noise)


def of_sklearn(targets, predictions, classes: int) -> dict[str, float]:
    settings = {"labels": list(range(classes)), "average": "macro", "zero_division": 0}
    return {
        "accuracy": reference.accuracy_score(targets, predictions),
        "precision": reference.precision_score(targets, predictions, **settings),
        "recall": reference.recall_score(targets, predictions, **settings),
        "f1": reference.f1_score(targets, predictions, **settings),
        "balanced_accuracy": balanced(targets, predictions),
        "mcc": reference.matthews_corrcoef(targets, predictions),
    }


def balanced(targets, predictions) -> float:
    with warnings.catch_warnings():  # of predictions that no row has
        warnings.simplefilter("ignore")
        return float(reference.balanced_accuracy_score(targets, predictions))


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("accuracy", [0.0, 0.7, 1.0])
def test_metrics_equal_scikit_learns_when_classes_are_unequal(classes, accuracy):
    targets, predictions = some(200, classes, accuracy, classes)
    found = classification_metrics(targets, predictions, classes)
    assert {name: one.value for name, one in found.items()} == pytest.approx(of_sklearn(targets, predictions, classes))
    assert all(one.low <= one.value <= one.high for one in found.values())
    matrix = reference.confusion_matrix(targets, predictions, labels=range(classes))
    assert (confusion_matrix(targets, predictions, classes) == matrix).all()


def test_metrics_equal_scikit_learns_when_a_class_is_never_predicted_or_has_no_rows():
    targets, predictions = np.array([0, 0, 1, 1, 3]), np.array([0, 2, 0, 0, 3])
    found = classification_metrics(targets, predictions, 5)
    assert {name: one.value for name, one in found.items()} == pytest.approx(of_sklearn(targets, predictions, 5))


def test_metrics_work_on_many_matrices_at_once_when_they_are_stacked():
    matrices = np.random.default_rng(0).integers(1, 9, (4, 6, 3, 3))
    for metric in LABEL_METRICS.values():
        assert metric(matrices).shape == (4, 6)
        assert metric(matrices)[2, 5] == pytest.approx(metric(matrices[2, 5]))


def test_intervals_are_the_same_when_the_seed_is():
    targets, predictions = some(100, 3, 0.7, 0)
    assert classification_metrics(targets, predictions, 3, 1) == classification_metrics(targets, predictions, 3, 1)
    assert classification_metrics(targets, predictions, 3, 1) != classification_metrics(targets, predictions, 3, 2)


def test_interval_ends_equal_the_binomials_when_the_metric_is_accuracy():
    right, rows = 340, 400
    targets = np.zeros(rows, dtype=int)
    predictions = (np.arange(rows) >= right).astype(int)
    found = classification_metrics(targets, predictions, 2)["accuracy"]
    low, high = stats.binom(rows, right / rows).ppf([0.025, 0.975]) / rows
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.006)


def test_interval_covers_the_truth_about_as_often_as_it_says_when_samples_are_drawn():
    truth, rows, covered = 0.8, 300, 0
    for seed in range(150):
        right = np.random.default_rng(seed).random(rows) < truth
        found = classification_metrics(np.zeros(rows, dtype=int), (~right).astype(int), 2, seed)["accuracy"]
        covered += found.low <= truth <= found.high
    assert 0.90 <= covered / 150 <= 0.99  # 0.95 ± 2.8 standard errors


def test_interval_narrows_with_the_root_of_the_rows_when_there_are_four_times_as_many():
    width = {}
    for rows in (400, 1600):
        found = classification_metrics(*some(rows, 3, 0.7, 3), 3)["f1"]
        width[rows] = found.high - found.low
    assert width[400] / width[1600] == pytest.approx(2, rel=0.25)


@pytest.mark.parametrize(("successes", "total"), [(0, 10), (10, 10), (1, 3), (95, 100), (123, 4567)])
def test_wilson_equals_scipys_when_shares_are_small_or_whole(successes, total):
    found = wilson(successes, total)
    expected = stats.binomtest(successes, total).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.value == successes / total


def triple(rows: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    targets, parent = some(rows, 3, 0.9, seed)
    random = np.random.default_rng(seed + 1)
    return targets, parent, np.where(random.random(rows) < 0.93, parent, random.integers(0, 3, rows))


def test_drop_is_the_difference_in_points_when_it_is_written_out():
    targets, parent, child = triple()
    for name in LABEL_METRICS:
        found = paired_drop(targets, parent, child, 3, metric=name).value
        expected = 100 * (of_sklearn(targets, parent, 3)[name] - of_sklearn(targets, child, 3)[name])
        assert found == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
def test_drops_interval_equals_that_of_resampled_rows_when_both_are_drawn(metric):
    targets, parent, child = triple()
    found = paired_drop(targets, parent, child, 3, metric=metric)
    random = np.random.default_rng(5)
    drops = []
    for _ in range(2000):
        rows = random.integers(0, len(targets), len(targets))
        one, other = (
            LABEL_METRICS[metric](confusion_matrix(targets[rows], labels[rows], 3)) for labels in (parent, child)
        )
        drops.append(100 * (one - other))
    low, high = np.quantile(drops, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.35)


def test_drops_interval_equals_the_normal_one_when_the_metric_is_accuracy():
    targets, parent, child = triple(4000)
    lost, won = ((parent == targets) & (child != targets)).sum(), ((parent != targets) & (child == targets)).sum()
    drop, spread = (lost - won) / 4000, np.sqrt(lost + won - (lost - won) ** 2 / 4000) / 4000
    found = paired_drop(targets, parent, child, 3, metric="accuracy")
    assert found.value == pytest.approx(100 * drop)
    assert (found.low, found.high) == pytest.approx(
        (100 * (drop - 1.96 * spread), 100 * (drop + 1.96 * spread)), abs=0.1
    )


def test_drop_is_nothing_for_certain_when_child_and_parent_agree_everywhere():
    targets, parent, _ = triple()
    found = paired_drop(targets, parent, parent.copy(), 3, metric="f1")
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_drops_interval_is_narrower_than_an_unpaired_one_when_rows_are_shared():
    targets, parent, child = triple()
    paired = paired_drop(targets, parent, child, 3, metric="accuracy")
    alone = [classification_metrics(targets, labels, 3)["accuracy"] for labels in (parent, child)]
    assert paired.high - paired.low < 0.8 * 100 * np.hypot(*(one.high - one.low for one in alone))


@pytest.mark.parametrize("name", ["balanced_accuracy", "mcc"])
def test_metric_is_nothing_special_when_predictions_are_constant(name):
    targets, predictions = np.array([0, 1, 1, 2]), np.zeros(4, dtype=int)
    found = classification_metrics(targets, predictions, 3)[name].value
    assert found == pytest.approx(of_sklearn(targets, predictions, 3)[name])


def test_correlation_is_exact_when_there_are_billions_of_rows():
    counts = np.array([[3_000_000_000, 1_000_000_000], [500_000_000, 4_000_000_000]])
    assert LABEL_METRICS["mcc"](counts) == pytest.approx(LABEL_METRICS["mcc"](counts // 1_000_000), rel=1e-12)

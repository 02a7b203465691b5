"""Metrics of sets of labels equal scikit-learn's; drops are paired."""

import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from maas.evidence.task_metrics import task_metrics_of
from maas.scoring.names import METRICS_OF_SETS
from maas.scoring.values import value_for_sets

LABELS = ("a", "b", "c", "d")


def rows(count: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns targets (N, 4), of which the last is rare, and probabilities that know something of them."""
    random = np.random.default_rng(seed)
    targets = (random.random((count, 4)) < [0.6, 0.4, 0.3, 0.05]).astype(np.float32)
    logits = random.normal(size=(count, 4)) + 2 * targets - 1
    return targets, (1 / (1 + np.exp(-logits))).astype(np.float32)


def of_sklearn(targets: np.ndarray, probabilities: np.ndarray, found: np.ndarray) -> dict[str, float]:
    f1 = {
        f"{kind}_f1": reference.f1_score(targets, found, average=kind, zero_division=0)
        for kind in ("macro", "micro", "samples")
    }
    there = targets.any(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision = (
            reference.average_precision_score(targets[:, there], probabilities[:, there]) if there.any() else 0.0
        )
    return {
        **f1,
        "subset_accuracy": reference.accuracy_score(targets, found),
        "hamming_loss": reference.hamming_loss(targets, found),
        "average_precision": precision,
    }


CASES = {
    "random": rows(),
    "a label without rows": (rows()[0] * [1, 1, 1, 0], rows()[1]),
    "constant predictions": (rows()[0], np.full((300, 4), 0.5, np.float32)),
    "nothing is predicted": (rows()[0], np.full((300, 4), 0.1, np.float32)),
    "no row has a label": (np.zeros((300, 4), np.float32), rows()[1]),
    "many ties": (rows()[0], rows()[1].round(1)),
}


@pytest.mark.parametrize("case", CASES)
def test_metrics_equal_scikit_learns_when_cases_are_usual_and_not(case):
    targets, probabilities = CASES[case]
    found = task_metrics_of("multilabel", LABELS).compute(targets, probabilities)
    expected = of_sklearn(targets, probabilities, probabilities >= 0.5)
    assert {name: one.value for name, one in found.items()} == pytest.approx(expected)
    assert set(found) == set(METRICS_OF_SETS)
    assert all(one.low <= one.value <= one.high for one in found.values())


@pytest.mark.parametrize("name", METRICS_OF_SETS)
def test_drop_is_paired_when_parent_and_child_are_nearly_alike(name):
    targets, parent = rows(800)
    child = np.clip(parent + np.random.default_rng(1).normal(0, 0.05, parent.shape), 0, 1).astype(np.float32)
    task_metrics = task_metrics_of("multilabel", LABELS)
    found = task_metrics.drop(targets, parent, child, name)
    before, after = (task_metrics.value(targets, one, name) for one in (parent, child))
    sign = -100 if name == "hamming_loss" else 100
    assert found.value == pytest.approx(sign * (before.value - after.value))
    assert found.low <= found.value <= found.high
    assert found.high - found.low < 100 * (before.high - before.low)
    assert task_metrics.drop(targets, parent, parent, name).value == 0


def test_interval_equals_that_of_resampled_rows_when_they_are_drawn():
    targets, probabilities = rows(600)
    found = task_metrics_of("multilabel", LABELS).value(targets, probabilities, "macro_f1")
    random, samples = np.random.default_rng(0), []
    for _ in range(150):
        drawn = random.integers(0, 600, 600)
        samples.append(reference.f1_score(targets[drawn], probabilities[drawn] >= 0.5, average="macro"))
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(samples), rel=0.25)


def test_thresholds_decide_which_labels_are_there_when_sets_are_compared():
    targets, probabilities = rows()
    plain, by_threshold = (task_metrics_of("multilabel", LABELS, None, one) for one in ((), (0.2, 0.2, 0.2, 0.2)))
    expected = of_sklearn(targets, probabilities, probabilities >= 0.2)
    assert by_threshold.value(targets, probabilities, "micro_f1").value == pytest.approx(expected["micro_f1"])
    assert plain.agrees(probabilities, probabilities).all()
    decided = by_threshold.comparable(probabilities, "micro_f1")
    assert plain.value(targets, decided, "micro_f1") == by_threshold.value(targets, probabilities, "micro_f1")
    assert by_threshold.comparable(probabilities, "average_precision") is probabilities


def test_slices_name_the_label_that_is_lost_when_a_child_never_predicts_it():
    targets, probabilities = rows()
    child = probabilities.copy()
    child[:, 1] = 0
    found = task_metrics_of("multilabel", LABELS).slices(targets, LABELS, probabilities, child)
    worst = max(found, key=lambda one: one.drop)
    assert worst.name == "b"
    assert worst.rows == int(targets[:, 1].sum())
    assert worst.drop == pytest.approx(100 * (probabilities[targets[:, 1] > 0, 1] >= 0.5).mean())


@pytest.mark.parametrize("thresholds", [(), (0.2, 0.5, 0.7, 0.1)])
def test_own_function_equals_scikit_learns_when_it_takes_sets(thresholds):
    targets, probabilities = rows()
    child = probabilities[:, ::-1]
    found = task_metrics_of("multilabel", LABELS, f"{__name__}.overlap_score", thresholds)
    own = found.chosen
    decided = probabilities >= np.array(thresholds or [0.5] * 4, dtype=np.float32)
    expected = reference.jaccard_score(targets, decided, average="samples", zero_division=0)
    assert found.compute(targets, probabilities)[own].value == pytest.approx(expected)
    lost = found.drop(targets, probabilities, child, own)
    assert lost.value == pytest.approx(100 * (expected - found.value(targets, child, own).value))
    assert lost.low < lost.value < lost.high
    plain = task_metrics_of("multilabel", LABELS, own)
    assert plain.value(targets, found.comparable(probabilities, own), own).value == pytest.approx(expected)


def test_own_function_equals_scikit_learns_when_it_takes_probabilities_of_sets():
    targets, probabilities = rows()
    name = f"{__name__}.ranking_loss"
    found = task_metrics_of("multilabel", LABELS, name, (0.1,) * 4)
    expected = reference.label_ranking_loss(targets, probabilities)
    assert found.value(targets, probabilities, name).value == pytest.approx(expected)
    assert found.comparable(probabilities, name) is probabilities
    assert value_for_sets(name)(targets, probabilities) == pytest.approx(expected)
    assert found.drop(targets, targets, probabilities, name).value == pytest.approx(100 * expected)


def test_training_watches_an_own_function_when_it_takes_sets():
    targets, probabilities = rows()
    expected = reference.jaccard_score(targets, probabilities >= 0.5, average="samples", zero_division=0)
    assert value_for_sets(f"{__name__}.overlap_score")(targets, probabilities) == pytest.approx(expected)


def overlap_score(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Returns the mean over rows of |A ∩ B| / |A ∪ B|, 0 of two empty sets."""
    either = (targets | predictions).sum(axis=1)
    return float(np.mean((targets & predictions).sum(axis=1) / np.maximum(either, 1)))


def ranking_loss(targets: np.ndarray, scores: np.ndarray) -> float:
    """Returns the mean over rows of the fraction of pairs of a label and another that are ranked wrongly."""
    wrong = []
    for own, score in zip(targets.astype(bool), scores, strict=True):
        pairs = own.sum() * (~own).sum()
        wrong.append((score[own][:, None] <= score[~own][None]).sum() / pairs if pairs else 0.0)
    return float(np.mean(wrong))

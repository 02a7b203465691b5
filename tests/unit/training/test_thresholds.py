"""Thresholds go into the postprocessor's record, and decide labels wherever it is opened again."""

import numpy as np
import pytest

from maas.errors import ConfigError
from maas.runtime.postprocessors import load_postprocessor
from maas.runtime.postprocessors.classification import ClassificationPostprocessor
from maas.scoring.thresholds import ThresholdRule
from maas.training.thresholds import with_thresholds

F1 = ThresholdRule("f1")


def rows(classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    targets = random.choice(classes, 400, p=[0.7, *[0.3 / (classes - 1)] * (classes - 1)])
    logits = random.normal(size=(400, classes)) + 1.5 * np.eye(classes)[targets] + [1.5, *[0.0] * (classes - 1)]
    return targets, (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)


def macro_f1(targets: np.ndarray, postprocessor, probabilities: np.ndarray) -> float:
    from sklearn.metrics import f1_score

    found = [
        postprocessor.labels.index(one["label"]) for one in postprocessor.predictions({"probabilities": probabilities})
    ]
    return float(f1_score(targets, found, average="macro"))


@pytest.mark.parametrize("classes", [2, 4])
def test_rare_labels_are_predicted_more_often_when_f1_is_maximised(classes):
    targets, probabilities = rows(classes)
    plain = ClassificationPostprocessor([f"label {index}" for index in range(classes)])
    found = with_thresholds(plain, targets, probabilities, F1)
    assert len(found.thresholds) == (1 if classes == 2 else classes)
    assert macro_f1(targets, found, probabilities) > macro_f1(targets, plain, probabilities)
    again = load_postprocessor(found.record())
    outputs = {"probabilities": probabilities}
    assert again.predictions(outputs) == found.predictions(outputs)
    assert again.tensors(outputs)["label"].tolist() == [one["label"] for one in found.predictions(outputs)]


def test_precision_is_reached_when_it_is_required_of_the_second_label():
    targets, probabilities = rows(2)
    found = with_thresholds(
        ClassificationPostprocessor(["no", "yes"]), targets, probabilities, ThresholdRule("precision", 0.8)
    )
    is_yes = np.array([one["label"] == "yes" for one in found.predictions({"probabilities": probabilities})])
    assert (targets[is_yes] == 1).mean() >= 0.8
    assert (is_yes == (probabilities[:, 1] >= found.thresholds[0])).all()


def test_reaching_is_refused_when_labels_compete():
    targets, probabilities = rows(3)
    with pytest.raises(ConfigError, match=r"^threshold is recall=0.9, and there are 3 labels, which compete for a row"):
        with_thresholds(ClassificationPostprocessor("abc"), targets, probabilities, ThresholdRule("recall", 0.9))


def test_thresholds_are_refused_when_all_validation_rows_have_one_label():
    _, probabilities = rows(2)
    with pytest.raises(ConfigError, match=r"^threshold is f1, and all 400 validation rows have one label\."):
        with_thresholds(ClassificationPostprocessor("ab"), np.zeros(400, int), probabilities, F1)


def test_label_without_rows_takes_a_half_when_others_have_some():
    targets, probabilities = rows(4)
    kept = targets != 3
    found = with_thresholds(ClassificationPostprocessor("abcd"), targets[kept], probabilities[kept], F1)
    assert found.thresholds[3] == 0.5

"""Curves hold what was measured, of the same rows at each strength."""

import numpy as np
import pytest

from maas.evidence.metrics import classification_metrics
from maas.evidence.robustness import curves, perturbations_of
from maas.records.evidence import RobustnessCurve
from maas.runtime.bundle import Bundle


@pytest.fixture(scope="module")
def predictor(bundles, tmp_path_factory):
    """Its own answers are taken to be right, so that it begins at 1 and can only fall."""
    return Bundle.open(bundles.array_bundle(tmp_path_factory.mktemp("bundle") / "bundle", width=16)).predictor


@pytest.fixture(scope="module")
def rows() -> list[list[int]]:
    return np.random.default_rng(0).integers(0, 17, (500, 16)).tolist()


@pytest.fixture(scope="module")
def targets(predictor, rows) -> np.ndarray:
    return predictor.outputs(rows)["probabilities"].argmax(axis=1)


def accuracy(targets, predictions):
    return classification_metrics(targets, predictions.argmax(axis=1), 10)["accuracy"]


def test_curve_begins_clean_and_falls_when_noise_grows(predictor, rows, targets):
    (curve,) = curves(predictor, accuracy, rows, targets, name="accuracy")
    assert isinstance(curve, RobustnessCurve)
    assert (curve.name, curve.metric, curve.rows) == ("noise", "accuracy", 300)
    assert (curve.strengths,) == tuple(one.strengths for one in perturbations_of(predictor.processor))
    values = [one.value for one in curve.values]
    assert len(values) == len(curve.strengths)
    assert values[0] == 1
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.8
    assert all(one.low <= one.value <= one.high + 1e-12 for one in curve.values)


def test_rows_are_the_same_at_each_strength_when_a_sample_is_measured(predictor, rows, targets):
    seen = []

    def remembering(wanted, predictions):
        seen.append(wanted)
        return accuracy(wanted, predictions)

    (curve,) = curves(predictor, remembering, rows, targets, name="accuracy", seed=3, most_rows=40)
    assert curve.rows == 40
    assert len(seen) == len(curve.strengths)
    for wanted in seen:
        np.testing.assert_array_equal(wanted, seen[0])


def test_all_rows_are_measured_when_they_are_few(predictor, rows, targets):
    (curve,) = curves(predictor, accuracy, rows[:25], targets[:25], name="accuracy")
    assert curve.rows == 25
    assert curve.values[0] == accuracy(targets[:25], predictor.outputs(rows[:25])["probabilities"])


def test_curves_are_the_same_when_the_seed_is(predictor, rows, targets):
    first, second, other = (
        curves(predictor, accuracy, rows, targets, name="accuracy", seed=seed) for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other


def test_nothing_is_measured_when_nothing_is_known_of_the_inputs(predictor, rows, targets, monkeypatch):
    monkeypatch.setattr(type(predictor.processor), "kind", "smell")
    monkeypatch.setattr(type(predictor.processor), "modality", "chemistry")
    assert curves(predictor, accuracy, rows, targets, name="accuracy") == ()

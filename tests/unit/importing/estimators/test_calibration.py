"""Calibrated classifiers, by each method and over each kind of classifier."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier

BASES = {
    "trees": RandomForestClassifier(5, random_state=0),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
    "boosting": HistGradientBoostingClassifier(max_iter=4),
    "no probabilities": make_pipeline(StandardScaler(), LinearSVC()),
    "bayes": GaussianNB(),
}


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
@pytest.mark.parametrize("base", BASES)
def test_probabilities_are_scikit_learns_when_a_classifier_is_calibrated(base, method, wine, cancer, answered):
    for table, labels in (wine, cancer):
        if (base, method, len(table)) == ("bayes", "isotonic", 569):
            continue  # its probabilities crowd at 1, where the curve jumps between neighbouring float64 numbers
        model = CalibratedClassifierCV(BASES[base], method=method, cv=2).fit(table[::2], labels[::2])
        atol = 1e-5 if (base, method) == ("bayes", "temperature") else 1e-9  # logarithms of what 1 - p leaves of p = 1
        np.testing.assert_allclose(answered(model, table), model.predict_proba(table), atol=atol)


def test_probabilities_are_interpolated_when_calibration_is_isotonic(cancer, answered):
    """skl2onnx 1.20 takes the nearest point of the curve: off by more than 0.1."""
    table, labels = cancer
    model = CalibratedClassifierCV(DecisionTreeClassifier(max_depth=3), method="isotonic", cv=2).fit(table, labels)
    forest = CalibratedClassifierCV(RandomForestClassifier(20, random_state=0), method="isotonic", cv=2)
    forest.fit(table[::3], labels[::3])
    for one in (model, forest):
        np.testing.assert_allclose(answered(one, table), one.predict_proba(table), atol=1e-12)
    (curve, _) = [one.calibrators[0] for one in forest.calibrated_classifiers_]
    scores = forest.calibrated_classifiers_[0].estimator.predict_proba(table)[:, 1]
    nearest = curve.y_thresholds_[np.abs(scores[:, None] - curve.X_thresholds_).argmin(axis=1)]
    assert np.abs(nearest - curve.predict(scores)).max() > 0.1


@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly", "sigmoid"])
def test_support_vectors_are_scikit_learns_when_they_are_calibrated(kernel, wine, cancer, answered):
    for table, labels in (wine, cancer):
        scaled = StandardScaler().fit_transform(table)
        for base in (SVC(kernel=kernel), SVC(kernel=kernel, decision_function_shape="ovo", C=0.3), NuSVC(nu=0.1)):
            if base.decision_function_shape == "ovo" and len(set(labels)) > 3:
                continue
            model = CalibratedClassifierCV(base, ensemble=False, cv=2).fit(scaled, labels)
            np.testing.assert_allclose(answered(model, scaled), model.predict_proba(scaled), atol=1e-12)


def test_calibrator_sees_the_whole_classifier_when_it_is_frozen(cancer, answered):
    table, labels = cancer
    frozen = FrozenEstimator(make_pipeline(StandardScaler(), RidgeClassifier()).fit(table[::2], labels[::2]))
    model = CalibratedClassifierCV(frozen, method="isotonic").fit(table[1::2], labels[1::2])
    np.testing.assert_allclose(answered(model, table), model.predict_proba(table), atol=1e-9)


@pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
def test_probabilities_are_scikit_learns_when_a_linear_classifier_makes_them(loss, wine, cancer, answered):
    for table, labels in (wine, cancer):
        model = make_pipeline(StandardScaler(), SGDClassifier(loss=loss, random_state=0)).fit(table, labels)
        np.testing.assert_allclose(answered(model, table), model.predict_proba(table), atol=1e-12)


@pytest.mark.parametrize("out_of_bounds", ["clip", "nan"])
def test_values_are_scikit_learns_when_an_isotonic_curve_stands_alone(out_of_bounds, diabetes, answered):
    table, targets = diabetes
    for rows in (slice(0, 300), slice(0, 2), slice(0, 1)):
        curve = IsotonicRegression(out_of_bounds=out_of_bounds).fit(table[rows, 2:3], targets[rows])
        inside = np.concatenate([table[:, 2:3], curve.X_thresholds_[:, None], [[-9.0], [9.0]]])
        np.testing.assert_allclose(answered(curve, inside), curve.predict(inside), rtol=1e-12)

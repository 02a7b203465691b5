"""What a user would pick instead, fitted on the same training rows and evaluated on the same test rows."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from maas.bounds import Count, Positive
from maas.data.cells import as_label
from maas.data.splits import Split, Splits
from maas.errors import ConfigError
from maas.importing.learning import threads_for

Baseline = Callable[[Splits], NDArray[Any] | Mapping[str, NDArray[Any]]]
"""Fits on the training split and returns what it predicts for the test split: labels int64, numbers float64 or lists of
items, (N,), or probabilities of all labels, (N, K); several baselines by their names, `baseline` the first of them."""

_Cell = str | float | bool | None
_Row = Mapping[str, _Cell] | Sequence[_Cell] | NDArray[Any]

MOST_CATEGORIES = 254
"""Of a column, the most frequent ones; scikit-learn's boosting takes no more. The others count as missing."""


def tfidf_logistic(
    ngram_range: Sequence[Count] = (1, 2),
    strengths: Sequence[Positive] = (1.0, 10.0),
    max_iter: Count = 1000,
    analyzer: Literal["char", "char_wb", "word"] = "char",
) -> Baseline:
    """TF-IDF of n-grams with logistic regression, as scikit-learn gives them.

    Args:
        ngram_range: shortest and longest n-gram.
        strengths: values of scikit-learn's C; the one that does best on the validation split is taken.
        max_iter: of the solver.
        analyzer: what n-grams are made of: characters, characters within words, or words.
    """

    def fit_and_predict(splits: Splits) -> NDArray[Any]:
        _require("tfidf_logistic", "texts", isinstance(splits.train.inputs[0], str))
        _require("tfidf_logistic", "labels", splits.target in ("label", "labels"))
        low, high = ngram_range
        vectorizer = TfidfVectorizer(analyzer=analyzer, ngram_range=(low, high))
        train = vectorizer.fit_transform(splits.train.inputs)
        validation = vectorizer.transform(splits.validation.inputs)
        learners = [LogisticRegression(C=strength, max_iter=max_iter) for strength in strengths]
        if splits.target == "labels":  # a regression for each label
            learners = [OneVsRestClassifier(learner) for learner in learners]
        fitted = [learner.fit(train, splits.train.targets) for learner in learners]
        best = max(fitted, key=lambda model: model.score(validation, splits.validation.targets))
        if splits.target == "labels":
            return np.asarray(best.predict_proba(vectorizer.transform(splits.test.inputs)))
        return _probabilities(best, vectorizer.transform(splits.test.inputs), splits.labels)

    return fit_and_predict


def logistic_regression(
    strengths: Sequence[Positive] = (0.01, 0.1), max_rows: Count | None = 10_000, max_iter: Count = 1000
) -> Baseline:
    """Logistic regression on standardised numbers: pixels, or any array of one shape.

    Args:
        strengths: values of scikit-learn's C; the one that does best on the validation split is taken.
        max_rows: training rows that are used, evenly spaced; null for all, which may take minutes.
        max_iter: of the solver.
    """

    def fit_and_predict(splits: Splits) -> NDArray[Any]:
        _require("logistic", "arrays of numbers of one shape", _are_arrays(splits))
        _require("logistic", "labels", splits.target == "label")
        train = splits.train.spread(max_rows or len(splits.train))
        fitted = [
            make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=max_iter)).fit(
                _flat(train), train.targets
            )
            for strength in strengths
        ]
        validation = _flat(splits.validation)
        best = max(fitted, key=lambda model: model.score(validation, splits.validation.targets))
        return _probabilities(best, _flat(splits.test), splits.labels)

    return fit_and_predict


def boosting(
    categories: Sequence[str] = (), max_iter: Count = 500, learning_rate: Positive = 0.1, seed: int = 0
) -> Baseline:
    """Gradient boosting of histograms on mixed columns, for labels and for numbers; the validation split stops it.

    Columns with any text or truth value are categories; the others are numbers. What is missing, unknown or rare stays
    missing, which the trees learn to handle.

    Args:
        categories: columns of numbers that are categories all the same, e.g. months; lists name theirs `0`, `1`, ….
        max_iter: most trees, for each class.
        learning_rate: fraction of each tree that is taken.
        seed: random seed of scikit-learn.
    """

    def fit_and_predict(splits: Splits) -> NDArray[Any]:
        _require("boosting", "rows of columns", isinstance(splits.train.inputs[0], dict | list | tuple | np.ndarray))
        _require("boosting", "labels or numbers", splits.target != "none")
        learner = HistGradientBoostingRegressor if splits.target == "number" else HistGradientBoostingClassifier
        codes = _codes(splits.train, categories)
        train, validation, test = (_matrix(split, codes) for split in (splits.train, splits.validation, splits.test))
        model = learner(
            learning_rate=learning_rate,
            max_iter=max_iter,
            categorical_features=[codes[name] is not None for name in codes],
            early_stopping=True,
            random_state=seed,
        )
        with threads_for(len(train)):
            model.fit(train, splits.train.targets, X_val=validation, y_val=splits.validation.targets)
        if splits.target == "number":
            return np.asarray(model.predict(test))
        return _probabilities(model, test, splits.labels)

    return fit_and_predict


def _probabilities(model: ClassifierMixin, rows: NDArray[Any], labels: Sequence[str]) -> NDArray[np.float64]:
    """Returns probabilities (N, K) of all labels, 0 for those that training rows lack; rows may be sparse."""
    probabilities = model.predict_proba(rows)
    found = np.zeros((len(probabilities), len(labels)))
    found[:, model.classes_] = probabilities
    return found


def _require(baseline: str, what: str, is_so: bool) -> None:
    if not is_so:
        raise ConfigError(f"baseline {baseline} is for {what}, and these rows are not. Set baseline=null.")


def _are_arrays(splits: Splits) -> bool:
    try:
        rows = np.asarray(splits.train.inputs[:2])
    except ValueError:  # rows of unequal shapes
        return False
    return rows.dtype.kind in "biuf" and rows.ndim > 1


def _flat(split: Split) -> NDArray[np.float64]:
    """Returns (N, D)."""
    return np.asarray(split.inputs, dtype=np.float64).reshape(len(split), -1)


def _by_column(row: _Row) -> Mapping[str, _Cell]:
    if isinstance(row, Mapping):
        return row
    return {str(index): value for index, value in enumerate(np.ravel(row) if isinstance(row, np.ndarray) else row)}


def _is_missing(value: object) -> bool:
    return value is None or value == "" or value != value  # noqa: PLR0124 - NaN alone differs from itself


def _codes(train: Split, categories: Iterable[str]) -> dict[str, dict[str, int] | None]:
    """Returns the columns in their order; for one of categories, the position of each in training's frequency."""
    rows = [_by_column(row) for row in train.inputs]
    codes: dict[str, dict[str, int] | None] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        found = Counter(value for row in rows if not _is_missing(value := row.get(name)))
        is_category = name in categories or any(isinstance(value, str | bool) for value in found)
        most = Counter({as_label(value): count for value, count in found.items()}).most_common(MOST_CATEGORIES)
        codes[name] = {str(value): code for code, (value, _) in enumerate(most)} if is_category else None
    return codes


def _matrix(split: Split, codes: Mapping[str, dict[str, int] | None]) -> NDArray[np.float64]:
    """Returns (N, D), NaN where a value is missing."""
    rows = [_by_column(row) for row in split.inputs]
    matrix = np.full((len(rows), len(codes)), np.nan)
    for place, (name, known) in enumerate(codes.items()):
        for index, row in enumerate(rows):
            value = row.get(name)
            if value is not None and not _is_missing(value):
                matrix[index, place] = float(value) if known is None else known.get(str(as_label(value)), np.nan)
    return matrix

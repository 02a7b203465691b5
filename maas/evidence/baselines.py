"""What a user would pick instead, fitted on the same training rows and judged on the same test rows."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from maas.bounds import Count, Positive
from maas.data.splits import Splits
from maas.errors import ConfigError

Baseline = Callable[[Splits], NDArray[np.int64]]
"""Fits on the training split and returns the predicted labels of the test split, (N,)."""


def tfidf_logistic(
    ngram_range: Sequence[Count] = (1, 2), strengths: Sequence[Positive] = (1.0, 10.0), max_iter: Count = 1000
) -> Baseline:
    """TF-IDF of character n-grams with logistic regression, as scikit-learn gives them.

    Args:
        ngram_range: shortest and longest n-gram.
        strengths: values of scikit-learn's C; the one that does best on the validation split is taken.
        max_iter: of the solver.
    """

    def fit_and_predict(splits: Splits) -> NDArray[np.int64]:
        if not isinstance(splits.train.inputs[0], str):
            raise ConfigError("baseline tfidf_logistic is for texts, and these rows are not. Set baseline=null.")
        low, high = ngram_range
        vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(low, high))
        train = vectorizer.fit_transform(splits.train.inputs)
        validation = vectorizer.transform(splits.validation.inputs)
        fitted = [
            LogisticRegression(C=strength, max_iter=max_iter).fit(train, splits.train.targets) for strength in strengths
        ]
        best = max(fitted, key=lambda model: model.score(validation, splits.validation.targets))
        predictions: NDArray[np.int64] = best.predict(vectorizer.transform(splits.test.inputs))
        return predictions

    return fit_and_predict

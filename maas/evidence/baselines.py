"""What a user would pick instead, fitted on the same training rows and judged on the same test rows."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from maas.data.splits import Splits

Baseline = Callable[[Splits], NDArray[np.int64]]
"""Fits on the training split and returns the predicted labels of the test split, (N,)."""


def tfidf_logistic(ngram_range: Sequence[int] = (1, 2), max_iter: int = 1000) -> Baseline:
    """TF-IDF of character n-grams with logistic regression, as scikit-learn gives them.

    Args:
        ngram_range: shortest and longest n-gram.
        max_iter: of the solver.
    """

    def fit_and_predict(splits: Splits) -> NDArray[np.int64]:
        low, high = ngram_range
        model: Any = make_pipeline(
            TfidfVectorizer(analyzer="char", ngram_range=(low, high)), LogisticRegression(max_iter=max_iter)
        )
        model.fit(splits.train.inputs, splits.train.targets)
        predictions: NDArray[np.int64] = model.predict(splits.test.inputs)
        return predictions

    return fit_and_predict

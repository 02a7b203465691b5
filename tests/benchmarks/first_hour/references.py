"""What a user of scikit-learn would write first, on the rows that maas trained on and evaluated on its test rows."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from maas.data.splits import Split, Splits

MOST_CATEGORIES = 254
"""Of a column, the most frequent; scikit-learn's boosting takes no more, and the others are missing."""
FLAML_FIT = Path(__file__).with_name("flaml_fit.py")
HAN = ("\u4e00", "\u9fff")


def reference_metric(kind: str, splits: Splits, metric: str, seed: int) -> float:
    """Returns the test metric of what a user would write first.

    Args:
        kind: `boosting`, `tfidf` or `pixels`.
        splits: rows, split.
        metric: `accuracy`, `balanced_accuracy` or `r2`.
        seed: random state of the estimators.
    """
    predicted = {"boosting": _boosting, "tfidf": _tfidf, "pixels": _pixels}[kind](splits, seed)
    measures = {"accuracy": accuracy_score, "r2": r2_score, "balanced_accuracy": balanced_accuracy_score}
    return float(measures[metric](splits.test.targets, predicted))


def _boosting(splits: Splits, seed: int) -> NDArray[Any]:
    learner = HistGradientBoostingClassifier if splits.labels else HistGradientBoostingRegressor
    train, test = _frames(splits)
    return learner(random_state=seed).fit(train, splits.train.targets).predict(test)


def _frames(splits: Splits) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns training and test rows as pandas has them: numbers, dates as days, and categories."""
    train, test = pd.DataFrame(list(splits.train.inputs)), pd.DataFrame(list(splits.test.inputs))
    for name in train.columns:
        if pd.api.types.is_numeric_dtype(train[name]) and not pd.api.types.is_bool_dtype(train[name]):
            continue
        days = pd.to_datetime(train[name], errors="coerce", utc=True, format="mixed")
        if days.notna().mean() > 0.95:
            for frame in (train, test):
                moments = pd.to_datetime(frame[name], errors="coerce", utc=True, format="mixed")
                frame[name] = moments.map(lambda moment: moment.timestamp() / 86400, na_action="ignore").astype(float)
            continue
        known = pd.CategoricalDtype(train[name].dropna().astype(str).value_counts().index[:MOST_CATEGORIES])
        for frame in (train, test):
            frame[name] = frame[name].astype(str).astype(known)
    return train, test


def _tfidf(splits: Splits, seed: int) -> NDArray[Any]:
    """Counts of words, or of characters where texts are Chinese."""
    letters = "".join(splits.train.inputs[:200])
    is_chinese = sum(HAN[0] <= letter <= HAN[1] for letter in letters) > 0.2 * len(letters)
    vectorizer = TfidfVectorizer(analyzer="char" if is_chinese else "word", ngram_range=(1, 2))
    model = make_pipeline(vectorizer, LogisticRegression(max_iter=1000, random_state=seed))
    return model.fit(list(splits.train.inputs), splits.train.targets).predict(list(splits.test.inputs))


def _pixels(splits: Splits, seed: int) -> NDArray[Any]:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=seed))
    return model.fit(_flat(splits.train), splits.train.targets).predict(_flat(splits.test))


def _flat(split: Split) -> NDArray[Any]:
    return np.stack([np.asarray(Image.open(path), dtype=np.float64).ravel() for path in split.inputs])


def flaml_metric(python: Path, splits: Splits, metric: str, seed: int, seconds: float) -> float:
    """Returns the test metric of FLAML on the same rows, in as many seconds.

    Args:
        python: interpreter of an environment that has `flaml[automl]`.
        splits: rows of columns, split; FLAML is given training and validation rows, and holds out what it likes.
        metric: `accuracy`, `balanced_accuracy` or `r2`.
        seed: random seed.
        seconds: of its search.
    """
    train, test = _frames(splits)
    _, validation = _frames(Splits(splits.train, splits.validation, splits.validation, splits.labels, splits.record))
    categories = [name for name in train.columns if isinstance(train[name].dtype, pd.CategoricalDtype)]
    task = "classification" if splits.labels else "regression"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = {
            "train": (pd.concat([train, validation]), [*splits.train.targets, *splits.validation.targets]),
            "test": (test, splits.test.targets),
        }
        for split, (frame, targets) in rows.items():
            frame.assign(target=targets).to_csv(folder / f"{split}.csv", index=False)
        terms = {"task": task, "metric": metric, "seconds": seconds, "seed": seed, "categories": categories}
        (folder / "terms.json").write_text(json.dumps(terms))
        done = subprocess.run([python, FLAML_FIT, folder], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])

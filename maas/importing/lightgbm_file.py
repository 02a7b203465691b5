"""Models that LightGBM saved as text, as estimators of scikit-learn, and what their text holds."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from maas.errors import ConfigError

try:
    from lightgbm import Booster
except ImportError as error:
    raise ImportError("lightgbm is not installed. In a checkout of maas: pip install '.[boosting]'") from error

TREE, END_OF_TREES, CATEGORIES = "\nTree=", "\nend of trees", "\npandas_categorical:"
UNNAMED = "Column_"
"""What LightGBM calls columns that have no name, each with its position."""
OBJECTIVES_OF_LABELS = ("binary", "multiclass", "multiclassova", "cross_entropy")


class _FromText(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both kinds share.

    Args:
        text: the file's content.
    """

    def __init__(self, text: str = "") -> None:
        self.text = text

    def __sklearn_is_fitted__(self) -> bool:
        """It comes fitted."""
        return True

    def fit(self, _rows: object, _targets: object = None) -> Self:
        """Refuses: it comes fitted.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "A file of LightGBM has learnt already. To train, set model.estimator to lightgbm.LGBMClassifier or "
            "lightgbm.LGBMRegressor."
        )

    @property
    def n_features_in_(self) -> int:
        """D."""
        return int(header_of(self.text)["max_feature_idx"]) + 1

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the columns.

        Raises:
            AttributeError: they have none.
        """
        names = header_of(self.text)["feature_names"].split(" ")
        if all(name == f"{UNNAMED}{place}" for place, name in enumerate(names)):
            raise AttributeError("the columns have no names")
        return np.array(names, dtype=object)

    def _predicted(self, rows: object) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.asarray(booster_of(self.text).predict(rows))
        return found


class LightGBMClassifier(ClassifierMixin, _FromText):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier of labels 0, 1, …, from LightGBM's text.

    Args:
        text: the file's content.
    """

    @property
    def classes_(self) -> NDArray[np.int64]:
        """The labels, (K,)."""
        return np.arange(max(2, int(header_of(self.text)["num_class"])))

    def predict_proba(self, rows: object) -> NDArray[np.float64]:
        """Returns LightGBM's own probabilities, (N, K)."""
        found = self._predicted(rows)
        return found if found.ndim == 2 else np.stack([1 - found, found], axis=1)

    def predict(self, rows: object) -> NDArray[np.int64]:
        """Returns the label of the largest probability, (N,)."""
        labels: NDArray[np.int64] = self.predict_proba(rows).argmax(axis=1)
        return labels


class LightGBMRegressor(RegressorMixin, _FromText):  # type: ignore[misc]  # scikit-learn has no types
    """Predicts a number, from LightGBM's text.

    Args:
        text: the file's content.
    """

    def predict(self, rows: object) -> NDArray[np.float64]:
        """Returns LightGBM's own values, (N,)."""
        return self._predicted(rows)


def estimator_of(text: str) -> LightGBMClassifier | LightGBMRegressor:
    """Returns the estimator that a text is; what is learnt is read off its objective.

    Raises:
        Exception: LightGBM refuses it.
    """
    booster_of(text)
    objective = header_of(text).get("objective", "").partition(" ")[0]
    return LightGBMClassifier(text) if objective in OBJECTIVES_OF_LABELS else LightGBMRegressor(text)


@lru_cache(maxsize=4)
def booster_of(text: str) -> Booster:
    """Returns LightGBM's own model of a text."""
    return Booster(model_str=text)


def header_of(text: str) -> dict[str, str]:
    """Returns what a text says of the whole model; what has no value is there with an empty one."""
    return _fields(text.partition(TREE)[0])


def trees_in(text: str) -> Sequence[dict[str, str]]:
    """Returns the fields of each tree."""
    return [_fields(part) for part in text.partition(END_OF_TREES)[0].split(TREE)[1:]]


def categories_in(text: str) -> Sequence[Sequence[str]]:
    """Returns the categories of the frame that it learnt from, for each such column in turn."""
    saved = text.rpartition(CATEGORIES)[2].strip() if CATEGORIES in text else "null"
    found: Sequence[Sequence[str]] | None = json.loads(saved)
    return found or []


def _fields(part: str) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in part.splitlines())

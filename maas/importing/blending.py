"""Boosting beside a linear model on columns: settings and weights that do best in folds of the training rows.

Few rows let boosting learn by heart what a linear model cannot, and bend a linear model to what trees see at once.
Which of them to trust, and how much, is decided by rows that neither has learnt from. No search goes over more than a
dozen of settings, and the number of trees costs nothing to choose: one run of boosting gives the loss after each tree.

Source:
    Wolpert, Stacked generalization, Neural Networks 5(2), 1992: weights by predictions for rows that were held out.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

FeatureTable: TypeAlias = pd.DataFrame | NDArray[np.float64]
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Positions of the rows that train, and of those that are held out."""

LEAVES = (31, 7)
"""Of a tree: scikit-learn's own, and few."""
MOST_TREES, PATIENCE = 100, 30
"""Where each of several labels costs a tree a stage, boosting of a fold ends once the loss of its held-out rows has not
become less for so many stages. Others run to the end: the best stage may come after a long level stretch."""
PENALTIES = (100.0, 10.0, 1.0, 0.1)
"""λ of the linear model's L2 penalty on standardised columns; C of logistic regression is 1/λ."""
WEIGHTS = (0.0, 0.25, 0.5, 0.75)
"""Of the linear model; the others are boosting's, which always takes part: few rows do not show what lines miss."""
MOST_LINEAR_STEPS = 200


@dataclass(frozen=True)
class FoldCandidate:
    """A setting, and what it predicts for held-out rows.

    Args:
        estimator: not fitted.
        scores: probabilities (N, K) or values (N,); NaN for rows that no fold holds out.
        loss: of the held-out rows.
    """

    estimator: BaseEstimator
    scores: NDArray[np.float64]
    loss: float


class _Blend(BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn has no types
    """What both kinds share.

    Args:
        folds: number of folds; 0 takes both models as they come, with equal weights.
        random_state: seed of folds and boosting.
    """

    def __init__(self, folds: int = 5, random_state: int | None = None) -> None:
        self.folds = folds
        self.random_state = random_state

    def fit(self, rows: FeatureTable, targets: NDArray[Any]) -> Self:
        """Chooses settings and the linear model's `weight_` by folds, and fits both to all rows as `estimator_`."""
        folds = self._folds(np.asarray(targets))
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            boosted, linear, self.weight_ = self._boosting(), self._linear_model(1.0, rows), 0.5
            if folds:
                boosted, linear, self.weight_ = self._chosen(rows, np.asarray(targets), folds)
            both = [("boosting", boosted), ("linear", linear)]
            blend = self._voting(both, [1 - self.weight_, self.weight_]) if self.weight_ else boosted
            self.estimator_ = blend.fit(rows, targets)
        return self

    def predict(self, rows: FeatureTable) -> NDArray[Any]:
        """Returns labels or values (N,)."""
        found: NDArray[Any] = self.estimator_.predict(rows)
        return found

    def _chosen(
        self, rows: FeatureTable, targets: NDArray[Any], folds: Sequence[Fold]
    ) -> tuple[BaseEstimator, BaseEstimator, float]:
        trees = [self._boosted(leaves, rows, targets, folds) for leaves in LEAVES]
        boosted = min(trees, key=lambda one: one.loss)
        linear = min(self._linear_candidates(rows, targets, folds), key=lambda one: one.loss)

        def loss_of(weight: float) -> float:
            return self._loss(targets, weight * linear.scores + (1 - weight) * boosted.scores)

        return boosted.estimator, linear.estimator, min(WEIGHTS, key=loss_of)

    def _boosted(self, leaves: int, rows: FeatureTable, targets: NDArray[Any], folds: Sequence[Fold]) -> FoldCandidate:
        """Returns boosting with the number of trees that does best in all folds together."""
        patience = PATIENCE if self._is_costly(targets) else MOST_TREES
        learner = self._boosting(max_leaf_nodes=leaves, early_stopping=True, n_iter_no_change=patience)
        weights = self._weights(targets)
        fitted = [
            clone(learner).fit(
                _taken(rows, train),
                targets[train],
                X_val=_taken(rows, held),
                y_val=targets[held],
                sample_weight_val=weights[held],
            )
            for train, held in folds
        ]
        shortest = min(len(one.validation_score_) for one in fitted)
        losses = -np.mean([one.validation_score_[:shortest] for one in fitted], axis=0)  # the first is of no tree
        trees = 1 + int(np.argmin(losses[1:]))
        stages = [self._stages(one, _taken(rows, held)) for one, (_, held) in zip(fitted, folds, strict=True)]
        scores = _held_out(targets, folds, [next(islice(stage, trees - 1, None)) for stage in stages])
        estimator = self._boosting(max_leaf_nodes=leaves, max_iter=trees)
        return FoldCandidate(estimator, scores, self._loss(targets, scores))

    def _linear_candidates(
        self, rows: FeatureTable, targets: NDArray[Any], folds: Sequence[Fold]
    ) -> list[FoldCandidate]:
        """Returns a linear model for each penalty; columns of a fold are prepared once for all of them."""
        found: list[list[NDArray[np.float64]]] = [[] for _ in PENALTIES]
        for train, held in folds:
            columns = _columns(rows)
            prepared = columns.fit_transform(_taken(rows, train)), columns.transform(_taken(rows, held))
            for own, penalty in zip(found, PENALTIES, strict=True):
                fitted = self._linear(penalty).fit(prepared[0], targets[train])
                own.append((fitted.predict_proba if is_classifier(self) else fitted.predict)(prepared[1]))
        candidates = []
        for own, penalty in zip(found, PENALTIES, strict=True):
            scores = _held_out(targets, folds, own)
            candidates.append(FoldCandidate(self._linear_model(penalty, rows), scores, self._loss(targets, scores)))
        return candidates

    @abstractmethod
    def _folds(self, targets: NDArray[Any]) -> list[Fold]:
        """Returns the folds; none where nothing is to be chosen, or nothing can be."""

    @abstractmethod
    def _is_costly(self, targets: NDArray[Any]) -> bool:
        """Returns whether a stage of boosting is several trees."""

    @abstractmethod
    def _boosting(self, **settings: object) -> BaseEstimator:
        """Returns boosting of all its trees, unless it is set otherwise."""

    @abstractmethod
    def _linear(self, penalty: float) -> BaseEstimator:
        """Returns a linear model."""

    @abstractmethod
    def _voting(self, members: list[tuple[str, BaseEstimator]], weights: list[float]) -> BaseEstimator:
        """Returns the weighted mean of both."""

    @abstractmethod
    def _stages(self, fitted: BaseEstimator, rows: FeatureTable) -> Iterator[NDArray[np.float64]]:
        """Yields what boosting predicts after each stage, (N, K) or (N,)."""

    @abstractmethod
    def _weights(self, targets: NDArray[Any]) -> NDArray[np.float64]:
        """Returns how much each row counts, (N,)."""

    @abstractmethod
    def _loss(self, targets: NDArray[Any], scores: NDArray[np.float64]) -> float:
        """Returns the loss of the rows that were held out."""

    def _linear_model(self, penalty: float, rows: FeatureTable) -> Pipeline:
        return Pipeline([("columns", _columns(rows)), ("linear", self._linear(penalty))])


class BlendedClassifier(ClassifierMixin, _Blend):  # type: ignore[misc]  # scikit-learn has no types
    """Mean of the probabilities of histogram gradient boosting and logistic regression, chosen by log loss.

    A label of fewer rows than there are folds is in the rows that train, of all folds.

    Args:
        folds: number of folds; 0 takes both models as they come, with equal weights.
        class_weight: `balanced` lets each label count alike, in learning and in choosing.
        random_state: seed of folds and boosting.
    """

    def __init__(
        self, folds: int = 5, class_weight: Literal["balanced"] | None = None, random_state: int | None = None
    ) -> None:
        super().__init__(folds, random_state)
        self.class_weight = class_weight

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels, in the order of the probabilities."""
        found: NDArray[Any] = self.estimator_.classes_
        return found

    def predict_proba(self, rows: FeatureTable) -> NDArray[np.float64]:
        """Returns probabilities (N, K)."""
        found: NDArray[np.float64] = self.estimator_.predict_proba(rows)
        return found

    def _folds(self, targets: NDArray[Any]) -> list[Fold]:
        labels, counts = np.unique(targets, return_counts=True)
        often = np.flatnonzero(np.isin(targets, labels[counts >= max(2, self.folds)]))
        if not self.folds or not len(often):
            return []
        splitter = StratifiedKFold(self.folds, shuffle=True, random_state=self.random_state)
        everything = np.arange(len(targets))
        held = [often[places] for _, places in splitter.split(often, targets[often])]
        return [(np.setdiff1d(everything, own), own) for own in held]

    def _is_costly(self, targets: NDArray[Any]) -> bool:
        return len(np.unique(targets)) > 2

    def _boosting(self, **settings: object) -> HistGradientBoostingClassifier:
        settings = {"early_stopping": False, "max_iter": MOST_TREES} | settings
        return HistGradientBoostingClassifier(
            class_weight=self.class_weight, random_state=self.random_state, **settings
        )

    def _linear(self, penalty: float) -> LogisticRegression:
        return LogisticRegression(C=1 / penalty, class_weight=self.class_weight, max_iter=MOST_LINEAR_STEPS)

    def _voting(self, members: list[tuple[str, BaseEstimator]], weights: list[float]) -> VotingClassifier:
        return VotingClassifier(members, voting="soft", weights=weights)

    def _stages(self, fitted: HistGradientBoostingClassifier, rows: FeatureTable) -> Iterator[NDArray[np.float64]]:
        stages: Iterator[NDArray[np.float64]] = fitted.staged_predict_proba(rows)
        return stages

    def _weights(self, targets: NDArray[Any]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = compute_sample_weight(self.class_weight, targets)
        return found

    def _loss(self, targets: NDArray[Any], scores: NDArray[np.float64]) -> float:
        held = ~np.isnan(scores[:, 0])
        weights = self._weights(targets)[held]
        return float(log_loss(targets[held], scores[held], labels=np.unique(targets), sample_weight=weights))


class BlendedRegressor(RegressorMixin, _Blend):  # type: ignore[misc]  # scikit-learn has no types
    """Mean of the values of histogram gradient boosting and ridge regression, chosen by squared error.

    Args:
        folds: number of folds; 0 takes both models as they come, with equal weights.
        random_state: seed of folds and boosting.
    """

    def _folds(self, targets: NDArray[Any]) -> list[Fold]:
        if not self.folds or len(targets) < self.folds:
            return []
        splitter = KFold(self.folds, shuffle=True, random_state=self.random_state)
        return list(splitter.split(targets))

    def _is_costly(self, _: NDArray[Any]) -> bool:
        return False

    def _boosting(self, **settings: object) -> HistGradientBoostingRegressor:
        settings = {"early_stopping": False, "max_iter": MOST_TREES} | settings
        return HistGradientBoostingRegressor(random_state=self.random_state, **settings)

    def _linear(self, penalty: float) -> Ridge:
        return Ridge(alpha=penalty)

    def _voting(self, members: list[tuple[str, BaseEstimator]], weights: list[float]) -> VotingRegressor:
        return VotingRegressor(members, weights=weights)

    def _stages(self, fitted: HistGradientBoostingRegressor, rows: FeatureTable) -> Iterator[NDArray[np.float64]]:
        stages: Iterator[NDArray[np.float64]] = fitted.staged_predict(rows)
        return stages

    def _weights(self, targets: NDArray[Any]) -> NDArray[np.float64]:
        return np.ones(len(targets))

    def _loss(self, targets: NDArray[Any], scores: NDArray[np.float64]) -> float:
        return float(mean_squared_error(targets, scores))


def _taken(rows: FeatureTable, places: NDArray[np.int64]) -> FeatureTable:
    return rows.iloc[places] if isinstance(rows, pd.DataFrame) else rows[places]


def _held_out(
    targets: NDArray[Any], folds: Sequence[Fold], found: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Returns the predictions of all folds in the order of the rows; NaN for rows that no fold holds out."""
    scores = np.full((len(targets), *found[0].shape[1:]), np.nan)
    for (_, held), own in zip(folds, found, strict=True):
        scores[held] = own
    return scores


def _columns(rows: FeatureTable) -> BaseEstimator:
    """Returns what prepares columns for a linear model: standardised numbers, and a column for each category."""
    numbers = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    if not isinstance(rows, pd.DataFrame):
        return numbers
    categories = [name for name, kind in rows.dtypes.items() if isinstance(kind, pd.CategoricalDtype)]
    others = [name for name in rows.columns if name not in categories]
    each = [("numbers", numbers, others), ("categories", OneHotEncoder(handle_unknown="ignore"), categories)]
    return ColumnTransformer([one for one in each if one[2]])

"""Files that estimators are saved to: skops', and those of XGBoost and LightGBM. None of them runs code."""

import json
from collections.abc import Sequence
from pathlib import Path

from sklearn.base import BaseEstimator

from maas.errors import ConfigError
from maas.importing.base import library_errors, needed
from maas.importing.skops_file import open_skops

XGBOOST_FILES = (".json", ".ubj")
LIGHTGBM_FILES = (".txt",)
EXTRA = "boosting"
"""The extra of maas that brings both libraries."""


def open_estimator(path: Path, trusted: Sequence[str]) -> BaseEstimator:
    """Opens a file by its ending: `.skops`, `.json` and `.ubj` of XGBoost, or `.txt` of LightGBM.

    Args:
        path: the file.
        trusted: types that a file of skops may hold.

    Raises:
        ConfigError: it is missing, a pickle, cannot be read, or holds types that are not trusted.
    """
    if not path.is_file():
        raise ConfigError(f"There is no file {path}. Set model.estimator to a .skops, .json, .ubj or .txt file.")
    if path.suffix.lower() in XGBOOST_FILES:
        return _of_xgboost(path)
    if path.suffix.lower() in LIGHTGBM_FILES:
        return _of_lightgbm(path)
    return open_skops(path, trusted)


def _of_xgboost(path: Path) -> BaseEstimator:
    xgboost = needed("xgboost", EXTRA)
    with library_errors(f"{path} cannot be opened as a model that XGBoost saved"):
        booster = xgboost.Booster(model_file=str(path))
        objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
        is_classifier = objective.startswith(("binary:", "multi:"))
        estimator: BaseEstimator = xgboost.XGBClassifier() if is_classifier else xgboost.XGBRegressor()
        estimator.load_model(str(path))
    return estimator


def _of_lightgbm(path: Path) -> BaseEstimator:
    needed("lightgbm", EXTRA)
    files = needed("maas.importing.lightgbm_file", EXTRA)
    with library_errors(f"{path} cannot be opened as a model that LightGBM saved"):
        text = path.read_text(encoding="utf-8")
        if not text.startswith("tree\n"):
            raise ConfigError(
                f"{path} is no model that LightGBM saved: it does not begin with the line 'tree'. Save one by "
                "booster.save_model('NAME.txt'), or booster_.save_model('NAME.txt') of an estimator."
            )
        estimator: BaseEstimator = files.estimator_of(text)
    return estimator

"""Estimators of scikit-learn, XGBoost and LightGBM as graphs."""

import sys
from importlib import import_module

from maas.importing.estimators import calibration, columns, ensembles, histograms, linear, plain, scaling, trees
from maas.importing.estimators.dispatch import add_estimator
from maas.importing.estimators.table import EstimatorGraphBuilder, GraphTable

__all__ = [
    "EstimatorGraphBuilder",
    "GraphTable",
    "add_estimator",
    "calibration",
    "columns",
    "ensembles",
    "histograms",
    "linear",
    "load_libraries",
    "plain",
    "scaling",
    "trees",
]

LIBRARIES = ("lightgbm", "xgboost")
"""Optional ones, each with a file NAME_trees.py here."""


def load_libraries() -> None:
    """Loads what writes the estimators of optional libraries that this process has imported.

    An estimator of one is there only where its library is, so that nothing else pays for it.
    """
    for name in LIBRARIES:
        if name in sys.modules:
            import_module(f"{__name__}.{name}_trees")

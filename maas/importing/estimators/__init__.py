"""Estimators of scikit-learn as graphs."""

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
    "plain",
    "scaling",
    "trees",
]

"""Estimators of scikit-learn as graphs."""

from maas.importing.estimators import calibration, columns, ensembles, histograms, linear, plain, scaling, trees
from maas.importing.estimators.drawing import drawn
from maas.importing.estimators.table import EstimatorGraphBuilder, Table

__all__ = [
    "EstimatorGraphBuilder",
    "Table",
    "calibration",
    "columns",
    "drawn",
    "ensembles",
    "histograms",
    "linear",
    "plain",
    "scaling",
    "trees",
]

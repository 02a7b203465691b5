"""mlflow models serve: a Python function, which `MLmodel` names; each request is run by itself, in a thread."""

import numpy as np
from model import Model


class Predict:
    def __init__(self) -> None:
        self.model = Model()

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.scores(rows.tolist()))


def _load_pyfunc(path: str) -> Predict:
    return Predict()

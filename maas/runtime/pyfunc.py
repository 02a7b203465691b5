"""A bundle as MLflow opens it: the loader that `MLmodel` names ends here. It imports no mlflow."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from maas.records.signature import TensorSpec
from maas.runtime.bundle import Bundle


class BundlePyfunc:
    """MLflow's python-function protocol over a bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Returns a DataFrame with a row for each input; its columns are those of a prediction, or the generated text.

        Args:
            model_input: a DataFrame with the input as its only column or with a column for each value, a Series, an
                array or a list of raw rows. The index of a DataFrame or a Series is that of the answer.
            params: none are known.
        """
        import pandas as pd  # noqa: PLC0415 - mlflow brings it; the runtime does without

        inputs = self.bundle.manifest.signature.inputs
        index = model_input.index if isinstance(model_input, pd.DataFrame | pd.Series) else None
        rows = _rows(model_input, inputs)
        if self.bundle.is_generative:
            return pd.DataFrame({"text": [one.text for one in self.bundle.generate_many(rows)]}, index=index)
        return pd.DataFrame(self.bundle.predict(rows), index=index)


def _rows(model_input: Any, inputs: Sequence[TensorSpec]) -> list[Any]:
    """Returns raw rows; a column alone is the rows themselves, unless a row is numbers in a shape of its own."""
    if len(inputs) > 1 and hasattr(model_input, "to_dict"):
        present = model_input.notna()  # pandas has its own kinds of missing
        return list(model_input.astype(object).where(present, None).to_dict("records"))
    values = getattr(model_input, "values", model_input)  # a DataFrame's or a Series' array
    is_shaped = len(inputs[0].shape) > 1 and getattr(values, "dtype", np.dtype(object)).kind in "biuf"
    if getattr(values, "ndim", 1) == 2 and values.shape[1] == 1 and not is_shaped:
        return list(values[:, 0])
    return list(values)


def _load_pyfunc(path: str) -> BundlePyfunc:
    """Opens the bundle at `path` for MLflow."""
    return BundlePyfunc(Bundle.open(path))

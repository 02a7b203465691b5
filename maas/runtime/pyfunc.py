"""A bundle as MLflow opens it: `MLmodel` names this module. It imports no mlflow."""

from typing import Any

from maas.runtime.bundle import Bundle


class BundlePyfunc:
    """MLflow's python-function protocol over a bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Returns a DataFrame with a row for each input; its columns are those of an answer.

        Args:
            model_input: a DataFrame with the input as its only column or with a column for each value, an array or a
                list of raw rows.
            params: none are known.
        """
        import pandas as pd  # noqa: PLC0415 - mlflow brings it; the runtime does without

        by_column = len(self.bundle.manifest.signature.inputs) > 1
        return pd.DataFrame(self.bundle.predict(_rows(model_input, by_column=by_column)))


def _rows(model_input: Any, *, by_column: bool) -> list[Any]:
    if by_column and hasattr(model_input, "to_dict"):
        return list(model_input.to_dict("records"))
    values = getattr(model_input, "values", model_input)  # a DataFrame's or a Series' array
    if getattr(values, "ndim", 1) == 2 and values.shape[1] == 1:
        return list(values[:, 0])
    return list(values)


def _load_pyfunc(path: str) -> BundlePyfunc:
    """Opens the bundle at `path` for MLflow."""
    return BundlePyfunc(Bundle.open(path))

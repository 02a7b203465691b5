"""The table that an estimator is given, from a processor's model inputs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection._search import BaseSearchCV

from maas.errors import ConfigError
from maas.importing.blending import BlendedClassifier, BlendedRegressor
from maas.importing.estimators.lookups import frame_of
from maas.importing.estimators.table import DOUBLE, EstimatorGraphBuilder, GraphTable, joined
from maas.runtime.codec import ModelInputs
from maas.runtime.processors import Processor
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.tabular import TabularProcessor

NUMBERS, CATEGORIES = "numbers", "categories"
"""Model inputs of the tabular processor."""
FLOAT32_STEPS = 32
"""Of float32 in a standard deviation."""
HISTOGRAMS = HistGradientBoostingClassifier | HistGradientBoostingRegressor


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"model_inputs": "feeds"}):
    """Columns by name.

    Args:
        names: names of columns in the estimator's order.
        model_inputs: model input → names of its columns.
        texts: for a column of categories, the text of each position; None is a missing or unknown one.
    """

    names: tuple[str, ...]
    model_inputs: dict[str, tuple[str, ...]]
    texts: dict[str, tuple[str | None, ...]]

    def of(self, model_inputs: ModelInputs) -> pd.DataFrame:
        """Returns model inputs as a frame: numbers, and categories as pandas holds them."""
        columns = {
            name: model_inputs[model_input][:, place]
            for model_input, own in self.model_inputs.items()
            for place, name in enumerate(own)
        }
        chosen = {name: columns[name] for name in self.names}
        numbers = {name: values.astype(np.float64) for name, values in chosen.items() if name not in self.texts}
        return frame_of({**chosen, **numbers}, self.texts)


def frame_for(estimator: BaseEstimator, processor: Processor, *, is_fitted: bool) -> Frame | None:
    """Returns the columns by name that an estimator wants; None where it reads them by position.

    Raises:
        ConfigError: it wants columns that the processor does not have.
    """
    if is_fitted:
        wanted = _names_learnt(estimator)
        named = bool(wanted)
    else:
        wanted, named = _named_columns(estimator), _reads_names(estimator, processor)
    if not isinstance(processor, TabularProcessor):
        if named and not is_fitted:
            raise ConfigError(
                f"{type(estimator).__name__} reads columns by name; the {processor.kind} processor gives none. Choose "
                "processor=tabular, or name columns by position."
            )
        return None
    if not named:
        return None
    columns = [*processor.number_names, *processor.categories]
    if absent := [name for name in wanted if name not in columns]:
        raise ConfigError(
            f"{type(estimator).__name__} reads the column {absent[0]!r}; the tabular processor gives "
            f"{', '.join(columns)}. Name it in processor.numbers or processor.categories."
        )
    model_inputs = {NUMBERS: processor.number_names, CATEGORIES: processor.categories}
    return Frame(
        tuple(wanted if is_fitted else columns),
        {model_input: names for model_input, names in model_inputs.items() if names},
        {name: (None, *texts) for name, texts in processor.learnt_categories.items()},
    )


def _names_learnt(estimator: BaseEstimator) -> list[str]:
    """Returns the columns that a fitted estimator was given by name; LightGBM numbers those that had none."""
    names = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    numbered = [f"Column_{place}" for place in range(len(names))]
    return [] if names == numbered else names


def require_scale(processor: Processor, rows: Sequence[Any]) -> None:
    """Checks that an array processor's float32 distinguishes the values of each place.

    Raises:
        ConfigError: they deviate by a few steps of float32, or less.
    """
    if not isinstance(processor, ArrayProcessor) or processor.standardize:
        return
    table = np.array([np.ravel(row) for row in rows], dtype=np.float64)
    largest, deviations = np.abs(table).max(axis=0), table.std(axis=0)
    steps = np.spacing(largest.astype(np.float32)).astype(np.float64)
    for place in np.flatnonzero((deviations < FLOAT32_STEPS * steps) & (np.ptp(table, axis=0) > 0))[:1]:
        raise ConfigError(
            f"Value {place} of a row deviates by {deviations[place]:.3g} around {table[:, place].mean():.3g}, where "
            f"float32 numbers lie {steps[place]:.3g} apart, and the array processor gives float32. Choose "
            "processor=tabular, which gives imported models float64."
        )


def _reads_names(estimator: BaseEstimator, processor: Processor) -> bool:
    parts = [estimator, *estimator.get_params().values()]
    if any(isinstance(part, ColumnTransformer) and any(map(_is_by_name, part.transformers)) for part in parts):
        return True
    boosted = [part for part in parts if isinstance(part, HISTOGRAMS)]
    named = [part.categorical_features for part in boosted if not isinstance(part.categorical_features, str)]
    if any(map(_texts_among, named)):
        return True
    has_categories = isinstance(processor, TabularProcessor) and bool(processor.categories)
    return has_categories and _takes_categories(estimator)


def _takes_categories(estimator: BaseEstimator) -> bool:
    """Returns whether an estimator by itself takes columns of categories as pandas holds them."""
    if isinstance(estimator, BaseSearchCV):
        return _takes_categories(estimator.estimator)
    if isinstance(estimator, BlendedClassifier | BlendedRegressor):
        return True
    if isinstance(estimator, HISTOGRAMS):
        return bool(estimator.categorical_features == "from_dtype")
    library = type(estimator).__module__.partition(".")[0]
    return library == "lightgbm" or (library == "xgboost" and bool(estimator.enable_categorical))


def _named_columns(estimator: BaseEstimator) -> list[str]:
    """Returns the columns that the transformers of an estimator name."""
    parts = [part for part in [estimator, *estimator.get_params().values()] if isinstance(part, ColumnTransformer)]
    return [name for part in parts for *_, columns in part.transformers for name in _texts_among(columns)]


def _is_by_name(transformer: tuple[str, object, object]) -> bool:
    columns = transformer[2]
    return callable(columns) or bool(_texts_among(columns))


def _texts_among(columns: object) -> list[str]:
    if isinstance(columns, str):
        return [columns]
    return [one for one in columns if isinstance(one, str)] if isinstance(columns, list | tuple) else []


def by_model_input(
    found: Mapping[int, Sequence[float]], model_inputs: ModelInputs, frame: Frame | None
) -> dict[str, dict[int, Sequence[float]]]:
    """Returns what is known of the table's columns by model input and column of that model input."""
    own = [(model_input, place) for model_input, array in model_inputs.items() for place in range(array[0].size)]
    if frame is not None:
        names = [name for model_input in model_inputs for name in frame.model_inputs[model_input]]
        own = [own[names.index(name)] for name in frame.names]
    chosen: dict[str, dict[int, Sequence[float]]] = {model_input: {} for model_input in model_inputs}
    for column, values in found.items():
        model_input, place = own[column]
        chosen[model_input][place] = values
    return chosen


def lacking_all(row: ModelInputs) -> ModelInputs:
    """Returns model inputs of a row that lacks all its numbers, where its processor lets that in."""
    return {
        model_input: np.full_like(array, np.nan) if model_input == NUMBERS else array
        for model_input, array in row.items()
    }


def lacking_one(row: ModelInputs, frame: Frame | None) -> Iterator[tuple[int, ModelInputs]]:
    """Yields each column of numbers by its place in the table, and model inputs of a row that lacks this number.

    Args:
        row: model inputs of one row that lacks none.
        frame: columns by name, or None.
    """
    numbers = row.get(NUMBERS, np.zeros((1, 0)))  # other processors let no missing number in
    for column in range(numbers.shape[1]):
        lacking = numbers.copy()
        lacking[:, column] = np.nan
        name = None if frame is None else frame.model_inputs[NUMBERS][column]
        if frame is None:
            yield column, {**row, NUMBERS: lacking}
        elif name in frame.names:
            yield frame.names.index(name), {**row, NUMBERS: lacking}


def feature_table(model_inputs: ModelInputs) -> NDArray[np.float64]:
    """Returns all model inputs side by side, float64 (N, D)."""
    return np.concatenate([array.reshape(len(array), -1).astype(np.float64) for array in model_inputs.values()], axis=1)


def drawn_table(model_inputs: ModelInputs, frame: Frame | None, builder: EstimatorGraphBuilder) -> GraphTable:
    """Returns the same in a graph whose inputs are the model inputs."""
    values = [
        builder.add("Flatten", builder.add("Cast", model_input, to=DOUBLE), axis=1) for model_input in model_inputs
    ]
    table = GraphTable(joined(values, builder), feature_table(model_inputs).shape[1])
    if frame is None:
        return table
    own = [name for model_input in model_inputs for name in frame.model_inputs[model_input]]
    texts = {own.index(name): one for name, one in frame.texts.items()}
    return GraphTable(table.value, table.width, tuple(own), texts).picked(
        [own.index(name) for name in frame.names], builder
    )

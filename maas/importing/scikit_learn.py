"""Estimators and pipelines of scikit-learn, and of libraries that keep to its interface: XGBoost and LightGBM."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier

from maas.data.splits import Splits
from maas.errors import ConfigError, ExportError, one_line
from maas.importing.base import LARGEST_FLOAT32, ImportedModel
from maas.importing.estimator_files import open_estimator
from maas.importing.frames import Frame, by_model_input, frame_for, lacking_all, lacking_one, require_scale
from maas.importing.learning import given, has_method, is_fitted, learnt, row_refusals
from maas.importing.meaning import Gives, Meaning, meaning_of, require_scores
from maas.importing.scikit_learn_graph import (
    ESTIMATOR_OUTPUT,
    converted,
    estimator_searched,
    few_rows,
    require_same_scores,
    thresholds_of,
)
from maas.importing.skops_file import TRUSTED, dumped
from maas.importing.writing import write_adopted
from maas.onnx_graphs.building import GraphBuilder
from maas.onnx_graphs.reading import Axes
from maas.runtime.codec import ModelInputs
from maas.runtime.processors import Processor

MODEL, RECORD = "estimator.skops", "source.json"
FARTHEST_NEIGHBOUR = 1e5
ROWS_CHECKED = 200
"""Of the training split, on which the graph of an estimator that comes fitted is compared with it."""


class EstimatorRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of an estimator once it has met the data.

    Args:
        meaning: meaning of its outputs.
        trusted: types that its file may hold.
        frame: columns by name; None where it reads them by position.
        required: columns of its table that it refuses to miss; the graph gives NaN where one is missing.
    """

    meaning: Meaning
    trusted: tuple[str, ...]
    frame: Frame | None = None
    required: tuple[int, ...] = ()


class Estimator(ImportedModel):
    """Answers by `predict_proba`, or by `predict` where numbers are predicted.

    Inputs are joined to a table of float64, and scikit-learn is given the same numbers as the graph, which computes in
    float64 as well: both take the same branch of a tree, and ties of votes stay ties. An estimator that names columns
    is given a frame of the tabular processor's: its numbers, and its categories as pandas holds them; a category that
    the processor does not know is missing. So is one that comes fitted on a frame, and histogram gradient boosting,
    LightGBM and XGBoost with `enable_categorical` where the processor has categories.

    Before it learns, a copy learns from a few rows of each label and is exported; one that cannot be, or whose graph
    answers otherwise, is refused then.

    Args:
        estimator: a part, or the path of a `.skops` file, or of one that XGBoost (`.json`, `.ubj`) or
            LightGBM (`.txt`) saved. One that is not fitted learns from the training split,
            with `random_state` 0 where it names none.
        labels: names, in their order, of the classes 0, 1, … of a fitted classifier; null if it is the data's.
        trusted: further types that the file may hold, by import path; read what they do first.
        record: result of `fit`.

    Raises:
        ConfigError: it is no estimator, or its file is a pickle or holds types that are not trusted.
    """

    framework: ClassVar[str] = "scikit-learn"
    computes_in_double: ClassVar[bool] = True

    def __init__(
        self,
        estimator: object,
        labels: Sequence[str] | None = None,
        trusted: Sequence[str] = (),
        *,
        record: EstimatorRecord | None = None,
    ) -> None:
        self.trusted = tuple(dict.fromkeys([*TRUSTED, *trusted]))
        self.estimator: BaseEstimator = (
            open_estimator(Path(estimator), self.trusted) if isinstance(estimator, str | Path) else estimator
        )
        self.labels = labels
        self.record = record
        if not hasattr(self.estimator, "fit") or not has_method(self.estimator, "predict"):
            raise ConfigError(
                f"model.estimator is of type {type(self.estimator).__name__}; it must be an estimator with predict, or "
                "the path of a .skops file, or of one that XGBoost (.json, .ubj) or LightGBM (.txt) saved."
            )

    def fit(self, splits: Splits, processor: Processor) -> Self:
        """Returns a fitted estimator that knows which class is which label."""
        _require_table(processor)
        if splits.labels and not has_method(self.estimator, "predict_proba"):
            raise ConfigError(
                f"{self._name} gives no probabilities. Choose a classifier with predict_proba, or wrap it in "
                "sklearn.calibration.CalibratedClassifierCV."
            )
        frame = frame_for(self.estimator, processor, is_fitted=is_fitted(self.estimator))
        require_scale(processor, splits.train.inputs)
        model_inputs: ModelInputs = processor.batch(processor.preprocess(splits.train.inputs))
        if is_fitted(self.estimator):
            met = self._met(self.estimator, self._names(splits), splits, frame)
            few: ModelInputs = {model_input: array[:ROWS_CHECKED] for model_input, array in model_inputs.items()}
        else:
            targets = _targets_of(splits)
            few = self._dry_run(model_inputs, frame, splits, targets)
            met = self._met(learnt(self.estimator, model_inputs, frame, targets), None, splits, frame)
        met = met._requiring(few)  # noqa: SLF001
        require_scores(
            met.outputs({model_input: array[:1] for model_input, array in model_inputs.items()}), met.gives, splits
        )
        met.require_exportable(few)
        return met

    def _met(self, estimator: BaseEstimator, names: Sequence[str] | None, splits: Splits, frame: Frame | None) -> Self:
        gives: Gives = "probabilities" if is_classifier(estimator) else "value"
        record = EstimatorRecord(meaning_of(gives, names, splits), self.trusted, frame)
        return type(self)(estimator, self.labels, self.trusted, record=record)

    def _requiring(self, few: ModelInputs) -> Self:
        """Returns it with the columns of numbers that it refuses to miss."""
        row = {model_input: np.nan_to_num(array[:1]) for model_input, array in few.items()}
        if self._accepts(lacking_all(row)):
            return self
        required = [place for place, lacking in lacking_one(row, self._known.frame) if not self._accepts(lacking)]
        record = msgspec.structs.replace(self._known, required=tuple(required))
        return type(self)(self.estimator, self.labels, self.trusted, record=record)

    def _accepts(self, model_inputs: ModelInputs) -> bool:
        try:
            self.outputs(model_inputs)
        except ConfigError:
            return False
        return True

    def _dry_run(
        self, model_inputs: ModelInputs, frame: Frame | None, splits: Splits, targets: NDArray[Any]
    ) -> ModelInputs:
        """Lets a copy learn from a few rows, which it returns, and be exported."""
        chosen = few_rows(targets, len(splits.labels))
        few = {model_input: array[chosen] for model_input, array in model_inputs.items()}
        try:
            with warnings.catch_warnings(action="ignore"):  # of few rows
                copy = learnt(estimator_searched(self.estimator), few, frame, targets[chosen])
        except ConfigError:  # few rows may be too few for it; its error for all rows counts
            return few
        self._met(copy, None, splits, frame).require_exportable(few)
        return few

    def require_exportable(self, model_inputs: ModelInputs) -> None:
        """Checks that it can be saved, that its graph can be written, and that this answers as it does.

        Args:
            model_inputs: a few rows.

        Raises:
            ConfigError: it cannot, or does not.
        """
        try:
            model = self._graph(model_inputs, onnx.defs.onnx_opset_version())
            require_same_scores(self._name, model, model_inputs, self.outputs(model_inputs), self._known.meaning)
        except ExportError as error:
            raise ConfigError(str(error)) from error
        dumped(self.estimator, self.trusted)

    def outputs(self, model_inputs: ModelInputs) -> NDArray[np.float32]:
        """Returns probabilities (N, K) or values (N,)."""
        table = given(model_inputs, self._known.frame)
        predict = self.estimator.predict_proba if self._classifies else self.estimator.predict
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # it adds up all numbers to see whether they are finite
                found = predict(table)
        except row_refusals() as error:
            raise ConfigError(f"{self._name} does not take these rows: {one_line(error)}.") from error
        return self._known.meaning.scores(np.atleast_1d(found))  # Gaussian processes give one row no axis

    @property
    def largest(self) -> float:
        """Where neighbours are counted, a number beyond which all rows are equally far away in float64."""
        parts = [self.estimator, *self.estimator.get_params().values()]
        return FARTHEST_NEIGHBOUR if any(hasattr(part, "kneighbors") for part in parts) else LARGEST_FLOAT32

    def thresholds(self, model_inputs: ModelInputs) -> Mapping[str, Mapping[int, Sequence[float]]]:
        """Returns thresholds of trees that read the model inputs as they are."""
        found = thresholds_of(self.estimator, model_inputs, self._known.frame, classifies=self._classifies)
        return by_model_input(found, model_inputs, self._known.frame)

    def write_onnx(self, out: Path, *, examples: ModelInputs, axes: Axes, output: str, opset: int) -> None:
        """Writes the estimator's graph."""
        write_adopted(
            self._graph(examples, opset),
            out,
            before=GraphBuilder("model_inputs"),
            connected={model_input: model_input for model_input in examples},
            result=ESTIMATOR_OUTPUT,
            meaning=self._known.meaning,
            examples=examples,
            axes=axes,
            output=output,
            opset=opset,
        )

    def _graph(self, model_inputs: ModelInputs, opset: int) -> onnx.ModelProto:
        known = self._known
        return converted(
            self.estimator, model_inputs, known.frame, required=known.required, classifies=self._classifies, opset=opset
        )

    def save(self, folder: Path) -> None:
        """Writes the estimator as skops does, and what is known of it."""
        (folder / MODEL).write_bytes(dumped(self.estimator, self.trusted))
        (folder / RECORD).write_bytes(msgspec.json.encode(self._known))

    @classmethod
    def load(cls, arguments: Mapping[str, Any], folder: Path) -> Self:
        """Opens what `save` wrote."""
        record = msgspec.json.decode((folder / RECORD).read_bytes(), type=EstimatorRecord)
        return cls(str(folder / MODEL), trusted=record.trusted, record=record)

    @property
    def _name(self) -> str:
        return type(self.estimator).__name__

    @property
    def gives(self) -> Gives:
        """What its numbers are."""
        return self._known.meaning.gives

    @property
    def _classifies(self) -> bool:
        return self.gives == "probabilities"

    @property
    def _known(self) -> EstimatorRecord:
        if self.record is None:
            raise ConfigError(f"{type(self.estimator).__name__} has not met the data yet. Call fit first.")
        return self.record

    def _names(self, splits: Splits) -> Sequence[str] | None:
        """Returns the labels in the order of a fitted estimator's classes; None for that of the data."""
        if not is_classifier(self.estimator):
            return self.labels
        classes = [str(one) for one in self.estimator.classes_]
        numbered = classes == [str(position) for position in range(len(classes))]
        return self.labels if numbered and set(classes) != set(splits.labels) else classes


def _targets_of(splits: Splits) -> NDArray[Any]:
    if splits.train.targets is None:
        raise ConfigError("model.estimator is not fitted, and the rows carry no targets to learn from.")
    return np.asarray(splits.train.targets)


def _require_table(processor: Processor) -> None:
    for model_input, axes in processor.dynamic_axes.items():
        if set(axes) != {0}:
            raise ConfigError(
                f"scikit-learn takes tables; the {processor.kind} processor gives {model_input} of any "
                f"{axes[max(axes)]}. "
                "Choose a processor of fixed size, e.g. processor=array."
            )

"""Estimators and pipelines of scikit-learn."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from maas.data.splits import Splits
from maas.errors import ConfigError
from maas.importing.base import ForeignModel
from maas.importing.draft import Draft
from maas.importing.extras import needed
from maas.importing.graph import Axes, Feeds, one_line
from maas.importing.meaning import Gives, Meaning, meaning_of, require_answers
from maas.importing.scikit_learn_graph import TABLE, converted
from maas.importing.writing import write_adopted
from maas.runtime.processors import BaseProcessor

MODEL, RECORD = "estimator.skops", "source.json"
TRUSTED = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
)
"""Types of scikit-learn itself that skops leaves to its caller; they hold numbers and run no code of a file."""
PICKLES = (".joblib", ".pickle", ".pkl", ".sav")


class EstimatorRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of an estimator once it has met the data.

    Args:
        meaning: of its answers.
        trusted: types that its file may hold.
    """

    meaning: Meaning
    trusted: tuple[str, ...]


class Estimator(ForeignModel):
    """Answers by `predict_proba`, or by `predict` where numbers are predicted; exported by skl2onnx.

    Feeds are joined to a table of float32, and scikit-learn is given the same float32 numbers as the graph: thresholds
    of trees are rounded down to float32, so that both take the same branch for every float32 number. Votes of trees
    are added up in double precision in the graph as well; in float32 they would break ties at random.

    Args:
        estimator: a part, or the path of a `.skops` file. One that is not fitted learns from the training split, with
            `random_state` 0 where it names none.
        labels: of a fitted classifier whose classes are 0, 1, …: their names in this order; null if it is the data's.
        trusted: further types that the file may hold, by import path; read what they do first.
        record: what is known of the estimator; `fit` finds it out.

    Raises:
        ConfigError: it is no estimator, or its file is a pickle or holds types that are not trusted.
    """

    framework: ClassVar[str] = "scikit-learn"

    def __init__(
        self,
        estimator: Any,
        labels: Sequence[str] | None = None,
        trusted: Sequence[str] = (),
        *,
        record: EstimatorRecord | None = None,
    ) -> None:
        self.trusted = tuple(dict.fromkeys([*TRUSTED, *trusted]))
        self.estimator = opened(Path(estimator), self.trusted) if isinstance(estimator, str | Path) else estimator
        self.labels = labels
        self.record = record
        if not hasattr(self.estimator, "predict"):
            raise ConfigError(
                f"model.estimator is of type {type(self.estimator).__name__}; it must be an estimator with predict, or "
                "the path of a .skops file."
            )

    def fit(self, splits: Splits, processor: BaseProcessor) -> Self:
        """Returns a fitted estimator that knows which class is which label."""
        _require_table(processor)
        name = type(self.estimator).__name__
        if splits.labels and not hasattr(self.estimator, "predict_proba"):
            raise ConfigError(
                f"{name} gives no probabilities. Choose a classifier with predict_proba, or wrap it in "
                "sklearn.calibration.CalibratedClassifierCV."
            )
        feeds = processor.collate(processor.encode(splits.train.inputs))
        if is_fitted(self.estimator):
            estimator, names = self.estimator, self._names(splits)
        else:
            estimator, names = _learnt(self.estimator, table_of(feeds), splits), None
        gives: Gives = "probabilities" if is_classifier(estimator) else "value"
        meaning = meaning_of(gives, names, splits)
        met = type(self)(estimator, self.labels, self.trusted, record=EstimatorRecord(meaning, self.trusted))
        require_answers(met.outputs({feed: array[:1] for feed, array in feeds.items()}), gives, splits)
        return met

    def outputs(self, feeds: Feeds) -> NDArray[np.float32]:
        """Returns probabilities (N, K) or values (N,)."""
        table, meaning = table_of(feeds), self._known.meaning
        classifies = meaning.gives == "probabilities"
        return meaning.answer(
            np.asarray(self.estimator.predict_proba(table) if classifies else self.estimator.predict(table))
        )

    def write_onnx(self, out: Path, *, examples: Feeds, axes: Axes, output: str, opset: int) -> None:
        """Writes what skl2onnx makes of the estimator."""
        source, before = converted(self.estimator, table_of(examples).shape[1], opset), Draft("feeds")
        columns = [before.add("Flatten", before.add("Cast", feed, to=1), axis=1) for feed in examples]
        table = before.add("Concat", *columns, axis=1) if len(columns) > 1 else columns[0]
        write_adopted(
            source,
            out,
            before=before,
            connected={TABLE: table},
            result=source.graph.output[-1].name,
            meaning=self._known.meaning,
            examples=examples,
            axes=axes,
            output=output,
            opset=opset,
        )

    def save(self, folder: Path) -> None:
        """Writes the estimator as skops does, and what is known of it."""
        content = needed("skops.io").dumps(self.estimator)
        _require_trusted(content, self.trusted, type(self.estimator).__name__)
        (folder / MODEL).write_bytes(content)
        (folder / RECORD).write_bytes(msgspec.json.encode(self._known))

    @classmethod
    def load(cls, arguments: Mapping[str, Any], folder: Path) -> Self:
        """Opens what `save` wrote."""
        record = msgspec.json.decode((folder / RECORD).read_bytes(), type=EstimatorRecord)
        return cls(str(folder / MODEL), trusted=record.trusted, record=record)

    @property
    def _known(self) -> EstimatorRecord:
        if self.record is None:
            raise ConfigError(f"{type(self.estimator).__name__} has not met the data yet. Call fit first.")
        return self.record

    def _names(self, splits: Splits) -> Sequence[Any] | None:
        """Returns the labels in the order of a fitted estimator's classes; None for that of the data."""
        if not is_classifier(self.estimator):
            return self.labels
        classes = [str(one) for one in self.estimator.classes_]
        numbered = classes == [str(position) for position in range(len(classes))]
        return self.labels if numbered and set(classes) != set(splits.labels) else classes


def opened(path: Path, trusted: Sequence[str]) -> Any:
    """Opens a file of skops.

    Raises:
        ConfigError: it is a pickle, cannot be read, or holds types that are not trusted.
    """
    if path.suffix.lower() in PICKLES:
        raise ConfigError(
            f"{path} is a pickle, and opening one runs whatever code it holds. Save the estimator by skops.io.dump "
            f"where it was made, and set model.estimator={path.with_suffix('.skops')}."
        )
    try:
        content = path.read_bytes()
        _require_trusted(content, trusted, str(path))
        return needed("skops.io").loads(content, trusted=list(trusted))
    except ConfigError:
        raise
    except Exception as error:  # a missing file, a broken archive, a type of a package that is not there
        raise ConfigError(f"{path} cannot be opened as a file of skops: {one_line(error)}") from error


def is_fitted(estimator: Any) -> bool:
    """Tells whether an estimator has learnt."""
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def table_of(feeds: Feeds) -> NDArray[np.float32]:
    """Returns all feeds side by side, float32 (N, D)."""
    return np.concatenate([array.reshape(len(array), -1).astype(np.float32) for array in feeds.values()], axis=1)


def _learnt(estimator: Any, table: NDArray[np.float32], splits: Splits) -> Any:
    """Returns a fitted copy; what draws at random draws the same on every run."""
    if splits.train.targets is None:
        raise ConfigError("model.estimator is not fitted, and the rows carry no targets to learn from.")
    fresh = clone(estimator)
    undrawn = {name: 0 for name, value in fresh.get_params().items() if name.endswith("random_state") and value is None}
    return fresh.set_params(**undrawn).fit(table, splits.train.targets)


def _require_table(processor: BaseProcessor) -> None:
    for feed, axes in processor.dynamic_axes.items():
        if set(axes) != {0}:
            raise ConfigError(
                f"scikit-learn takes tables; the {processor.kind} processor gives {feed} of any {axes[max(axes)]}. "
                "Choose a processor of fixed size, e.g. processor=array."
            )


def _require_trusted(content: bytes, trusted: Sequence[str], what: str) -> None:
    unknown = sorted(set(needed("skops.io").get_untrusted_types(data=content)) - set(trusted))
    if unknown:
        raise ConfigError(
            f"{what} holds types that are not trusted: {', '.join(unknown)}. If you know what they do, set "
            f"model.trusted=[{','.join(unknown)}]."
        )

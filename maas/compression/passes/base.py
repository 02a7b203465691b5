"""The protocols that passes keep: ONNX passes, and passes over checkpoints."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, TypeGuard

import numpy as np

from maas.data.splits import Split, Splits
from maas.errors import BudgetError, ExportError
from maas.records.evidence import AppliedPass
from maas.runtime.codec import ModelInputs
from maas.runtime.model import Predictor
from maas.training.checkpoint import Checkpoint
from maas.training.progress import EpochListener
from maas.training.recipe import TrainingRecipe
from maas.training.reopening import REOPENED_ROWS

DECLARATIONS: dict[str, tuple[tuple[object, ...], str]] = {
    "side": (("onnx", "checkpoint"), 'side: ClassVar[Literal["checkpoint", "onnx"]] = "onnx"  # or "checkpoint"'),
    "trains": ((True, False), "trains: ClassVar[bool] = False  # whether it trains the net, for `epochs` epochs"),
    "needs_teacher": (
        (True, False),
        "needs_teacher: ClassVar[bool] = False  # whether it distils the root",
    ),
}
"""What a pass declares in its class: what may stand there, and how it is written."""


@dataclass(frozen=True)
class Calibration:
    """What an ONNX pass may learn from: training rows, never validation or test rows.

    Args:
        model_inputs: given a number of rows, yields that many training rows as the graph's inputs, batch by batch.
        seed: random seed.
        output: name of the graph's output that is evaluated; None for the first of numbers.
    """

    model_inputs: Callable[[int], Iterator[ModelInputs]]
    seed: int
    output: str | None = None

    @classmethod
    def of(cls, predictor: Predictor, train: Split, seed: int) -> Self:
        """Builds a calibration of randomly picked training rows, as a model's processor prepares and batches them."""

        def model_inputs(count: int) -> Iterator[ModelInputs]:
            picked = np.random.default_rng(seed).permutation(len(train))[:count]
            features = predictor.preprocess([train.inputs[index] for index in picked])
            for batch in predictor.batches(features):
                yield predictor.processor.batch([features[index] for index in batch])

        return cls(model_inputs, seed, predictor.postprocessor.output)


@dataclass(frozen=True)
class PassContext:
    """What a pass over checkpoints gets beside its parent.

    Args:
        recipe: what the root was trained by; None for a graph that is given without.
        splits: its rows; passes learn from training rows, and look at validation rows to keep their best epoch.
        root: checkpoint that the search began with, and the teacher of all that is made of it; None where a model
            came as a graph alone, to which no pass over checkpoints is applied.
        folder: folder for the training checkpoints of an interrupted training.
        seed: random seed.
        listener: called with each epoch's number and metrics as it ends; None for nobody.
        calibration: the pass that every checkpoint ends with, by name; none for no such pass.
        applied_passes: those that made the root of the one that was trained.
    """

    recipe: TrainingRecipe | None
    splits: Splits
    root: Checkpoint | None
    folder: Path
    seed: int
    listener: EpochListener | None = None
    calibration: Mapping[str, "CheckpointPass"] = field(default_factory=dict)
    applied_passes: tuple[AppliedPass, ...] = ()

    @property
    def rows(self) -> Sequence[Any]:
        """Validation rows that a checkpoint, opened again, must predict as the net that it was made of."""
        return self.splits.validation.spread(REOPENED_ROWS).inputs

    @property
    def training(self) -> TrainingRecipe:
        """What the root was trained by.

        Raises:
            ExportError: the model is a graph that came without a recipe.
        """
        if self.recipe is None:
            raise ExportError("This pass needs a recipe to train by, and the model comes without one. Leave it out.")
        return self.recipe

    @property
    def trained(self) -> Checkpoint:
        """The checkpoint that the search began with.

        Raises:
            ExportError: there is none.
        """
        if self.root is None:
            raise ExportError("This pass needs a trained checkpoint, and the model comes without one. Leave it out.")
        return self.root


class DeclaredPass(Protocol):
    """A frozen dataclass of settings, and what its class declares of it."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    trains: ClassVar[bool]
    """Whether it trains the net, for as many epochs as its setting `epochs` holds."""
    needs_teacher: ClassVar[bool]
    """Whether the net learns from the checkpoint that the search began with."""


class OnnxPass(DeclaredPass, Protocol):
    """A pass that makes an ONNX file smaller or faster."""

    side: ClassVar[Literal["onnx"]]

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        """Writes the smaller graph to `out`; `parent` is left as it is.

        Raises:
            ExportError: the graph cannot be treated this way; the reason is recorded and the pass is refused.
        """
        ...


class CheckpointPass(DeclaredPass, Protocol):
    """A pass that prunes a trained net, or trains it further."""

    side: ClassVar[Literal["checkpoint"]]

    def apply(self, parent: Checkpoint, out: Path, context: PassContext) -> Checkpoint:
        """Writes the checkpoint of what becomes of `parent` to `out`; `parent` is left as it is.

        Raises:
            ExportError: the net cannot be treated this way; the reason is recorded and the candidate is refused.
        """
        ...


class TrainingPass(CheckpointPass, Protocol):
    """A pass over checkpoints that trains."""

    @property
    def epochs(self) -> int:
        """Epochs over the training rows."""
        ...


Pass = OnnxPass | CheckpointPass


def is_training(one: CheckpointPass) -> TypeGuard[TrainingPass]:
    """Whether a pass over checkpoints trains."""
    return one.trains


def epochs_of(passes: Iterable[CheckpointPass]) -> int:
    """Returns the epochs that passes train for in all."""
    return sum(one.epochs for one in passes if is_training(one))


def require_declared(name: str, kind: type) -> None:
    """Requires that a pass's class declares what it is.

    Args:
        name: the pass's name in the recipe.
        kind: its class.

    Raises:
        BudgetError: a declaration is missing or cannot be true.
    """
    where = f"compress.passes.{name}: {kind.__module__}.{kind.__qualname__}"
    for attribute, (values, line) in DECLARATIONS.items():
        found = getattr(kind, attribute, None)
        if found not in values:
            fault = "does not declare it" if found is None else f"declares {found!r}"
            raise BudgetError(f"{where} must declare {attribute}, and {fault}. Write in the class: {line}.")
    declared: dict[str, object] = {attribute: getattr(kind, attribute) for attribute in DECLARATIONS}
    if declared["side"] == "onnx" and (declared["trains"] or declared["needs_teacher"]):
        raise BudgetError(f"{where} takes ONNX files, which cannot be trained. Declare trains and needs_teacher false.")
    if declared["trains"] and "epochs" not in getattr(kind, "__dataclass_fields__", ()):
        raise BudgetError(f"{where} trains, and has no setting epochs. Give it the field: epochs: int = 3.")

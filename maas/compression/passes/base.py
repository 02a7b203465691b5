"""The protocols that passes keep: over ONNX files, and over checkpoints."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import Field, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from maas.config import RunConfig
from maas.data.splits import Splits
from maas.runtime.codec import ModelInputs
from maas.training.checkpoint import Checkpoint
from maas.training.progress import EpochListener
from maas.training.reopening import REOPENED_ROWS


@dataclass(frozen=True)
class Calibration:
    """What a pass may learn from: training rows, never validation or test rows.

    Args:
        model_inputs: given a number of rows, yields that many training rows as the graph's inputs, batch by batch.
        seed: of every random choice.
        output: of the graph, that is evaluated; None for the first of numbers.
    """

    model_inputs: Callable[[int], Iterator[ModelInputs]]
    seed: int
    output: str | None = None


class OnnxPass(Protocol):
    """A frozen dataclass of settings that makes an ONNX file smaller or faster."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    side: ClassVar[Literal["onnx"]]

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        """Writes the smaller graph to `out`; `parent` is left as it is.

        Raises:
            ExportError: the graph cannot be treated this way; the reason is recorded and the pass is refused.
        """
        ...


@dataclass(frozen=True)
class PassContext:
    """What a pass over checkpoints has at hand.

    Args:
        config: the recipe that the root was trained by.
        splits: its rows; passes learn from training rows, and look at validation rows to keep their best epoch.
        root: the checkpoint that the search began with; the teacher of all that is made of it.
        folder: for what an interrupted training goes on with.
        seed: of every random choice.
        listener: told of each epoch as it ends.
    """

    config: RunConfig
    splits: Splits
    root: Checkpoint
    folder: Path
    seed: int
    listener: EpochListener | None = None

    @property
    def rows(self) -> Sequence[Any]:
        """Validation rows that a checkpoint, opened again, must answer as the net that it was made of."""
        return self.splits.validation.spread(REOPENED_ROWS).inputs


class CheckpointPass(Protocol):
    """A frozen dataclass of settings that cuts a trained net, or trains it further."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    side: ClassVar[Literal["checkpoint"]]

    def apply(self, parent: Checkpoint, out: Path, context: PassContext) -> Checkpoint:
        """Writes the checkpoint of what becomes of `parent` to `out`; `parent` is left as it is.

        Raises:
            ExportError: the net cannot be treated this way; the reason is recorded and the candidate is refused.
        """
        ...


Pass = OnnxPass | CheckpointPass

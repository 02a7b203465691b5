"""What several stages put together from a recipe: rows, checkpoints, ONNX files and what answers by them."""

from pathlib import Path
from typing import Any

from maas.config import RunConfig
from maas.data.splits import Splits
from maas.errors import DataError
from maas.exporting.conversion import to_onnx
from maas.exporting.settings import ExportSettings
from maas.records.manifest import ServingSettings
from maas.run_folders.folder import RunFolder
from maas.runtime.predictor import Predictor
from maas.runtime.processors import Processor
from maas.training.checkpoint import Checkpoint, save_checkpoint
from maas.training.fitting import Fitted
from maas.training.recipe import TrainingRecipe
from maas.training.reopening import REOPENED_ROWS

EXAMPLE_ROWS = 4


def checkpoint_of_fitted(
    folder: RunFolder, recipe: TrainingRecipe, fitted: Fitted, processor: Processor, splits: Splits, **record: Any
) -> Checkpoint:
    """Writes the checkpoint of a model that was fitted, which answers validation rows as the model does.

    Args:
        folder: of the run.
        recipe: what the model was trained by.
        fitted: the model, and how it was trained.
        processor: fitted.
        splits: what it was trained on.
        record: the fields of `CheckpointRecord` that these do not give.

    Raises:
        CheckpointError: the model holds what a checkpoint cannot, and would answer otherwise once it is opened.
    """
    return save_checkpoint(
        folder.checkpoint,
        fitted.model,
        processor,
        name=recipe.name,
        task=recipe.task,
        net_record=fitted.net_record,
        rows=splits.validation.spread(REOPENED_ROWS).inputs,
        plan=None,
        labels=splits.labels,
        history=fitted.history,
        best_epoch=fitted.best_epoch,
        data=splits.record,
        **record,
    )


def load_rows(config: RunConfig) -> Splits:
    """Loads, cleans and splits the rows of a recipe."""
    return TrainingRecipe.of(config).rows()


def require_same_rows(splits: Splits, checkpoint: Checkpoint) -> Splits:
    """Returns the rows if they are those that the checkpoint was trained on: otherwise test rows may have been learnt.

    Raises:
        DataError: they are others.
    """
    found, trained = splits.record.fingerprint, checkpoint.record.data.fingerprint
    if found != trained:
        raise DataError(
            f"The rows are not those that {checkpoint.folder} was trained on (fingerprint {found[:12]}…, was "
            f"{trained[:12]}…). Train again: python -m maas.train recipe={checkpoint.record.name}"
        )
    return splits


def predictor_of(serving: ServingSettings, checkpoint: Checkpoint, model: Path) -> Predictor:
    """Returns what answers by an ONNX file of a checkpoint, as it will be served."""
    return Predictor(
        model,
        checkpoint.processor(),
        checkpoint.postprocessor(),
        batch_size=serving.batch_size,
        threads=serving.threads,
    )


def exported_onnx(export: ExportSettings, checkpoint: Checkpoint, splits: Splits, out: Path) -> Path:
    """Exports a checkpoint to `out`, with the first training rows for examples."""
    processor = checkpoint.processor()
    features = processor.preprocess(splits.train.inputs[:EXAMPLE_ROWS])
    return to_onnx(checkpoint, processor.batch(features), out, export.opset)

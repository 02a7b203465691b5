"""Which way a model predicts the rows of a file: by columns, by inputs, by files, or by prompts that it continues."""

from collections.abc import Sequence

from maas.errors import ConfigError
from maas.predicting.blocks import FileRows
from maas.predicting.command import PredictCommand
from maas.predicting.model_rows import (
    ColumnsReader,
    FileReader,
    FileRowReader,
    InputsReader,
    PartPredictor,
    PredictingModel,
)
from maas.predicting.opening_files import reads_columns
from maas.predicting.other_rows import FILE_COLUMN, TEXT_COLUMN, FolderRows
from maas.predicting.prediction_columns import PredictionColumns
from maas.predicting.written_texts import GeneratingModel
from maas.runtime.bundle import Bundle
from maas.runtime.generation.settings import generation_settings
from maas.runtime.model import Predictor
from maas.suggesting import nearest_of

COLUMN_ROWS, INPUT_ROWS = 16384, 512
"""Of a part, at least, where a model reads columns, and where it reads texts or files, which take longer."""


def part_predictor(bundle: Bundle, command: PredictCommand, rows: FileRows) -> PartPredictor:
    """Returns what predicts parts of a file.

    Raises:
        ConfigError: a setting does not fit the model, or the file lacks a column that it takes.
        BundleError: the model does not give its golden outputs.
    """
    if bundle.is_generative:
        return _generating(bundle, command, rows)
    if command.texts:
        raise ConfigError(f"{next(iter(command.texts))} is of models that generate; {command.model} predicts.")
    predictor, options = _predictor(bundle, command), command.options
    reader = _reader(bundle, command, rows)
    least = COLUMN_ROWS if isinstance(reader, ColumnsReader) else INPUT_ROWS
    columns = PredictionColumns(
        predictor.postprocessor,
        bundle.golden.predictions[0],
        options.prefix,
        options.top_k or 1,
        has_probabilities=options.probabilities == "true",
    )
    return PredictingModel(predictor, reader, columns, -(-least // predictor.batch_size) * predictor.batch_size)


def _predictor(bundle: Bundle, command: PredictCommand) -> Predictor:
    """Returns the bundle's predictor, or one of other settings, once it has given the golden outputs."""
    batch_size, threads = command.options.batch_size, command.options.threads
    if batch_size is None and threads is None:
        return bundle.checked_predictor
    made = bundle.make_predictor(batch_size=batch_size, threads=threads)
    bundle.check_golden(predictor=made)
    return made


def _generating(bundle: Bundle, command: PredictCommand, rows: FileRows) -> GeneratingModel:
    if command.options.probabilities == "true":
        raise ConfigError("probabilities is of models that choose among labels; this one generates. Leave it out.")
    top_k = {} if command.options.top_k is None else {"top_k": command.options.top_k}
    settings = generation_settings({**command.texts, **top_k})
    reader = InputsReader(_inputs(command, _names(rows), ("prompt", "messages", TEXT_COLUMN)))
    slots = command.options.batch_size or bundle.manifest.serving.batch_size
    return GeneratingModel(bundle.generator, reader, settings, command.options.prefix, slots)


def _reader(bundle: Bundle, command: PredictCommand, rows: FileRows) -> FileRowReader:
    if isinstance(rows, FolderRows):
        return FileReader(rows.path, FILE_COLUMN)
    processor, names = bundle.predictor.processor, _names(rows)
    if not reads_columns(bundle):
        return InputsReader(_inputs(command, names, (processor.input_name,)))
    if command.options.input is not None:
        raise ConfigError("input is of models of one input; this one takes columns by their names. Leave it out.")
    reader = ColumnsReader(processor)
    for name in reader.names:
        if name not in names:
            raise ConfigError(
                f"{command.source} has no column {name}, which the model takes.{nearest_of(name, names)} Rename it, or "
                "add it: an empty cell is a missing value."
            )
    return reader


def _names(rows: FileRows) -> Sequence[str]:
    """Returns the columns of a file; of lines of JSON, those that the first of them have."""
    if rows.schema.names:
        return list(rows.schema.names)
    first = next(rows.blocks(), None)
    return list(dict.fromkeys(name for row in (first.objects if first else None) or () for name in row))


def _inputs(command: PredictCommand, names: Sequence[str], usual: Sequence[str]) -> Sequence[str]:
    """Returns the columns that a raw input is made of.

    Raises:
        ConfigError: the file lacks one that is named, or which one holds the inputs is open.
    """
    if command.options.input is not None:
        wanted = command.options.input.split(",")
        for name in wanted:
            if name not in names:
                raise ConfigError(f"input names {name}; {command.source} has no such column.{nearest_of(name, names)}")
        return wanted
    found = next((name for name in usual if name in names), None)
    if found is None and len(names) != 1:
        shown = ", ".join(names) or "none"
        raise ConfigError(f"{command.source} has the columns {shown}. Set input=COLUMN to what the model reads.")
    return [found or names[0]]

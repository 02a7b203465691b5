"""Takes a file of rows through a model, and writes a file of predictions that is there once it is whole."""

import hashlib
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pyarrow as pa

from maas.errors import ConfigError, InputError
from maas.files import draft_of
from maas.predicting.blocks import FileRows, RowBlock, parts_of_rows
from maas.predicting.command import PredictCommand
from maas.predicting.kept_parts import KeptParts, unfinished
from maas.predicting.model_rows import PartPredictor, PredictedPart
from maas.predicting.opening_files import opened_rows
from maas.predicting.other_rows import FILE_COLUMN, FolderRows
from maas.predicting.part_predictors import part_predictor
from maas.predicting.table_writers import table_writer
from maas.runtime.bundle import Bundle
from maas.suggesting import nearest_of

PARTS_LAYOUT = 2
"""Of parts that are kept; those of another one are not resumed."""
PredictProgress = Callable[[int, int], None]


class PredictedFile(msgspec.Struct, frozen=True):
    """What became of a file of rows.

    Args:
        out: file of predictions.
        rows: number of rows.
        errors: number of rows without a prediction.
        report: file that says why; null where there are none.
        seconds: wall time of this process.
    """

    out: str
    rows: int
    errors: int
    report: str | None
    seconds: float


def predict_file(bundle: Bundle, command: PredictCommand, progress: PredictProgress) -> PredictedFile:
    """Writes a row for each row of a file; a process that was killed is resumed.

    Args:
        bundle: the model.
        command: files and settings.
        progress: called with how much has been read, and how much there is to read.

    Raises:
        ConfigError: a setting does not fit the model or the file, or the file cannot be written.
        DataError: the rows cannot be read.
        InputError: a row has no prediction, and `errors` is `stop`.
    """
    begun = time.monotonic()
    with ExitStack() as stack:
        rows = stack.enter_context(opened_rows(bundle, command))
        predictor = part_predictor(bundle, command, rows)
        schema = _kept_schema(command, rows, predictor)
        kept = stack.enter_context(KeptParts.of(command.out, _work(bundle, command, rows, predictor)))
        writing = stack.enter_context(_Writing(command, schema, predictor))
        for part in parts_of_rows(rows.blocks(), predictor.part_rows):
            writing.add(part, kept.next(lambda part=part: predictor.predicted(part)))  # type: ignore[misc]
            progress(part.done, rows.size)
        writing.publish()
        unfinished(command.out).unlink()
    report = str(report_of(command.out)) if writing.errors else None
    return PredictedFile(str(command.out), writing.rows, writing.errors, report, round(time.monotonic() - begun, 3))


def report_of(out: Path) -> Path:
    """Returns where it is said why rows have no prediction."""
    return out.with_name(f"{out.name}.errors.jsonl")


def _work(bundle: Bundle, command: PredictCommand, rows: FileRows, predictor: PartPredictor) -> str:
    """Returns a digest of all that predictions depend on."""
    options = command.options
    reading = [options.input, options.encoding, options.separator, options.decimal, options.sheet]
    settings = [*reading, options.top_k, options.batch_size, options.threads, dict(command.texts)]
    status = command.source.stat()
    files = rows.listing if isinstance(rows, FolderRows) else [(status.st_size, status.st_mtime_ns)]
    content = [PARTS_LAYOUT, bundle.digest, str(predictor.schema), predictor.part_rows, settings, files]
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()


class _Writing:
    """The file and its report, which take their places together."""

    def __init__(self, command: PredictCommand, kept: pa.Schema, predictor: PartPredictor) -> None:
        self._command = command
        self._kept = kept
        self._draft, self._report = draft_of(command.out), draft_of(report_of(command.out))
        self._new = frozenset(predictor.schema.names)
        try:
            self._reasons = self._report.open("wb")
            self._table = table_writer(self._draft, command.ending, self._kept, predictor.schema, command.kept)
        except OSError as error:
            raise ConfigError(f"{command.out} cannot be written: {error.strerror}. Name another file.") from error
        self.rows = self.errors = 0

    def __enter__(self) -> "_Writing":
        return self

    def __exit__(self, *_: object) -> None:
        self._table.close()
        self._reasons.close()
        self._draft.unlink(missing_ok=True)
        self._report.unlink(missing_ok=True)

    def add(self, part: RowBlock, predicted: PredictedPart) -> None:
        """Writes a part.

        Raises:
            InputError: a row has no prediction, and `errors` is `stop`.
        """
        for place in sorted(predicted.faults):
            self._note(part, place, predicted.faults[place])
        self._require_new_names(part)
        self._table.write(RowBlock(part.table.select(self._kept.names), objects=part.objects), predicted.table)
        self.rows += len(part)

    def _note(self, part: RowBlock, place: int, reason: str) -> None:
        number = self.rows + place + 1
        if self._command.options.errors == "stop":
            raise InputError(f"{self._command.source}, row {number}: {reason} Set errors=report to go past such rows.")
        where = (
            {"file": part.table.column(FILE_COLUMN)[place].as_py()} if FILE_COLUMN in part.table.column_names else {}
        )
        self._reasons.write(msgspec.json.encode({"row": number, **where, "reason": reason}) + b"\n")
        self.errors += 1

    def _require_new_names(self, part: RowBlock) -> None:
        for row in part.objects or ():
            if not self._new.isdisjoint(row):
                raise _taken(min(self._new & row.keys()), self._command)

    def publish(self) -> None:
        """Gives the file its place, and its report where there is something to report."""
        self._table.close()
        self._reasons.close()
        if self.errors:
            self._report.replace(report_of(self._command.out))
        else:
            report_of(self._command.out).unlink(missing_ok=True)
        self._draft.replace(self._command.out)


def _kept_schema(command: PredictCommand, rows: FileRows, predictor: PartPredictor) -> pa.Schema:
    """Returns the columns of the file that are written beside predictions; none where they are objects' own.

    Raises:
        ConfigError: the file has no such column, or one has the name of a prediction.
    """
    known = rows.schema.names
    if command.keeps_objects and not known:
        return rows.schema
    names = known if command.kept is None else command.kept
    for name in names:
        if name not in known:
            raise ConfigError(f"columns names {name}; {command.source} has no such column.{nearest_of(name, known)}")
        if name in predictor.schema.names:
            raise _taken(name, command)
    return pa.schema([rows.schema.field(name) for name in names])


def _taken(name: str, command: PredictCommand) -> ConfigError:
    return ConfigError(
        f"{command.source} has a column {name} already. Set prefix= to what else the names of predictions begin with, "
        "or leave the column out by columns=."
    )

"""Predicts the rows of a file, and writes them to a file.

usage: python -m maas.predict MODEL IN OUT [key=value …] [--json]

    MODEL    a bundle's folder, or models:/NAME@ALIAS or models:/NAME/VERSION in the registry
    IN       a table (.csv, .tsv, .json, .jsonl, .parquet, .xlsx, …), lines of text (.txt), all plain or packed; or a
             folder of pictures or sounds. A cell is read as the model's column demands: as a number, or as the text
             that is there
    OUT      .csv, .tsv, .jsonl, .parquet, or .txt for predictions alone. It is there once it is whole; after a kill,
             the same command goes on, and writes the same bytes

    columns        columns of IN that are written beside the predictions: all, none, or A,B (all)
    prefix         what begins the names of the columns of predictions (predicted_)
    top_k          labels that have a column with their score, the likeliest first (the likeliest alone)
    probabilities  true gives each label a column (false)
    input          the column that is read, where a model reads one input; A,B for a list of numbers (the column of the
                   input's name, or the only one)
    errors         report: a row that cannot be predicted is a line of OUT.errors.jsonl with its number and the reason,
                   and has no prediction in OUT; stop: the first of them ends the run (report)
    replace        true replaces a file OUT that is there (false)
    encoding, separator, decimal   of IN: gb18030; comma, semicolon, tab or bar; . or , (detected)
    sheet          of a workbook: its name, or its place from 0 (the first that holds anything)
    batch_size     the most rows in one run of the model (the bundle's)
    threads        ONNX Runtime's threads in one run (the bundle's)
    --json         prints one object: file, rows, rows with an error, seconds

A model that generates takes prompts, and settings of maas generate, e.g. max_tokens=64.

Status 0; 2 for what cannot be done, in one line; 3 where rows have no prediction.

example: python -m maas.predict runs/airports/latest/bundle rows.csv predictions.parquet
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from maas.command_line import CommandLine
from maas.opening import load
from maas.outcomes import UNMET_STATUS, VerbOutcome, give, reported, say, wants_json
from maas.predicting.command import PredictCommand
from maas.predicting.predicting import PredictedFile, predict_file


def main(arguments: Sequence[str] | None = None) -> None:
    """Predicts a file."""
    is_json = wants_json(arguments)
    with reported("predict", is_json=is_json):
        line = CommandLine.parse("predict", sys.argv[1:] if arguments is None else arguments)
        if line.wants_help or not (line.names or line.overrides) or "help" in line.names:
            say((__doc__ or "").strip())
            return
        command = PredictCommand.of(line)
        bundle = load(command.model)
        with _progress_bar() as progress:
            found = predict_file(bundle, command, progress)
        give(VerbOutcome(found, _closing(found), UNMET_STATUS if found.errors else 0), is_json=is_json)


def _closing(found: PredictedFile) -> str:
    pace = f", {found.rows / found.seconds:,.0f} a second" if found.seconds else ""
    wrong = f"\n{found.errors:,} of them have no prediction: {found.report}" if found.errors else ""
    return f"{found.rows:,} rows in {found.seconds:.1f} s{pace}: {found.out}{wrong}"


@contextmanager
def _progress_bar() -> Iterator[Callable[[int, int], None]]:
    """Yields what shows how much has been read: a bar on a terminal, nothing else where."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("predict")
        yield lambda done, total: bar.update(task, completed=done, total=total)


if __name__ == "__main__":
    main()

"""Lists and details as text for a terminal."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from maas.outcomes import say
from maas.shell.recipes_and_parts import PartDetails
from maas.shell.runs_and_models import ModelDetails, RunLine

UNBOUNDED_WIDTH = 120
"""Of tables that no terminal bounds."""


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], nothing: str) -> None:
    """Prints rows below their headings, or what there is to say where there are none.

    Args:
        headings: a heading for each column.
        rows: cells.
        nothing: sentence for no rows.
    """
    console = Console(width=None if os.isatty(1) else UNBOUNDED_WIDTH)
    if not rows:
        say(nothing)
        return
    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(str, row))
    with console.capture() as capture:  # it ends with a status of its own where the reader has left
        console.print(table, highlight=False)
    say(capture.get().rstrip("\n"))


def part_text(details: PartDetails) -> str:
    """Returns a part with its arguments, a line each, and the docstring of what it calls."""
    lines = [f"{details.part.name}   {details.part.target}", f"{details.part.file}", ""]
    for one in details.arguments:
        shown = f"  {one.name}: {one.type}" if one.type else f"  {one.name}"
        lines.append(f"{shown} = {value_text(one.value)}{f'   {one.about}' if one.about else ''}")
    text = details.text.partition("Args:")[0].rstrip()
    return "\n".join([*lines, *(["", text] if text else [])])


def value_text(value: object) -> str:
    """Returns a value as a recipe writes it."""
    return value if isinstance(value, str) and value else msgspec.json.encode(value).decode()


def run_text(run: RunLine) -> str:
    """Returns a run's state, its metrics on test rows and its seconds by stage."""
    return "\n".join(_run_lines(run))


def _run_lines(run: RunLine) -> Iterator[str]:
    yield f"{run.name}   {run.state}"
    yield str(run.folder)
    yield from (f"  {name:16} {value}" for name, value in run.metrics.items())
    yield from (f"  {stage:16} {seconds:.1f} s" for stage, seconds in run.seconds.items())


def model_text(model: ModelDetails) -> str:
    """Returns a bundle's manifest and evidence in short."""
    return "\n".join(_model_lines(model))


def _model_lines(model: ModelDetails) -> Iterator[str]:
    yield f"{model.name}   {model.task}"
    yield str(Path(model.folder))
    inputs = ", ".join(f"{name} {type_}" for name, type_ in model.inputs.items())
    reads = f"{inputs} ({model.processor})" if model.processor else inputs
    yield f"  reads      {reads}"
    yield f"  gives      {', '.join(model.labels) or model.postprocessor or 'texts'}"
    yield f"  weights    {model.precision}, {model.bytes:,} bytes"
    yield f"  recipe     {model.recipe}"
    yield f"  serving    batches of {model.serving['batch_size']}, threads: {model.serving['threads']}"
    for who, metrics in model.metrics.items():
        yield f"  {who:10} {'; '.join(f'{name} {value}' for name, value in metrics.items())}"
    if model.test_rows is not None:
        yield f"  measured   on {model.test_rows:,} test rows"
    yield from (f"  parity     {pair}: {difference:.1e}" for pair, difference in model.parity.items())
    yield f"  manifest   {model.digest}"

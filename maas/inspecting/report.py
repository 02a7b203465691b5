"""What was found in data, and what is proposed, as lines for a terminal."""

from collections.abc import Iterator
from pathlib import Path

from maas.data.encodings import SEPARATOR_NAMES
from maas.inspecting.description import ColumnDescription, DataDescription
from maas.inspecting.proposal import RecipeProposal

SHOWN_COLUMNS = 40
LABELS_SHOWN = 10
ENCODING_NAMES = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 with a mark",
    "utf-16": "UTF-16",
    "gb18030": "GB18030",
    "cp1252": "Windows-1252",
}


def description_lines(data: DataDescription) -> Iterator[str]:
    """Yields what data holds, a line for each column."""
    if data.files is not None:
        yield from _folder_lines(data)
        return
    yield f"{data.origin}: {data.rows:,} rows, {len(data.columns)} columns{_reading(data)}"
    width = min(24, max((len(column.name) for column in data.columns), default=0))
    for column in data.columns[:SHOWN_COLUMNS]:
        yield f"  {column.name:{width}}  {column.kind:8}  {', '.join(_facts(column))}"
    if len(data.columns) > SHOWN_COLUMNS:
        yield f"  and {len(data.columns) - SHOWN_COLUMNS} more columns"


def proposal_lines(proposal: RecipeProposal) -> Iterator[str]:
    """Yields what is to be learnt, from what, and by what."""
    target = proposal.target
    if target.labels:
        total = sum(target.labels.values())
        shown = [f"{label} {count / total:.1%}" for label, count in list(target.labels.items())[:LABELS_SHOWN]]
        more = f", and {len(target.labels) - LABELS_SHOWN} more" if len(target.labels) > LABELS_SHOWN else ""
        yield f"target     {target.name or 'the folders'}: {len(target.labels)} classes: {', '.join(shown)}{more}"
    else:
        column = proposal.data.column(str(target.name))
        yield f"target     {target.name}: a number, {column.low:g} to {column.high:g}"
    if target.reason:
        yield f"           {target.reason}"
    for name, reason in proposal.left_out.items():
        yield f"left out   {name!r}: {reason}"
    for note in proposal.notes:
        yield f"note       {note}"
    yield f"model      {proposal.model.reason}"
    yield f"metric     {proposal.metric}"


def _reading(data: DataDescription) -> str:
    reading = data.reading
    found = []
    if reading.encoding:
        found.append(ENCODING_NAMES.get(reading.encoding, reading.encoding))
    if reading.separator:
        found.append(f"separated by {SEPARATOR_NAMES.get(reading.separator, repr(reading.separator))}")
    if reading.decimal == ",":
        found.append("with decimal commas")
    if len(reading.sheets) > 1:
        sheet = reading.sheet if reading.sheet is not None else "the first that holds anything"
        found.append(f"sheet {sheet} of {', '.join(map(repr, reading.sheets))}")
    if reading.missing:
        found.append(f"{', '.join(map(repr, reading.missing))} standing for nothing")
    return "".join(f", {one}" for one in found)


def _facts(column: ColumnDescription) -> Iterator[str]:
    if column.low is not None and column.kind == "number":
        yield f"{column.low:g} to {column.high:g}"
    elif column.kind == "text":
        yield f"{column.characters:.0f} characters in the mean, {column.script or 'no'} letters"
    elif column.kind in ("category", "id"):
        yield f"{column.distinct:,} values, e.g. {'; '.join(column.examples)}"
    elif column.kind == "date":
        yield f"e.g. {column.examples[0]}"
    if column.missing:
        yield f"{column.missing:,} missing"
    if column.reason:
        yield column.reason


def _folder_lines(data: DataDescription) -> Iterator[str]:
    files = data.files
    if files is None:
        return
    kind = "pictures" if data.modality == "image" else "sounds"
    yield f"{Path(data.origin)}: {data.rows:,} {kind}, {len(files.labels)} labels"
    if data.modality == "image":
        colour = "grey" if files.channels == 1 else "in colour"
        yield f"  {files.width} by {files.height} pixels in the middle, {colour}"
    else:
        yield f"  {files.rate:,} samples a second, up to {files.seconds:g} seconds"
    if files.unreadable:
        yield f"  {len(files.unreadable)} cannot be read, e.g. {files.unreadable[0]}"

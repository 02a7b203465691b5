"""One table of texts, written by each format's own writer: all readers give the rows that Python's csv gives."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from maas.data import columns, sources
from maas.data.cells import MISSING, ONLY_EMPTY


def read_file_table(path, target, kept=None, **settings):
    return columns.FileTable(path=path, target=target, columns=kept, **settings).read()


Table = list[dict[str, str]]

CELLS = st.one_of(
    st.sampled_from(
        ["0", "00", "01", "1", "+1", "1.", "1.0", "1.1", "1.10", "1e3", "1_001", "TRUE", "True", "true", "f"]
    ),
    st.sampled_from(
        [*MISSING, "None", "NULL", "n/a", "-", " ", "NA ", "inf", "\u0663", "0x1F", "2013-01-02", "[1]", "{}"]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
    st.text("\"',;\t\r\n\\ ab", max_size=6),
)
NAMES = st.lists(st.text("abc 12_", min_size=1, max_size=4), min_size=2, max_size=4, unique=True)


@st.composite
def tables(draw: st.DrawFn, lengths: tuple[int, ...] = (1, 1, 1, 1, 2001)) -> Table:
    """Draws a short table, or a long one whose last rows are unlike the others."""
    names, alphabet = draw(NAMES), draw(st.lists(CELLS, min_size=1, max_size=5))
    rows = draw(
        st.lists(st.fixed_dictionaries(dict.fromkeys(names, st.sampled_from(alphabet))), min_size=1, max_size=6)
    )
    late = draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, CELLS)), max_size=2))
    times = draw(st.sampled_from(lengths))
    return (rows * times)[: max(times, len(rows))] + late


def separated(delimiter: str) -> Callable[[Path, Table], None]:
    def write(path: Path, rows: Table) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)

    return write


def as_lines(path: Path, rows: Table) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


WRITERS = {
    "csv": separated(","),
    "tsv": separated("\t"),
    "jsonl": as_lines,
    "parquet": lambda path, rows: pq.write_table(pa.Table.from_pylist(rows), path),
}


def by_csv(path: Path) -> Table:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def without(rows: Table, missing: tuple[str, ...]) -> list[dict[str, str | None]]:
    return [{name: None if cell in missing else cell for name, cell in row.items()} for row in rows]


def check(rows: Table) -> None:
    """Compares what all readers give of a table with what csv gives."""
    names = list(rows[0])
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAAS_CACHE", folder)
        paths = {ending: Path(folder) / f"rows.{ending}" for ending in WRITERS}
        for ending, path in paths.items():
            WRITERS[ending](path, rows)
        expected = by_csv(paths["csv"])
        assert expected == rows
        cells, raw = without(expected, MISSING), without(expected, ONLY_EMPTY)
        for path in paths.values():
            table = read_file_table(str(path), names[-1], texts=names)["all"]
            labels = zip(table["input"], table["label"], strict=True)
            assert [{**row, names[-1]: label} for row, label in labels] == cells
            table = sources.files(str(path), input=names[0], label=names[-1])["all"]
            assert table["input"][:] == [row[names[0]] for row in raw]
            assert table["label"][:] == [row[names[-1]] for row in raw]
        guessed = read_file_table(str(paths["csv"]), names[-1])["all"]["input"]
        for name in names[:-1]:
            values, own = [row[name] for row in guessed], [row[name] for row in cells]
            as_numbers = (
                [cell if cell is None else float(cell) for cell in own] if str not in set(map(type, values)) else own
            )
            assert values == as_numbers  # all of a column's cells are numbers, or all are its own texts


few = settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
many = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))


@few
@given(rows=tables())
@example([{"x": "01", "y": "a"}] * 10_000 + [{"x": "1", "y": "b"}] * 10_000 + [{"x": "01", "y": "TRUE"}] * 5000)
def test_rows_are_those_of_csv_when_any_format_holds_the_same_texts(rows):
    check(rows)


@pytest.mark.slow
@many
@given(rows=tables((1, 2001, 25_000)))
@example([{"x": "7", "y": "1"}] * 25_000 + [{"x": "4.5", "y": "TRUE"}, {"x": "NA", "y": ""}])
def test_rows_are_those_of_csv_when_files_are_long_and_late_values_rare(rows):
    check(rows)

"""What was found in data: values that never change, and that know nothing of recipes."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from maas.data.cells import DecimalMark
from maas.data.sheets import Sheet
from maas.data.workbooks import SheetName
from maas.runtime.dates import DateOrder

ColumnKind: TypeAlias = Literal["number", "category", "date", "text", "id", "constant", "empty", "other"]
"""What a column is for a model; `other` is what no row can hold, such as a list."""
Modality: TypeAlias = Literal["table", "image", "audio"]


@dataclass(frozen=True)
class FileReading:
    """How a file is read, as it was detected or set.

    Args:
        encoding: encoding of a text file; None where the format has one of its own.
        separator: what separates cells; None where the format has none.
        decimal: what comes before the fraction of a number.
        sheet: sheet of a workbook; None for the first that holds anything.
        sheets: names of a workbook's sheets.
        missing: texts that stand for nothing, in addition to the usual ones.
    """

    encoding: str | None = None
    separator: str | None = None
    decimal: DecimalMark = "."
    sheet: SheetName | None = None
    sheets: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnDescription:
    """One column, over all of its rows.

    Args:
        name: its name.
        kind: what it is for a model.
        present: rows that hold a value.
        missing: rows that hold none.
        distinct: different values.
        examples: some values, as texts.
        reason: why it is of this kind, where that is not plain; else empty.
        low: smallest number; None where it holds none.
        high: largest number.
        is_whole: whether all numbers are whole.
        characters: mean characters of a text; 0 where it holds none.
        script: writing of most letters, e.g. `Han`; empty where it holds no text.
        date_order: order of year, month and day.
    """

    name: str
    kind: ColumnKind
    present: int
    missing: int
    distinct: int
    examples: tuple[str, ...] = ()
    reason: str = ""
    low: float | None = None
    high: float | None = None
    is_whole: bool = False
    characters: float = 0.0
    script: str = ""
    date_order: DateOrder = "ymd"


@dataclass(frozen=True)
class FolderFiles:
    """What lies in a folder of files by label.

    Args:
        labels: files of each label, all splits together.
        unreadable: names of files whose header cannot be read.
        height: of a picture in the middle; 0 for sounds.
        width: likewise.
        channels: 1 where all pictures are grey, else 3.
        rate: samples a second that most sounds have; 0 for pictures.
        seconds: length below which nearly all sounds are.
    """

    labels: dict[str, int]
    unreadable: tuple[str, ...] = ()
    height: int = 0
    width: int = 0
    channels: int = 0
    rate: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class DataDescription:
    """What data holds.

    Args:
        origin: path or name of the data as it was given.
        modality: a table, or a folder of pictures or of sounds.
        rows: number of rows or files.
        columns: columns of a table.
        reading: how its file is read.
        files: what a folder holds; None for tables.
        hub: whether `origin` names a data set of the Hugging Face hub.
        table: the table itself, from which a target is looked at; None for folders.
    """

    origin: str
    modality: Modality
    rows: int
    columns: tuple[ColumnDescription, ...] = ()
    reading: FileReading = field(default_factory=FileReading)
    files: FolderFiles | None = None
    hub: bool = False
    table: Sheet | None = field(default=None, repr=False, compare=False)

    def column(self, name: str) -> ColumnDescription:
        """Returns a column by its name."""
        return next(column for column in self.columns if column.name == name)

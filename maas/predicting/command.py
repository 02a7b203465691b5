"""The command line of `maas predict`, read once into a value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_type_hints

import msgspec

from maas.bounds import BatchSize, Count, Threads, required_by
from maas.command_line import CommandLine
from maas.data.cells import DecimalMark
from maas.errors import ConfigError, one_line, shortened_value
from maas.overrides import key_of
from maas.predicting.table_writers import OBJECTS, TEXTS, WRITTEN_ENDINGS
from maas.prompting.command import HINTS, setting_of
from maas.suggesting import nearest_of

_SEE_HELP = "See maas predict --help."
Truth = Literal["true", "false"]
SeparatorName = Literal["comma", "semicolon", "tab", "bar"]


class PredictionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a file of predictions.

    Args:
        input: columns that a row is made of, with commas between them, where a model takes one input; None for the
            column that is called as the input, or the only one.
        columns: columns of the input that are written beside the predictions, with commas between them; `all` or
            `none`.
        prefix: what begins the names of the columns of predictions.
        top_k: number of labels that have columns; None for the prediction alone. Of a model that generates, the
            likeliest tokens that are drawn from.
        probabilities: whether each label has a column.
        errors: `report` writes rows without a prediction to a report, `stop` ends with the first of them.
        replace: whether a file that is there is replaced.
        encoding: encoding of a file of text, as Python names it; None detects it.
        separator: what separates cells; None detects it.
        decimal: what comes before the fraction of a number; None detects it.
        sheet: name of a workbook's sheet, or its place from 0; None for the first that holds anything.
        batch_size: most rows in one run of the model; None for the bundle's.
        threads: ONNX Runtime's threads; None for the bundle's.
    """

    input: str | None = None
    columns: str = "all"
    prefix: str = "predicted_"
    top_k: Count | None = None
    probabilities: Truth = "false"
    errors: Literal["report", "stop"] = "report"
    replace: Truth = "false"
    encoding: str | None = None
    separator: SeparatorName | None = None
    decimal: DecimalMark | None = None
    sheet: str | None = None
    batch_size: BatchSize | None = None
    threads: Threads | None = None


OPTION_HINTS = get_type_hints(PredictionOptions, include_extras=True)


@dataclass(frozen=True)
class PredictCommand:
    """What was typed after `maas predict`.

    Args:
        model: address of the model.
        source: file or folder of rows.
        out: file that is written.
        options: settings.
        texts: settings of a model that generates, by name.
        is_json: whether the outcome is printed as a JSON object.
    """

    model: str
    source: Path
    out: Path
    options: PredictionOptions = field(default_factory=PredictionOptions)
    texts: Mapping[str, object] = field(default_factory=dict)
    is_json: bool = False

    @classmethod
    def of(cls, line: CommandLine) -> "PredictCommand":
        """Reads a command line.

        Raises:
            ConfigError: words are missing or too many, or a setting is unknown or has no such value; a line each.
        """
        if len(line.names) != 3:
            named = f"{len(line.names)} words stand beside the settings"
            raise ConfigError(f"{named}; name a model, a file of rows and the file to write. {_SEE_HELP}")
        faults = list(_faults(line))
        if faults:
            raise ConfigError("\n".join(faults))
        given = {key_of(one): one.partition("=")[2] for one in line.overrides}
        model, source, out = line.names
        command = cls(
            model,
            Path(source),
            Path(out),
            msgspec.convert({k: v for k, v in given.items() if k in OPTION_HINTS}, PredictionOptions, strict=False),
            {key: setting_of(key, [text]) for key, text in given.items() if key in HINTS and key not in OPTION_HINTS},
            is_json=line.is_json,
        )
        command.require_writable()
        return command

    @property
    def ending(self) -> str:
        """Ending of the file that is written."""
        return self.out.suffix.lower()

    @property
    def kept(self) -> tuple[str, ...] | None:
        """Columns of the input that are written; None for all."""
        if self.options.columns == "all" and self.ending not in TEXTS:
            return None
        return () if self.options.columns in ("none", "all") else tuple(self.options.columns.split(","))

    @property
    def keeps_objects(self) -> bool:
        """Whether objects of JSON are written as they are, rather than as columns of one type each."""
        return self.ending in OBJECTS

    def require_writable(self) -> None:
        """Requires a place for the file.

        Raises:
            ConfigError: it is there already, has no known ending, or its folder is missing.
        """
        if self.ending not in WRITTEN_ENDINGS:
            raise ConfigError(f"{self.out} is of no known format; written are {', '.join(WRITTEN_ENDINGS)}.")
        if not self.source.exists():
            raise ConfigError(f"There is no {self.source}. Name a table, a file of lines, or a folder.")
        if self.out.exists() and self.options.replace == "false":
            raise ConfigError(f"{self.out} is there already. Name another file, remove it, or set replace=true.")
        if self.out.is_dir():
            raise ConfigError(f"{self.out} is a folder. Name a file.")
        if not self.out.parent.is_dir():
            raise ConfigError(f"There is no folder {self.out.parent}. Make it, or name another file.")
        if self.out.exists() and self.out.samefile(self.source):
            raise ConfigError(f"{self.out} is what is read. Name another file.")


def _faults(line: CommandLine) -> Iterator[str]:
    for word in line.overrides:
        key, _, value = word.partition("=")
        if key not in OPTION_HINTS and key not in HINTS:
            yield f"{shortened_value(key, '')} is no setting of predict.{nearest_of(key, list(OPTION_HINTS))}"
        elif key in OPTION_HINTS:
            yield from _misfit(key, value)


def _misfit(key: str, value: str) -> Iterator[str]:
    """Yields what is wrong with a value."""
    if not value:
        if key != "prefix":
            yield f"{key} is empty. Leave it out, or set it."
        return
    try:
        msgspec.convert(value, OPTION_HINTS[key], strict=False)
    except msgspec.ValidationError as error:
        required = required_by(OPTION_HINTS[key]) or one_line(error)
        yield f"{key} is {shortened_value(value)}; {required}. {_SEE_HELP}"

"""A command line that names data: what it holds is said, and a recipe for it is written."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

from maas.command_line import CommandLine
from maas.config import recipe_names
from maas.data.cells import DecimalMark
from maas.errors import ConfigError
from maas.inspecting.proposal import propose
from maas.inspecting.reading import inspect_data
from maas.inspecting.recipe_text import recipe_text
from maas.inspecting.report import description_lines, proposal_lines

READING = ("encoding", "separator", "decimal", "sheet")
DATA_KEYS = ("target", "out", "name", *READING)
"""Keys of a command line that names data; all others are of its recipe."""
SEPARATOR_WORDS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
RECIPE_ENDINGS = (".yaml", ".yml")


def written_recipe(line: CommandLine, say: Callable[[str], None]) -> Path:
    """Inspects the data that a command line names, says what was found, and writes a recipe.

    Args:
        line: with one name, that of the data, and maybe `DATA_KEYS`.
        say: takes each line of the report.

    Returns:
        The recipe's file.

    Raises:
        MaasError: the data cannot be read, nothing can be learnt of it, or the file holds something else.
    """
    source = _source(line)
    if line.value("target") == "":
        raise ConfigError("target is empty; it must be the name of a column. Set target=COLUMN.")
    given = {key: value for key in READING if (value := line.value(key)) is not None}
    separator = given.get("separator")
    description = inspect_data(
        source,
        encoding=given.get("encoding"),
        separator=SEPARATOR_WORDS.get(separator, separator) if separator else None,
        decimal=_decimal(given.get("decimal")),
        sheet=given.get("sheet"),
    )
    for one in description_lines(description):
        say(one)
    proposal = propose(description, line.value("target"), line.value("name"))
    for one in proposal_lines(proposal):
        say(one)
    out = Path(line.value("out") or f"{proposal.name}.yaml")
    if out.suffix not in RECIPE_ENDINGS:
        raise ConfigError(f"out is {out}; a recipe's file ends in .yaml. Set e.g. out={out.stem or 'mine'}.yaml.")
    keys = [key for key in DATA_KEYS if key != "out" and line.value(key) is not None]
    command = shlex.join(["maas", "new", source, *(f"{key}={line.value(key)}" for key in keys)])
    _write(out, recipe_text(proposal, command, out.as_posix()))
    return out


def with_recipe_of_data(line: CommandLine, say: Callable[[str], None]) -> CommandLine:
    """Returns a command line whose data has become a recipe, with the settings that are the recipe's.

    Raises:
        MaasError: as `written_recipe` does.
    """
    out = written_recipe(line, say)
    own = line.without(DATA_KEYS)
    return replace(own, overrides=(f"recipe={out.as_posix()}", *own.overrides))


def _source(line: CommandLine) -> str:
    if len(line.names) == 2 and Path(line.names[0]).exists() and not Path(line.names[1]).exists():
        name, column = line.names
        raise ConfigError(f"{column} is no file. To learn that column, write maas {line.verb} {name} target={column}")
    if len(line.names) != 1:
        found = f"{', '.join(line.names)}: {line.verb} takes one" if line.names else "No data is named; name a"
        raise ConfigError(
            f"{found} file, folder or OWNER/NAME at the hub, e.g. maas {line.verb} mine.csv target=price."
        )
    (source,) = line.names
    if source.endswith(RECIPE_ENDINGS) or (source in recipe_names(line.config_dir) and not Path(source).exists()):
        raise ConfigError(f"{source} is a recipe. Run it: maas run recipe={source}")
    return source


def _decimal(text: str | None) -> DecimalMark | None:
    if text not in (None, ".", ","):
        raise ConfigError(f"decimal is {text!r}; it must be . or a comma. Set e.g. decimal=,")
    return cast("DecimalMark | None", text)


def _write(out: Path, text: str) -> None:
    """Writes a recipe, unless its file holds something else.

    Raises:
        ConfigError: it does, or cannot be written.
    """
    try:
        if out.exists() and out.read_text(encoding="utf-8") != text:
            raise ConfigError(
                f"{out} is there and holds something else. Run it with maas run recipe={out}, remove it, or write "
                "another: out=FILE.yaml."
            )
        out.write_text(text, encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{out} is there and holds something else. Set another file: out=FILE.yaml.") from error
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}. Set out=FILE.yaml.") from error

"""Recipes and parts as they lie on disk, with what they say of themselves."""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
from omegaconf import OmegaConf

from maas.config import CONF, recipe_names, target_of
from maas.config.part import DIRECTIVES, TARGET
from maas.config.recipe_files import NamedRecipe

NOT_SECTIONS = ("hydra",)
_ARGUMENT = re.compile(r"^    (?P<name>\*{0,2}\w+): (?P<text>.+)$")


class RecipeLine(msgspec.Struct, frozen=True):
    """A recipe in a list.

    Args:
        name: as it is named on the command line.
        about: first line of its comments.
        file: where it lies.
    """

    name: str
    about: str
    file: Path


class PartLine(msgspec.Struct, frozen=True):
    """A part in a list.

    Args:
        name: section and name, e.g. `model/mlp`.
        target: what it calls.
        about: first line of the callable's docstring, once it is shown alone; in a list, of the file's comments.
        file: where it lies.
    """

    name: str
    target: str
    about: str
    file: Path


class ArgumentLine(msgspec.Struct, frozen=True):
    """An argument of a part.

    Args:
        name: of the argument.
        type: as its callable declares it.
        value: what the part sets, or else the callable's own; null where it must be set.
        about: what the callable's docstring says.
    """

    name: str
    type: str
    value: object
    about: str


class PartDetails(msgspec.Struct, frozen=True):
    """A part with its arguments."""

    part: PartLine
    text: str
    arguments: tuple[ArgumentLine, ...]


def recipe_lines(config_dir: str | None = None) -> list[RecipeLine]:
    """Returns the recipes that are shipped or lie in a folder of the user's."""
    found = (NamedRecipe.of(name, config_dir).file for name in recipe_names(config_dir))
    return [RecipeLine(file.stem, comment_of(file), file) for file in found if file is not None]


def part_lines(config_dir: str | None = None) -> list[PartLine]:
    """Returns the parts of all sections, those of the user's folder first."""
    found: dict[str, Path] = {}
    for folder in ([Path(config_dir)] if config_dir else []) + [CONF]:
        for file in sorted(folder.glob("*/*.yaml")):
            if file.parent.name not in (*NOT_SECTIONS, "recipes"):
                found.setdefault(f"{file.parent.name}/{file.stem}", file)
    return [_part_line(name, file) for name, file in sorted(found.items())]


def _part_line(name: str, file: Path) -> PartLine:
    return PartLine(name, str(_content(file).get(TARGET, "")), comment_of(file), file)


def _content(file: Path) -> Mapping[str, object]:
    found = OmegaConf.to_container(OmegaConf.load(file))
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}


def comment_of(file: Path) -> str:
    """Returns the first line of a file's comments; nothing where it begins with something else."""
    first = next(iter(file.read_text(encoding="utf-8").splitlines()), "")
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def part_details(part: PartLine) -> PartDetails:
    """Returns a part with the arguments that it takes, by its callable's signature and docstring.

    Raises:
        ConfigError: the callable cannot be imported.
    """
    content = _content(part.file)
    if not part.target:
        return PartDetails(part, part.file.read_text(encoding="utf-8"), ())
    made, parameters = target_of(part.target)
    text = _docstring(made)
    about = {**_documented(text), **_documented(_docstring(getattr(made, "__init__", None)))}
    arguments = [
        ArgumentLine(name, _type_of(one), content.get(name, _default(one)), about.get(name, ""))
        for name, one in parameters.items()
        if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    known = {one.name for one in arguments} | DIRECTIVES
    arguments += [ArgumentLine(name, "", value, "") for name, value in content.items() if name not in known]
    first = text.partition("\n\n")[0].replace("\n", " ")
    return PartDetails(msgspec.structs.replace(part, about=first), text, tuple(arguments))


def _docstring(made: object) -> str:
    return inspect.getdoc(made) or "" if callable(made) else ""


def _type_of(parameter: inspect.Parameter) -> str:
    if parameter.annotation is parameter.empty:
        return ""
    shown = (
        parameter.annotation
        if isinstance(parameter.annotation, str)
        else inspect.formatannotation(parameter.annotation)
    )
    return re.sub(r"Annotated\[(\w+), .*\]", r"\1", shown).replace("typing.", "").replace("collections.abc.", "")


def _default(parameter: inspect.Parameter) -> object:
    if parameter.default is parameter.empty:
        return None
    plain = isinstance(parameter.default, str | int | float | bool | list | tuple | type(None))
    return parameter.default if plain else repr(parameter.default)


def _documented(text: str) -> dict[str, str]:
    """Returns what a docstring in Google's style says of each argument."""
    found: dict[str, str] = {}
    name = ""
    for line in text.partition("Args:\n")[2].splitlines():
        if not line.strip() or not line.startswith("    "):
            break
        if argument := _ARGUMENT.match(line):
            name = argument["name"].lstrip("*")
            found[name] = argument["text"]
        elif name:
            found[name] += f" {line.strip()}"
    return found

"""What may come next on a command line of `maas`, read off files alone: completing a word must not take a second."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from maas.shell.verbs import MODEL_VERBS, PACKAGES, RECIPE_VERBS, VERBS

_PACKAGE = Path(__file__).parents[1]
_SHIPPED = _PACKAGE if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent  # in a wheel, or in a checkout
CONF_FOLDER, RECIPE_FOLDER = _SHIPPED / "conf", _SHIPPED / "recipes"
SHELLS = ("bash", "zsh", "fish")
LISTED_KINDS = ("recipes", "parts", "runs", "models")
_KEY = re.compile(r"^(\w+):", re.MULTILINE)
_SETTINGS = re.compile(r"^    ((?:[a-z]\w*, )+[a-z]\w*|[a-z]\w*(?=  |$))", re.MULTILINE)


def next_words(typed: str) -> list[str]:
    """Returns the words that may stand where the cursor is.

    Args:
        typed: command line up to the cursor, the program's name included.

    Example:
        >>> next_words("maas comple")
        ['completion']
    """
    words = typed.split()[1:]
    word = words.pop() if words and not typed[-1:].isspace() else ""
    return [one for one in dict.fromkeys(_candidates(words, word)) if one.startswith(word)]


def _candidates(words: Sequence[str], word: str) -> Iterator[str]:
    """Yields what may come after words, where this one was begun."""
    if not words:
        yield from (*VERBS, "--version", "--help")
        return
    verb, names = words[0], [one for one in words[1:] if "=" not in one and not one.startswith("-")]
    if word.startswith("-"):
        yield from ("--json", "--help")
    elif verb in ("list", "completion") and not names:
        yield from LISTED_KINDS if verb == "list" else SHELLS
    elif verb == "show" and not names:
        yield from (*_recipes(), *_parts(), *_runs())
    else:
        yield from _settings(verb, words, word)
        if verb in MODEL_VERBS and not names:
            yield from (str(path) for path in sorted(Path("runs").glob("*/latest/bundle")))


def _settings(verb: str, words: Sequence[str], word: str) -> Iterator[str]:
    """Yields settings, and the values of those that name a part or a recipe."""
    key = word.partition("=")[0]
    if verb in RECIPE_VERBS:
        if key == "recipe" and "=" in word:
            yield from (f"recipe={name}" for name in (*_recipes(), *(str(one) for one in Path().glob("*.yaml"))))
        elif "=" in word and (CONF_FOLDER / key).is_dir():
            yield from (f"{key}={name}" for name in (*_names(CONF_FOLDER / key), "null"))
        elif "." in word and (section := word.partition(".")[0]) and (file := _part_file(section, words)):
            yield from (f"{section}.{one}=" for one in _KEY.findall(file.read_text("utf-8")) if not one.startswith("_"))
        else:
            yield from (
                f"{one}=" for one in ("recipe", *_sections(), *_KEY.findall(_text(CONF_FOLDER / "config.yaml")))
            )
    if "=" not in word:
        yield from (f"{one}=" for one in settings_of_verb(verb))


def settings_of_verb(verb: str) -> list[str]:
    """Returns the settings that a verb's usage lists."""
    file = _PACKAGE / (f"{verb}/__main__.py" if verb in PACKAGES else f"{verb}.py")
    usage = ast.get_docstring(ast.parse(file.read_text("utf-8")), clean=False) if file.is_file() else ""
    return [name for group in _SETTINGS.findall(usage or "") for name in group.split(", ") if name]


def _part_file(section: str, words: Sequence[str]) -> Path | None:
    """Returns the part of a section that the words choose, or else their recipe, or the usual one."""
    chosen = dict(word.partition("=")[::2] for word in words if "=" in word)
    recipe = RECIPE_FOLDER / f"{chosen.get('recipe', '')}.yaml"
    sources = [_text(recipe), _text(CONF_FOLDER / "config.yaml")]
    found = [match[1] for text in sources if (match := re.search(rf"- (?:override /)?{section}: (\w+)", text))]
    name = chosen.get(section) or (found[0] if found else "")
    file = CONF_FOLDER / section / f"{name}.yaml"
    return file if file.is_file() else None


def _text(file: Path) -> str:
    return file.read_text("utf-8") if file.is_file() else ""


def _names(folder: Path) -> list[str]:
    return sorted(file.stem for file in folder.glob("*.yaml"))


def _recipes() -> list[str]:
    return _names(RECIPE_FOLDER)


def _sections() -> list[str]:
    return sorted(folder.name for folder in CONF_FOLDER.iterdir() if folder.is_dir() and folder.name != "hydra")


def _parts() -> list[str]:
    return [f"{section}/{name}" for section in _sections() for name in _names(CONF_FOLDER / section)]


def _runs() -> list[str]:
    return sorted(f"{file.parent.parent.name}/{file.parent.name}" for file in Path("runs").glob("*/[0-9]*/run.json"))

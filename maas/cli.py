"""What the entries share that take a recipe: composing what the command line names, and a stage."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from maas.command_line import CommandLine
from maas.errors import ConfigError, shortened_value
from maas.outcomes import UNMET_STATUS, USAGE_STATUS, VerbOutcome, give, reported, say, wants_json

try:
    from maas import config as recipes
    from maas.config.recipe_files import RECIPE_SUFFIXES
    from maas.config.views import hydra_info, view_of
except ModuleNotFoundError as missing:
    sys.stderr.write(f"{missing.name} is not installed. In a checkout of maas: pip install '.[train,registry]'\n")
    sys.exit(2)

USAGE = """\
usage: python -m maas.{verb} recipe=NAME [key=value …]

  recipe=NAME        one of: {recipes}
  recipe=FILE.yaml   a recipe of your own
  key=value          sets a value of the recipe, e.g. optimizer.lr=0.01, or swaps a part, e.g. optimizer=adam
  +key=value         sets an argument that the recipe leaves at its default
  ~compress.passes.NAME   leaves a pass out
  -m key=a,b,c       sweeps: trains with each value; docs/sweeps.md says how to search
  -cd DIR            adds parts (DIR/model/NAME.yaml) and recipes (DIR/recipes/NAME.yaml) of your own
  --cfg job          prints the composed recipe and does nothing
  --json             prints one JSON object; the log goes to standard error

example: python -m maas.{verb} recipe=digits_mlp trainer.max_epochs=5"""

__all__ = ["UNMET_STATUS", "USAGE_STATUS", "enter", "follow", "read", "reported", "say"]

Stage: TypeAlias = Callable[[recipes.RunConfig], Any]
Shown: TypeAlias = Callable[[Any, recipes.RunConfig], VerbOutcome]
"""What a stage gave, and the recipe, to what is printed of it."""


def enter(verb: str, stage: Stage, arguments: Sequence[str] | None = None, shown: Shown | None = None) -> None:
    """Composes the recipe that the command line names, checks it, and passes it to a stage.

    Args:
        verb: name of the entry.
        stage: what is done with the recipe.
        arguments: command line without the program; None takes that of this process.
        shown: makes what is printed of what the stage gave; None prints nothing.
    """
    with reported(verb, is_json=wants_json(arguments)):
        follow(read(verb, arguments), stage, shown)


def enter_named(
    verb: str, usage: str | None, found: Callable[[CommandLine], VerbOutcome], arguments: Sequence[str] | None = None
) -> None:
    """Prints what a command line names, or the usage where it names nothing.

    Args:
        verb: name of the entry, which prints and does nothing else.
        usage: text that `--help` prints.
        found: returns what is printed.
        arguments: command line without the program; None takes that of this process.
    """
    with reported(verb, is_json=True, resumes=False):
        line = read(verb, arguments)
        if line.wants_help or not line.names or "help" in line.names:
            say((usage or "").strip())
            return
        give(found(line), is_json=wants_json(arguments))


def read(verb: str, arguments: Sequence[str] | None = None, flags: Sequence[str] = ()) -> CommandLine:
    """Reads a command line.

    Args:
        verb: name of the entry.
        arguments: without the program; None takes those of this process.
        flags: options of the entry's own.

    Raises:
        ConfigError: an option is unknown, or a key is given twice.
    """
    return CommandLine.parse(verb, sys.argv[1:] if arguments is None else arguments, flags)


def follow(line: CommandLine, stage: Stage, shown: Shown | None = None) -> None:
    """Does what a command line requests.

    Args:
        line: the command line.
        stage: what is done with the recipe.
        shown: makes what is printed of what the stage gave; None prints nothing.

    Raises:
        MaasError: a fault of the command line or of the recipe, or the stage refused.
    """
    if line.names and not line.wants_help:
        raise ConfigError(_misplaced_fault(line))
    if line.wants_help:
        say(USAGE.format(verb=line.verb, recipes=", ".join(recipes.recipe_names(line.config_dir))))
    elif line.view is not None:
        say(view_of(line))
    elif line.info is not None:
        hydra_info(line)
    elif line.is_sweep:
        if line.is_json:
            raise ConfigError("A sweep prints a table and writes trials.csv; leave --json out, or -m.")
        from maas.sweeping.sweep import swept  # noqa: PLC0415 - it brings torch and mlflow; faults come before that

        swept(line, _ShownStage(stage, shown))
    else:
        _ShownStage(stage, shown, is_json=line.is_json)(recipes.composed_config(line.overrides, line.config_dir))


def _misplaced_fault(line: CommandLine) -> str:
    """Returns what to write instead of a word that is no key=value."""
    word = line.names[0]
    is_recipe = word in recipes.recipe_names(line.config_dir) or word.endswith(RECIPE_SUFFIXES)
    example = f"recipe={word}" if is_recipe else "recipe=NAME"
    return f"{shortened_value(word)} is not key=value. Write e.g. maas {line.verb} {example}."


class _ShownStage:
    """A stage that prints what it gave; it travels to the processes that run the trials of a sweep."""

    def __init__(self, stage: Stage, shown: Shown | None, *, is_json: bool = False) -> None:
        self._stage, self._shown, self._is_json = stage, shown, is_json

    def __call__(self, config: recipes.RunConfig) -> object:
        given = self._stage(config)
        if self._shown is not None:
            give(self._shown(given, config), is_json=self._is_json)
        return given

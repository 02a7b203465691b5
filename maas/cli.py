"""What the entries share: composing the recipe that the command line names, and reporting what is wrong in one line."""

import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from maas.command_line import CommandLine
from maas.errors import MaasError, shows_chain

try:
    from maas import config as recipes
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

example: python -m maas.{verb} recipe=digits_mlp trainer.max_epochs=5"""

USAGE_STATUS = 2
UNMET_STATUS = 3
"""Of a compression that found nothing within the budget: no error, and yet not what was requested."""
INTERRUPTED_STATUS = 130
Stage = Callable[[recipes.RunConfig], Any]


def enter(verb: str, stage: Stage, arguments: Sequence[str] | None = None) -> None:
    """Composes the recipe that the command line names, checks it, and passes it to a stage.

    Args:
        verb: name of the entry.
        stage: what is done with the recipe.
        arguments: command line without the program; None takes that of this process.
    """
    with reported(verb):
        follow(read(verb, arguments), stage)


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


def follow(line: CommandLine, stage: Stage) -> None:
    """Does what a command line requests.

    Raises:
        MaasError: a fault of the command line or of the recipe, or the stage refused.
    """
    if line.wants_help:
        say(USAGE.format(verb=line.verb, recipes=", ".join(recipes.recipe_names(line.config_dir))))
    elif line.view is not None:
        say(view_of(line))
    elif line.info is not None:
        hydra_info(line)
    elif line.is_sweep:
        from maas.sweeping.sweep import swept  # noqa: PLC0415 - it brings torch and mlflow; faults come before that

        swept(line, stage)
    else:
        stage(recipes.composed_config(line.overrides, line.config_dir))


@contextmanager
def reported(verb: str) -> Iterator[None]:
    """Ends the process with one line where the block raises a `MaasError`, or is interrupted.

    A `MaasError` ends the process with status 2; any other error is a bug of maas and shows its traceback. With
    MAAS_TRACEBACK=1 all show what lies below them.
    """
    _log_to_stdout()
    try:
        yield
    except MaasError as error:
        if shows_chain():
            traceback.print_exception(error)
        sys.stderr.write(f"{error}\n")
        sys.exit(USAGE_STATUS)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nInterrupted. Run the same command again and maas.{verb} resumes where it was.\n")
        sys.exit(INTERRUPTED_STATUS)


def say(text: str) -> None:
    """Prints to standard output."""
    sys.stdout.write(f"{text}\n")


def _log_to_stdout() -> None:
    logger = logging.getLogger("maas")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False

"""What the entries share: composing the recipe from the command line, and saying in one line what is wrong."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from maas.errors import ConfigError, MaasError

try:
    import hydra
    from hydra._internal.utils import get_args_parser
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    from maas import config as recipes
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
  -cd DIR            adds parts (DIR/model/NAME.yaml) and recipes (DIR/recipes/NAME.yaml) of your own
  --cfg job          prints the composed recipe and does nothing

example: python -m maas.{verb} recipe=digits_mlp trainer.max_epochs=5"""
USAGE_STATUS = 2
INTERRUPTED_STATUS = 130


def run(verb: str, stage: Callable[[recipes.RunConfig], Any]) -> None:
    """Composes the recipe that the command line names, checks it, and gives it to a stage.

    A `MaasError` is printed as it is and ends the process with status 2; any other error is a bug of maas and shows its
    traceback.

    Args:
        verb: the entry's name.
        stage: what is done with the recipe.
    """
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors come through to here instead of being printed by Hydra
    _log_to_stdout()
    with _reported(verb):
        _compose_and_call(verb, stage)


@contextmanager
def _reported(verb: str) -> Iterator[None]:
    try:
        yield
    except MaasError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(USAGE_STATUS)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nInterrupted. Run the same command again and maas.{verb} goes on where it was.\n")
        sys.exit(INTERRUPTED_STATUS)


def say(text: str) -> None:
    """Prints to standard output."""
    sys.stdout.write(f"{text}\n")


def _compose_and_call(verb: str, stage: Callable[[recipes.RunConfig], Any]) -> None:
    config_dir, overrides = _arguments()
    recipes.register(config_dir)
    if {"-h", "--help"} & set(sys.argv[1:]):
        say(USAGE.format(verb=verb, recipes=", ".join(recipes.recipes())))
        return
    overrides = _ready(overrides)
    composed: list[recipes.RunConfig] = []

    def job(values: DictConfig) -> None:
        with _reported(verb):  # here, as Hydra would announce an error that leaves the job
            config = recipes.finish(values, HydraConfig.get().overrides.task)
            recipes.check(config)
            _require_one_process(config)
            composed.append(config)
            stage(config)

    application = hydra.main(version_base="1.3", config_path=str(recipes.CONF), config_name="config")(job)
    try:
        application()
    except (HydraException, OmegaConfBaseException) as error:
        if composed:  # the recipe was right: this is a bug further down
            raise
        raise ConfigError(recipes.explain(error, overrides, config_dir)) from error


def _require_one_process(config: recipes.RunConfig) -> None:
    """Refuses a sweep over trainings of several processes: Lightning starts them by the same command, sweep and all.

    Raises:
        ConfigError: this is one.
    """
    strategy = (config.trainer or {}).get("strategy", "auto")
    if HydraConfig.get().mode == RunMode.MULTIRUN and strategy != "auto":
        raise ConfigError(
            f"A sweep (-m) trains in one process, and trainer.strategy is {strategy}. Set trainer=cpu or trainer=gpu, "
            "or start one training at a time."
        )


def _arguments() -> tuple[str | None, list[str]]:
    """Returns `--config-dir` and the overrides of the command line."""
    known, _ = get_args_parser().parse_known_args()  # Hydra's own parser, so that both read alike
    return known.config_dir, list(known.overrides)


def _ready(overrides: list[str]) -> list[str]:
    """Returns the overrides as Hydra takes them, and puts them on the command line that it will read."""
    readied = {override: recipes.readied(override) for override in overrides}
    sys.argv[1:] = [readied.get(argument, argument) for argument in sys.argv[1:]]
    return [readied[override] for override in overrides]


def _log_to_stdout() -> None:
    logger = logging.getLogger("maas")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False

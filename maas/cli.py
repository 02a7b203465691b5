"""What the entries share: composing the recipe from the command line, and saying in one line what is wrong."""

import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from maas.errors import ConfigError, MaasError

try:
    import hydra
    from hydra._internal.utils import get_args_parser
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    from maas import config as recipes
    from maas.sweeping.plan import Plan
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
SWEPT = ("train", "run")
"""Entries whose stage returns a checkpoint, whose metric a sweep chooses by."""

USAGE_STATUS = 2
UNMET_STATUS = 3
"""Of a compression that found nothing within the budget: no error, and yet not what was asked for."""
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
    with reported(verb):
        _compose_and_call(verb, stage)


@contextmanager
def reported(verb: str) -> Iterator[None]:
    """Ends the process with one line where the block raises a `MaasError`, or is interrupted."""
    try:
        yield
    except MaasError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(USAGE_STATUS)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nInterrupted. Run the same command again and maas.{verb} goes on where it was.\n")
        sys.exit(INTERRUPTED_STATUS)


def overrides_given() -> list[str]:
    """Returns what the command line holds beside Hydra's own options and their values."""
    given: list[str] = get_args_parser().parse_known_args()[0].overrides
    return given


def say(text: str) -> None:
    """Prints to standard output."""
    sys.stdout.write(f"{text}\n")


def _compose_and_call(verb: str, stage: Callable[[recipes.RunConfig], Any]) -> None:
    given = get_args_parser().parse_known_args()[0]  # Hydra's own parser, so that both read alike
    config_dir = given.config_dir
    recipes.register(config_dir)
    if {"-h", "--help"} & set(sys.argv[1:]):
        say(USAGE.format(verb=verb, recipes=", ".join(recipes.recipes())))
        return
    readied = {override: recipes.readied(override) for override in given.overrides}
    arguments = [readied.get(argument, argument) for argument in sys.argv[1:]]
    overrides = list(readied.values())
    plan = Plan.read(verb, overrides, config_dir) if given.multirun and not (given.cfg or given.info) else None
    if plan is not None and verb in SWEPT:
        _sweep(plan, stage, arguments, readied, config_dir)
    else:
        _one(verb, stage, arguments, overrides, config_dir)


def _one(
    verb: str,
    stage: Callable[[recipes.RunConfig], Any],
    arguments: list[str],
    overrides: list[str],
    config_dir: str | None,
) -> None:
    composed: list[recipes.RunConfig] = []

    def job(values: DictConfig) -> None:
        with reported(verb):  # here, as Hydra would announce an error that leaves the job
            config = recipes.finish(values, HydraConfig.get().overrides.task)
            recipes.check(config)
            composed.append(config)
            stage(config)

    try:
        _hydra(job, arguments)
    except (HydraException, OmegaConfBaseException) as error:
        if composed:  # the recipe was right: this is a bug further down
            raise
        raise ConfigError(recipes.explain(error, overrides, config_dir)) from error


def _sweep(
    plan: Plan,
    stage: Callable[[recipes.RunConfig], Any],
    arguments: list[str],
    readied: dict[str, str],
    config_dir: str | None,
) -> None:
    from maas.sweeping.sweep import begun  # noqa: PLC0415 - it brings torch and mlflow; faults are told before that

    _require_one_process(plan.base)
    typed = {one: override for override, one in readied.items()}

    def command(overrides: Sequence[str]) -> str:
        places = ["-cd", config_dir] if config_dir else []
        return shlex.join(["python", "-m", "maas.run", *places, *(typed.get(one, one) for one in overrides)])

    with begun(plan, command) as sweep:

        def job(values: DictConfig) -> float:
            overrides = HydraConfig.get().overrides.task
            return sweep.trial(lambda: _checked(values, overrides), list(overrides), stage)

        quoted = str(sweep.folder.path).replace("'", "\\'")
        try:
            _hydra(job, [*arguments, f"hydra.sweep.dir='{quoted}'"])
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(recipes.explain(error, plan.space.point, config_dir)) from error


def _checked(values: DictConfig, overrides: Sequence[str]) -> recipes.RunConfig:
    config = recipes.finish(values, overrides)
    recipes.check(config)
    _require_one_process(config)
    return config


def _hydra(job: Callable[[DictConfig], Any], arguments: Sequence[str]) -> None:
    """Lets Hydra compose from some arguments, and calls a job with what it composed.

    The job sees the command line as it was typed: a training of several processes starts the others by it, and they
    read a recipe's file for themselves.
    """
    typed = sys.argv

    def called(values: DictConfig) -> Any:
        sys.argv = typed
        return job(values)

    sys.argv = [typed[0], *arguments]
    try:
        hydra.main(version_base="1.3", config_path=str(recipes.CONF), config_name="config")(called)()
    finally:
        sys.argv = typed


def _require_one_process(config: recipes.RunConfig) -> None:
    """Refuses a sweep over trainings of several processes: Lightning starts them by the same command, sweep and all.

    Raises:
        ConfigError: this is one.
    """
    strategy = (config.trainer or {}).get("strategy", "auto")
    if strategy != "auto":
        raise ConfigError(
            f"A sweep (-m) trains in one process, and trainer.strategy is {strategy}. Set trainer=cpu or trainer=gpu, "
            "or start one training at a time."
        )


def _log_to_stdout() -> None:
    logger = logging.getLogger("maas")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False

"""The loop asks, launches and tells; what a launcher loses or Hydra cannot compose counts as failed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from maas.command_line import CommandLine
from maas.errors import ConfigError
from maas.sweeping.folder import SweepFolder, TrialRecord
from maas.sweeping.plan import PlannedSweep
from maas.sweeping.search import own_values, search
from maas.sweeping.settings import SweepSettings
from maas.sweeping.space import SweepSpace


def plan_of(*overrides: str) -> PlannedSweep:
    given = ["-m", "recipe=digits_mlp", "hydra/sweeper=optuna", *overrides]
    return PlannedSweep.read(CommandLine.parse("train", given))


def run(folder: Path, override: str, launch: Callable[[list[list[str]]], None], settings: SweepSettings) -> SweepFolder:
    search(plan_of(override), settings, SweepFolder(folder), launch)
    return SweepFolder(folder)


def keeping(folder: Path, launched: list[list[list[str]]], value: float = 0.5) -> Callable[[list[list[str]]], None]:
    """Returns a launcher that notes its trials and keeps the same value of each."""

    def launch(batch: list[list[str]]) -> None:
        launched.append(list(batch))
        for overrides in batch:
            SweepFolder(folder).keep(TrialRecord(overrides, value))

    return launch


def test_trials_are_launched_in_batches_with_the_recipes_own_first_when_they_lie_in_the_space(tmp_path):
    launched: list[list[list[str]]] = []
    settings = SweepSettings(n_trials=5, max_batch_size=2)
    run(tmp_path, "optimizer.lr=interval(0.01,0.1)", keeping(tmp_path, launched), settings)
    assert [len(batch) for batch in launched] == [2, 2, 1]
    assert launched[0][0] == ["recipe=digits_mlp", "optimizer.lr=0.05"]


def test_trials_are_kept_as_failed_when_a_launcher_loses_them(tmp_path):
    def launch(batch: list[list[str]]) -> None:
        SweepFolder(tmp_path).keep(TrialRecord(batch[0], 0.7))
        raise RuntimeError("a worker was killed\nby whom?")

    folder = run(tmp_path, "batch_size=16,32", launch, SweepSettings(n_trials=2, sampler="grid", max_batch_size=2))
    assert [(trial.value, trial.reason) for trial in folder.trials()] == [
        (0.7, ""),
        (None, "its process was lost: a worker was killed"),
    ]


def test_trial_is_kept_as_failed_and_not_launched_when_it_cannot_be_composed(tmp_path):
    launched: list[list[list[str]]] = []
    launch = keeping(tmp_path, launched)
    folder = run(tmp_path, "schedule=cosine,lunar", launch, SweepSettings(n_trials=2, sampler="grid", max_batch_size=2))
    assert [one[-1] for one in launched[0]] == ["schedule=cosine"]
    (failed,) = (trial for trial in folder.trials() if trial.value is None)
    assert failed.reason.startswith("There is no schedule 'lunar'. Set schedule=NAME; known are: constant, cosine")


def test_stage_is_refused_when_it_gives_no_metric():
    given = ["-m", "recipe=digits_mlp", "hydra/sweeper=optuna", "batch_size=16,32"]
    with pytest.raises(ConfigError, match=r"^This stage gives no metric to choose by. Sweep maas.train or maas.run.$"):
        PlannedSweep.read(CommandLine.parse("export", given))


def test_own_values_are_those_of_the_recipe_and_its_chosen_parts(tmp_path):
    space = SweepSpace.read(["optimizer=adam,sgd", "model.hidden=[64],[256]", "optimizer.lr=interval(0.001,1)"])
    own = {"optimizer": "sgd", "model.hidden": "[256]", "optimizer.lr": 0.05}
    assert own_values(space.dimensions, plan_of("optimizer.lr=0.1,0.2").composed) == own


def test_own_values_are_none_when_one_lies_outside(tmp_path):
    space = SweepSpace.read(["model.hidden=[64],[256]", "optimizer.lr=interval(0.1,1)"])
    assert own_values(space.dimensions, plan_of("optimizer.lr=0.1,0.2").composed) is None

"""The loop asks, launches and tells; what a launcher loses or Hydra cannot compose counts as failed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus

from maas.config import composed, register
from maas.errors import ConfigError
from maas.sweeping.folder import SweepFolder, TrialRecord
from maas.sweeping.search import own_values, search
from maas.sweeping.settings import Settings
from maas.sweeping.space import Space


def config_of(folder: Path) -> Any:
    register()
    return composed(["recipe=digits_mlp", f"hydra.sweep.dir={folder}"], hydra=True)


def done(value: float | None) -> JobReturn:
    job = JobReturn(status=JobStatus.COMPLETED)
    job.return_value = value
    return job


def run(folder: Path, override: str, launch: Any, settings: Settings) -> SweepFolder:
    search(["recipe=digits_mlp", override], settings, config_of(folder), compose=composed, launch=launch)
    return SweepFolder(folder)


def test_trials_are_launched_in_batches_with_the_recipes_own_first_when_they_lie_in_the_space(tmp_path):
    launched: list[tuple[int, list[list[str]]]] = []

    def launch(batch: Sequence[list[str]], first: int) -> list[JobReturn]:
        launched.append((first, list(batch)))
        return [done(0.5) for _ in batch]

    run(tmp_path, "optimizer.lr=interval(0.01,0.1)", launch, Settings(n_trials=5, max_batch_size=2))
    assert [(first, len(batch)) for first, batch in launched] == [(0, 2), (2, 2), (4, 1)]
    assert launched[0][1][0] == ["recipe=digits_mlp", "optimizer.lr=0.05"]


def test_trials_are_kept_as_failed_when_a_launcher_loses_them(tmp_path):
    def launch(batch: Sequence[list[str]], first: int) -> list[JobReturn]:
        SweepFolder(tmp_path).keep(TrialRecord(batch[0], 0.7))
        raise RuntimeError("a worker was killed\nby whom?")

    folder = run(tmp_path, "batch_size=16,32", launch, Settings(n_trials=2, sampler="grid", max_batch_size=2))
    assert [(trial.value, trial.reason) for trial in folder.trials()] == [
        (0.7, ""),
        (None, "its process was lost: a worker was killed"),
    ]


def test_trial_is_kept_as_failed_and_not_launched_when_it_cannot_be_composed(tmp_path):
    launched: list[str] = []

    def launch(batch: Sequence[list[str]], first: int) -> list[JobReturn]:
        launched.extend(one[-1] for one in batch)
        return [done(0.5) for _ in batch]

    folder = run(tmp_path, "schedule=cosine,lunar", launch, Settings(n_trials=2, sampler="grid", max_batch_size=2))
    assert launched == ["schedule=cosine"]
    (failed,) = folder.trials()
    assert failed.reason.startswith("There is no schedule 'lunar'. Set schedule=NAME; known are: constant, cosine")


def test_stage_is_refused_when_it_gives_no_metric(tmp_path):
    with pytest.raises(ConfigError, match=r"^This stage gives no metric to choose by. Sweep maas.train or maas.run.$"):
        run(tmp_path, "batch_size=16,32", lambda batch, first: [done(None) for _ in batch], Settings())


def test_own_values_are_those_of_the_recipe_and_its_chosen_parts(tmp_path):
    space = Space.read(["optimizer=adam,sgd", "model.hidden=[64],[256]", "optimizer.lr=interval(0.001,1)"])
    own = {"optimizer": "sgd", "model.hidden": "[256]", "optimizer.lr": 0.05}
    assert own_values(space.dimensions, config_of(tmp_path)) == own


def test_own_values_are_none_when_one_lies_outside(tmp_path):
    space = Space.read(["model.hidden=[64],[256]", "optimizer.lr=interval(0.1,1)"])
    assert own_values(space.dimensions, config_of(tmp_path)) is None

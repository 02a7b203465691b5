"""Sweeps of the digits recipe in small: trials beside each other, kept, gone on with, taken up by the whole line."""

import shlex
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from mlflow.entities import Run

import maas
from maas import cli
from maas.lifecycle.lineage import work_key
from maas.lifecycle.recipe import load_rows
from maas.registry.connection import connected
from maas.run_folders.folder import RunFolder
from maas.train import _train

PARENT, METRIC = "mlflow.parentRunId", "kept_validation_accuracy"
SMALL = ("trainer.max_epochs=1", "+data.max_rows=600", "compress=none")
SEARCH = ("hydra/sweeper=optuna", "hydra.sweeper.sampler=grid", "optimizer.lr=choice(0.05,0.01,-1)")
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


class Swept(NamedTuple):
    """What a sweep left: its folder, and what it said."""

    folder: Path
    said: str

    @property
    def runs(self) -> list[Path]:
        return sorted(self.folder.glob("runs/digits_mlp/[0-9]*"))

    @property
    def winner(self) -> list[str]:
        line = next(line for line in self.said.splitlines() if line.startswith("best "))
        return shlex.split(line)[1:]

    def tracked(self) -> tuple[Run, list[Run]]:
        """Returns the sweep's MLflow run and its children."""
        key = next(line for line in self.said.splitlines() if line.startswith("trials ")).rpartition("/")[2]
        client = connected(f"sqlite:///{self.folder / 'mlflow.db'}")
        found = client.search_runs([client.get_experiment_by_name("maas").experiment_id])
        (parent,) = (run for run in found if run.data.tags.get("maas.sweep") == key)
        return parent, [run for run in found if run.data.tags.get(PARENT) == parent.info.run_id]


def sweep(folder: Path, *overrides: str) -> Swept:
    """Enters `maas.train -m` in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HYDRA_FULL_ERROR", "1")
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        patch.setattr(sys, "argv", ["maas.train", "-m", "recipe=digits_mlp", *SMALL, *overrides])
        said = folder / "said.txt"
        with said.open("w") as file:
            patch.setattr(sys, "stdout", file)
            cli.enter("train", _train)
        return Swept(folder, said.read_text())


def composed_winner(swept: Swept) -> maas.RunConfig:
    assert swept.winner[:3] == ["python", "-m", "maas.run"]
    recipe, *overrides = swept.winner[3:]
    return maas.compose(recipe.removeprefix("recipe="), *overrides)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    return sweep(tmp_path_factory.mktemp("sweep"), *SEARCH, *JOBLIB)


def test_trials_are_children_of_the_sweep_when_two_run_at_once(swept: Swept) -> None:
    parent, children = swept.tracked()
    assert sorted(child.info.status for child in children) == ["FAILED", "FINISHED", "FINISHED"]
    values = [child.data.metrics[METRIC] for child in children if child.info.status == "FINISHED"]
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics[METRIC] == max(values)
    assert parent.data.params["space.optimizer.lr"] == "choice(0.05,0.01,-1)"
    own = next(child for child in children if child.data.params["optimizer.lr"] == "0.05")
    assert parent.data.metrics[METRIC] >= own.data.metrics[METRIC]


def test_failed_trial_is_told_and_the_others_go_on_when_one_is_refused(swept: Swept) -> None:
    (table,) = swept.folder.glob("runs/digits_mlp/sweeps/*/trials.csv")
    rows = table.read_text().splitlines()
    assert len(rows) == 4
    assert [row.split(",")[1] for row in rows if "refused" in row] == ["-1"]
    assert "1 failed, for reasons in trials.csv" in swept.said


def test_nothing_is_trained_again_when_the_same_command_is_given(swept: Swept) -> None:
    before = swept.runs
    again = sweep(swept.folder, *SEARCH)
    assert again.runs == before
    assert again.winner == swept.winner
    assert len(again.tracked()[1]) == 3


def test_hydras_own_sweep_has_a_parent_and_goes_on_when_values_are_listed(swept: Swept) -> None:
    first = sweep(swept.folder, "optimizer.lr=0.02,0.03")
    parent, children = first.tracked()
    assert len(children) == 2
    assert parent.data.metrics[METRIC] == max(child.data.metrics[METRIC] for child in children)
    before = first.runs
    assert sweep(swept.folder, "optimizer.lr=0.02,0.03").runs == before


def test_trials_run_is_the_one_to_go_on_with_when_the_winner_is_composed(swept: Swept) -> None:
    config = composed_winner(swept)
    key = work_key(config, load_rows(config).record.fingerprint)
    (run,) = (run for run in swept.runs if RunFolder(run).state.key == key)
    assert (run / "train").is_dir()


@pytest.mark.slow
def test_line_takes_the_trials_own_checkpoint_when_the_winner_is_run(swept: Swept, monkeypatch) -> None:
    before = swept.runs
    monkeypatch.chdir(swept.folder)
    line = maas.lifecycle.run(composed_winner(swept))
    assert line.folder.path.resolve() in before
    assert swept.runs == before

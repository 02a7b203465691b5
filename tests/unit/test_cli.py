"""What the entries say, and their exit status. One test starts a process, which costs seconds; the others stay here."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from maas import __main__ as entry
from maas import cli
from maas.config import command_again
from maas.errors import DataError

RECIPE = """defaults:
  - override /data: digits
  - override /processor: array
  - override /model: {model}
name: {name}
"""


@pytest.fixture
def entered(monkeypatch, tmp_path, capsys) -> Iterator[Callable[..., str]]:
    """Enters `maas.train` with a stage of one's own and returns what went to standard error."""
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("maas")
    before = (list(logger.handlers), logger.level, logger.propagate)

    def enter(*arguments: str, stage: Callable[..., object], status: int) -> str:
        monkeypatch.setattr(sys, "argv", ["maas.train", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.enter("train", stage)
        assert caught.value.code == status
        return capsys.readouterr().err

    yield enter
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


def unreached(_: object) -> None:
    raise AssertionError("the stage was entered with a wrong recipe")


def test_faults_are_told_one_a_line_with_status_2_when_a_recipe_has_three(entered, tmp_path):
    wrong = ["recipe=digits_mlp", "model.dropout=1.5", "trainer.max_epoch=3", "batch_size=0"]
    assert sorted(entered(*wrong, stage=unreached, status=2).splitlines()) == [
        "batch_size is 0; it must be a whole number, 1 or more. Set e.g. batch_size=64.",
        "model.dropout is 1.5; it must be a fraction in [0, 1). Set e.g. model.dropout=0.5",
        "trainer.max_epoch is no key of the recipe. Did you mean trainer.max_epochs?",
    ]
    assert list(tmp_path.iterdir()) == []


def test_message_is_printed_alone_with_status_2_when_a_stage_refuses(entered):
    def refuse(config: object) -> None:
        raise DataError(f"{config.name} has no rows.")

    assert entered("recipe=digits_mlp", stage=refuse, status=2) == "digits_mlp has no rows.\n"


def test_user_is_told_how_to_go_on_with_status_130_when_a_stage_is_interrupted(entered):
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    told = "\nInterrupted. Run the same command again and maas.train resumes where it was.\n"
    assert entered("recipe=digits_mlp", stage=interrupt, status=130) == told


def test_own_parts_and_recipes_are_found_when_a_config_dir_is_given(entered, tmp_path):
    (tmp_path / "mine/recipes").mkdir(parents=True)
    (tmp_path / "mine/model").mkdir()
    (tmp_path / "mine/model/narrow.yaml").write_text("_target_: maas.models.mlp.MLP\nhidden: [3]\n")
    (tmp_path / "mine/recipes/own.yaml").write_text(RECIPE.format(model="narrow", name="own"))

    def show(config: object) -> None:
        raise DataError(f"{config.name} {config.model['hidden']}")

    assert entered("-cd", str(tmp_path / "mine"), "recipe=own", stage=show, status=2) == "own [3]\n"


def test_recipe_file_is_used_when_its_path_is_given(entered, tmp_path):
    (tmp_path / "from_file.yaml").write_text(RECIPE.format(model="mlp", name="from_file"))

    def show(config: object) -> None:
        raise DataError(f"{config.name} {config.overrides}")

    told = entered("recipe=from_file.yaml", "seed=3", stage=show, status=2)
    assert told == "from_file ('seed=3',)\n"


def test_stage_sees_the_command_line_as_it_was_typed_when_a_recipe_is_a_file(entered, tmp_path):
    """Training in several processes starts the others by it, and they must find the recipe for themselves."""
    (tmp_path / "from_file.yaml").write_text(RECIPE.format(model="mlp", name="from_file"))
    typed = ["recipe=from_file.yaml", "name=mine", "seed=3"]
    seen = []

    def note(_: object) -> None:
        seen.extend(sys.argv)
        raise DataError("seen")

    entered(*typed, stage=note, status=2)
    assert seen == ["maas.train", *typed]


def test_program_is_started_again_as_it_was_when_it_was_started_as_maas(monkeypatch, tmp_path):
    """By whose name, and with whose arguments, a training in several processes starts the others."""
    seen = []
    monkeypatch.delitem(sys.modules, "maas.train", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    program = tmp_path / "maas"
    program.touch()
    monkeypatch.setattr(sys, "argv", [str(program), "train", "recipe=mine.yaml"])
    monkeypatch.setattr(cli, "enter", lambda verb, _, given, __: seen.append((verb, given, command_again(1)[0][1:])))
    entry.main()
    assert seen == [("train", ["recipe=mine.yaml"], [str(program), "train", "recipe=mine.yaml"])]


def test_registry_is_none_when_null_is_chosen(entered):
    def show(config: object) -> None:
        raise DataError(f"registry {config.registry}")

    assert entered("recipe=digits_mlp", "registry=null", stage=show, status=2) == "registry None\n"


@pytest.mark.parametrize("resolve", [[], ["--resolve"]])
def test_printed_recipe_hides_the_password_of_an_address_when_it_is_composed(monkeypatch, capsys, resolve):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://user:secret@host/mlflow")
    arguments = ["recipe=digits_mlp", "+registry.parent='http://user:secret@host'", "--cfg", "job", *resolve]
    cli.enter("train", unreached, arguments)
    printed = capsys.readouterr().out
    assert "http://user:***@host" in printed
    assert ("postgresql://user:***@host/mlflow" in printed) is bool(resolve)
    assert "secret" not in printed


def test_each_value_is_trained_and_all_failed_is_one_line_when_a_sweep_is_asked_for(entered):
    seen = []

    def note(config: object) -> None:
        seen.append(config.optimizer["lr"])
        raise DataError(f"{config.optimizer['lr']} is refused.")

    error = entered("-m", "recipe=digits_mlp", "optimizer.lr=0.01,0.1,0.5", "registry=null", stage=note, status=2)
    assert seen == [0.01, 0.1, 0.5]
    assert error == "None of the 3 trials went through. The first: 0.01 is refused.\n"


WRONG_SPACES = {
    "hydra/sweeper=optuna optimizer.lr=interval()": (
        "optimizer.lr=interval() cannot be read: missing a required argument: 'start'. Write e.g. "
        "optimizer.lr=interval(0.001,0.1) or optimizer.lr=choice(1,2,3)."
    ),
    "hydra/sweeper=optuna optimiser.lr=choice(1,2)": "optimiser.lr is no key of the recipe. Did you mean optimizer?",
    "hydra/sweeper=optuna hydra.sweeper.n_trials=0 optimizer.lr=choice(1,2)": (
        "hydra.sweeper.n_trials is 0; it must be a whole number, 1 or more. Set e.g. hydra.sweeper.n_trials=20."
    ),
    "hydra/sweeper=optuna hydra.sweeper.n_trials=many optimizer.lr=choice(1,2)": (
        "hydra.sweeper.n_trials is many; it must be a whole number, 1 or more. Set e.g. hydra.sweeper.n_trials=20."
    ),
    "optimizer.lr=interval(0.1,1)": (
        "optimizer.lr=interval(0.1,1): an interval has no list of values. Add hydra/sweeper=optuna, or name values, "
        "e.g. optimizer.lr=0.1,0.01."
    ),
    "hydra/launcher=jobless optimizer.lr=1,2": (
        "There is no hydra/launcher 'jobless'. Set hydra/launcher=NAME; known are: basic, joblib. Did you mean joblib?"
    ),
    "hydra/launcher=submitit_slurm optimizer.lr=1,2": (
        "hydra/launcher=submitit_slurm needs the package hydra-submitit-launcher, which is not installed. "
        "pip install hydra-submitit-launcher"
    ),
    "optimizer.lr=1,2 batch_size=0": "batch_size is 0; it must be a whole number, 1 or more. Set e.g. batch_size=64.",
}


@pytest.mark.parametrize("arguments", WRONG_SPACES)
def test_fault_is_one_line_and_nothing_is_written_when_a_sweep_is_wrong(entered, tmp_path, arguments):
    error = entered("-m", "recipe=digits_mlp", *arguments.split(), stage=unreached, status=2)
    assert error == f"{WRONG_SPACES[arguments]}\n"
    assert list(tmp_path.iterdir()) == []


def test_sweep_is_refused_when_a_training_takes_several_processes(entered):
    error = entered("-m", "recipe=digits_mlp", "trainer=ddp_cpu", "optimizer.lr=0.01,0.1", stage=unreached, status=2)
    assert error.startswith("A sweep (-m) trains in one process, and trainer.strategy is ddp. Set trainer=cpu")


def test_recipes_are_listed_with_status_2_when_none_is_named(tmp_path):
    command = [sys.executable, "-m", "maas", "train"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("No recipe was named. Set recipe=NAME; known are: ")
    assert done.stderr.count("\n") == 1
    assert "digits_mlp" in done.stderr

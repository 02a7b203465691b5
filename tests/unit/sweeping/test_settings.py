"""What a sweeper cannot do is refused before anything is trained."""

import importlib.util

import pytest

from maas.errors import ConfigError
from maas.sweeping import settings
from maas.sweeping.settings import SweepSettings, require_fitting
from maas.sweeping.space import SweepSpace

OPTUNA = {"_target_": SweepSettings.target(), "n_trials": 8, "sampler": "tpe", "max_batch_size": None}
REFUSED = {
    "none swept": (OPTUNA, "batch_size=8", "Nothing is swept. Give a key many values, e.g. optimizer.lr=interval(0."),
    "glob": (
        OPTUNA,
        "model=glob(*)",
        "model=glob(*): hydra/sweeper=optuna takes no glob. Name the values: model=choice",
    ),
    "sampler": (
        {**OPTUNA, "sampler": "cmaes"},
        "a=1,2",
        "hydra.sweeper.sampler is 'cmaes'; it must be one of tpe, random, grid. Set e.g. hydra.sweeper.sampler=tpe.",
    ),
    "batch": ({**OPTUNA, "max_batch_size": 0}, "a=1,2", "hydra.sweeper.max_batch_size is 0; it must be 1 or more, or"),
    "grid": ({**OPTUNA, "sampler": "grid"}, "a=interval(1,2)", "a=interval(1,2): a grid takes values. Write a=choice("),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusal_is_one_line_when_a_sweep_cannot_be_made(name):
    sweeper, override, message = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        require_fitting(sweeper, SweepSpace.read([override]))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_refusal_names_the_extra_when_optuna_is_missing(monkeypatch):
    monkeypatch.setattr(
        settings, "find_spec", lambda name: None if name == "optuna" else importlib.util.find_spec(name)
    )
    with pytest.raises(ConfigError) as caught:
        require_fitting(OPTUNA, SweepSpace.read(["a=1,2"]))
    assert str(caught.value) == (
        "hydra/sweeper=optuna needs the package optuna, which is not installed. In a checkout of maas: "
        "pip install '.[sweep]'"
    )


@pytest.mark.parametrize(
    ("launcher", "asked", "batch"),
    [({}, None, 1), ({"n_jobs": 2}, None, 2), ({"n_jobs": 2}, 5, 5), ({"array_parallelism": 9}, None, 9)],
)
def test_as_many_trials_are_launched_as_the_launcher_runs_when_none_is_asked_for(launcher, asked, batch):
    assert SweepSettings(max_batch_size=asked).batch(launcher) == batch

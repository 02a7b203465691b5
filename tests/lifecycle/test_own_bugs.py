"""A bug in a user's own net shows its own traceback, with the line of the net's file in sight."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import maas
from maas.doctor import examine
from maas.errors import ConfigError
from maas.training.fitting import fit_recipe
from maas.training.recipe import TrainingRecipe

NET = """\
from torch import nn


class Dividing(nn.Module):
    def __init__(self, in_features, outputs):
        super().__init__()
        self.head = nn.Linear(in_features, outputs)

    def forward(self, features):
        return self.head(features.flatten(1)) / {divisor}


class Transposing(Dividing):
    def forward(self, features):
        return self.head(features.flatten(1).T)
"""
LINE = "return self.head(features.flatten(1)) / (1 // 0)"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a net of one's own, and the part that names it."""
    (tmp_path / "dividing_net.py").write_text(NET.format(divisor="(1 // 0)"))
    (tmp_path / "parts" / "model").mkdir(parents=True)
    (tmp_path / "parts" / "model" / "mine.yaml").write_text("_target_: dividing_net.Dividing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "dividing_net", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    "verb", ["train", *(pytest.param(verb, marks=pytest.mark.slow) for verb in ("doctor", "plan"))]
)
def test_traceback_names_the_line_of_the_net_when_it_divides_by_zero(verb: str, house: Path) -> None:
    command = [sys.executable, "-m", f"maas.{verb}", "-cd", "parts", "recipe=digits_mlp", "model=mine", "runs_dir=runs"]
    path = os.pathsep.join([str(house), str(Path(maas.__file__).parents[1])])
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=house, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode != 0
    assert LINE in done.stderr
    assert "ZeroDivisionError: integer division or modulo by zero" in done.stderr


@pytest.mark.parametrize("step", [examine, fit_recipe], ids=["doctor", "training"])
def test_own_error_comes_through_when_a_net_divides_by_zero(step, house: Path) -> None:
    recipe = TrainingRecipe.of(maas.compose("digits_mlp", model={"_target_": "dividing_net.Dividing"}))
    splits = recipe.rows()
    processor = recipe.fitted_processor(splits.train.inputs)
    folder = [house / "resume"] if step is fit_recipe else []
    with pytest.raises(ZeroDivisionError) as caught:
        step(recipe, splits, processor, *folder)
    assert str(caught.traceback[-1].path) == str(house / "dividing_net.py")


def test_finding_names_the_line_of_the_net_when_shapes_do_not_fit(house: Path) -> None:
    recipe = TrainingRecipe.of(maas.compose("digits_mlp", model={"_target_": "dividing_net.Transposing"}))
    splits = recipe.rows()
    processor = recipe.fitted_processor(splits.train.inputs)
    with pytest.raises(
        ConfigError, match=r"mat1 and mat2 shapes cannot be multiplied .* \(dividing_net\.py, line 15\)"
    ) as caught:
        maas.doctor.require_sound(recipe, splits, processor)
    assert isinstance(caught.value.__cause__, RuntimeError)

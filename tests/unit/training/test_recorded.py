"""What an earlier maas wrote can still be used: a checkpoint of version 2, and the training checkpoint of a killed run.

`recorded/` holds what commit 9707a63 wrote for the recipe below: a checkpoint, and of the same training the state after
the seventh of ten steps. That commit called the postprocessor `answer` and training checkpoints resume points.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import maas
from maas.runtime.postprocessors.classification import ClassificationPostprocessor
from maas.training.checkpoint import CHECKPOINT_VERSION, Checkpoint
from maas.training.fitting import fit_recipe
from maas.training.recipe import TrainingRecipe

RECORDED = Path(__file__).with_name("recorded")
RECIPE = ("digits_mlp", "model.hidden=[4]", "trainer.max_epochs=2", "batch_size=256", "optimizer.lr=0.01")


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A run's folder for resuming as the earlier maas left it."""
    folder = tmp_path / "resume"
    folder.mkdir()
    for name in ("best.ckpt", "step=000000007.ckpt"):
        shutil.copy(RECORDED / name, folder)
    return folder


def test_checkpoint_opens_with_todays_fields_when_an_earlier_maas_wrote_it():
    written = json.loads((RECORDED / "checkpoint.json").read_bytes())
    checkpoint = Checkpoint.open(RECORDED)
    assert (written["schema_version"], checkpoint.record.schema_version) == (2, CHECKPOINT_VERSION)
    assert isinstance(checkpoint.postprocessor(), ClassificationPostprocessor)
    assert checkpoint.record.postprocessor == written["answer"]
    assert list(checkpoint.task_head().labels) == written["labels"]
    weights = load_file(RECORDED / "weights.safetensors")
    for name, tensor in checkpoint.model().state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), weights[name])


def test_training_ends_as_it_did_when_it_resumes_from_an_earlier_maas(killed: Path):
    recipe = TrainingRecipe.of(maas.compose(*RECIPE))
    splits = recipe.rows()
    fitted = fit_recipe(recipe, splits, recipe.fitted_processor(splits.train.inputs), killed)
    written = Checkpoint.open(RECORDED).record
    assert (fitted.best_epoch, len(fitted.history)) == (written.best_epoch, len(written.history))
    for name, expected in load_file(RECORDED / "weights.safetensors").items():
        np.testing.assert_allclose(fitted.model.state_dict()[name].numpy(), expected, rtol=1e-5, atol=1e-7)


def test_weights_are_those_of_an_earlier_maas_when_the_recipe_is_the_same(tmp_path: Path):
    recipe = TrainingRecipe.of(maas.compose(*RECIPE))
    splits = recipe.rows()
    fitted = fit_recipe(recipe, splits, recipe.fitted_processor(splits.train.inputs), tmp_path / "resume")
    for name, expected in load_file(RECORDED / "weights.safetensors").items():
        np.testing.assert_allclose(fitted.model.state_dict()[name].numpy(), expected, rtol=1e-5, atol=1e-7)

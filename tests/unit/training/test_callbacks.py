"""Lightning's own callbacks: each works here, or is refused by name before anything is trained."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import lightning.pytorch.callbacks as of_lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import BasePredictionWriter

from maas import lifecycle
from maas.config import Part, RunConfig, compose
from maas.data.splits import Split, Splits
from maas.errors import ConfigError
from maas.records.evidence import DataRecord
from maas.runtime.processors.array import ArrayProcessor
from maas.training.fitting import Fitted, fit_recipe
from maas.training.recipe import TrainingRecipe

HARMLESS: dict[str, dict[str, Any]] = {
    "Callback": {},
    "Checkpoint": {},
    "LambdaCallback": {},
    "ModelCheckpoint": {},
    "ModelSummary": {},
    "RichModelSummary": {},
    "SpikeDetection": {"warmup": 10**6},
    "Timer": {"duration": {"hours": 1}},
}
"""They watch, and leave the weights as they are."""
LOGGING: dict[str, dict[str, Any]] = {
    "DeviceStatsMonitor": {"cpu_stats": False},
    "LearningRateMonitor": {},
    "ThroughputMonitor": {"batch_size_fn": {"_target_": "hydra.utils.get_method", "path": "builtins.len"}},
}
"""They need a logger."""
CHANGING = ("EarlyStopping", "EMAWeightAveraging", "WeightAveraging")
"""They change what comes of training; each has a test of its own."""
REFUSED: dict[str, dict[str, Any]] = {
    "BackboneFinetuning": {},
    "BaseFinetuning": {},
    "BasePredictionWriter": {},
    "BatchSizeFinder": {},
    "GradientAccumulationScheduler": {"scheduling": {"1": 2}},
    "LearningRateFinder": {},
    "ModelPruning": {"pruning_fn": "l1_unstructured"},
    "OnExceptionCheckpoint": {"dirpath": "scratch"},
    "StochasticWeightAveraging": {"swa_lrs": 0.01},
}
BARS = ("ProgressBar", "RichProgressBar", "TQDMProgressBar")
"""Where there is no terminal, the trainer refuses them itself."""


def rows(count: int, seed: int) -> Split:
    random = np.random.default_rng(seed)
    inputs = random.normal(0, 1, (count, 5))
    return Split(inputs.tolist(), (inputs[:, 0] > 0).astype(int))


SPLITS = Splits(rows(70, 0), rows(20, 1), rows(20, 2), ("no", "yes"), DataRecord("", {}, {}))


@cache
def composed(*overrides: str) -> RunConfig:
    return compose(
        "digits_mlp", "processor.shape=[5]", "processor.low=null", "model.hidden=[8]", "model.scale=1",
        "trainer.max_epochs=2", "batch_size=16", "callbacks=[]", *overrides,
    )  # fmt: skip


def small(*overrides: str, **callbacks: dict[str, Any]) -> RunConfig:
    return replace(composed(*overrides), callbacks=callbacks)


def named(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {"_target_": f"lightning.pytorch.callbacks.{name}", **settings}


def trained(config: RunConfig, folder: Path) -> Fitted:
    return fit_recipe(TrainingRecipe.of(config), SPLITS, ArrayProcessor([5]), folder)


def flat(fitted: Fitted) -> torch.Tensor:
    return torch.cat([one.flatten() for one in fitted.model.state_dict().values()])


def test_every_callback_is_checked_when_lightning_brings_a_new_one():
    assert sorted([*HARMLESS, *LOGGING, *CHANGING, *REFUSED, *BARS]) == sorted(of_lightning.__all__)


def test_weights_are_the_same_when_callbacks_only_watch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    watching = {name: named(name, settings) for name, settings in HARMLESS.items()}
    one, other = trained(small(**watching), tmp_path / "one"), trained(small(), tmp_path / "other")
    assert torch.equal(flat(one), flat(other))
    assert one.history == other.history


@pytest.mark.filterwarnings("ignore:.*flops_per_batch")
def test_monitors_write_to_the_logger_when_the_trainer_has_one(tmp_path):
    logger = f"+trainer.logger={{_target_: lightning.pytorch.loggers.CSVLogger, save_dir: {tmp_path}}}"
    monitors = {name: named(name, settings) for name, settings in LOGGING.items()}
    trained(small(logger, "+trainer.log_every_n_steps=1", **monitors), tmp_path / "resume")
    (written,) = tmp_path.rglob("metrics.csv")
    head = written.read_text().splitlines()[0]
    assert "lr-SGD" in head
    assert "train/samples" in head


@pytest.mark.parametrize("name", LOGGING)
def test_monitor_is_refused_when_there_is_no_logger(name, tmp_path):
    with pytest.raises(ConfigError) as caught:
        trained(small(mine=named(name, LOGGING[name])), tmp_path)
    assert str(caught.value) == (
        f"callbacks.mine is {name}, which writes to a logger, and the trainer has none. Set +trainer.logger=…"
    )


@pytest.mark.parametrize("name", REFUSED)
def test_callback_is_refused_by_name_when_it_would_have_no_effect(name, tmp_path):
    with pytest.raises(ConfigError, match=rf"^callbacks.mine is {name}, which .*\. \w.*\.$"):
        trained(small(mine=named(name, REFUSED[name])), tmp_path)
    listed = small()
    listed = replace(listed, trainer=listed.trainer.with_arguments(callbacks=[named(name, REFUSED[name])]))
    with pytest.raises(ConfigError, match=rf"^trainer.callbacks\[0\] is {name}, which "):
        trained(listed, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stage", [lifecycle.train, lifecycle.run], ids=["train", "run"])
def test_callback_is_refused_before_rows_are_read_when_a_recipe_is_run(stage, monkeypatch):
    monkeypatch.setattr(TrainingRecipe, "rows", lambda _: pytest.fail("rows were read"))
    for name, settings in REFUSED.items():
        with pytest.raises(ConfigError, match=rf"^callbacks.mine is {name}, which "):
            stage(small(mine=named(name, settings)))


class Predictions(BasePredictionWriter):
    """A user's own."""


def test_callback_is_refused_by_its_base_when_it_is_a_users_own(tmp_path, monkeypatch):
    monkeypatch.setattr(Part, "imported", lambda _: Predictions)
    with pytest.raises(ConfigError, match="is Predictions, which writes predictions, and training makes none"):
        trained(small(mine={"_target_": "mine.Predictions"}), tmp_path)


@pytest.mark.parametrize("name", BARS)
def test_bar_is_refused_in_one_line_when_there_is_no_terminal(name, tmp_path):
    with pytest.raises(ConfigError, match=r"^trainer was refused by lightning\.pytorch\.Trainer: [^\n]+$"):
        trained(small(mine=named(name, {})), tmp_path)


def test_training_stops_early_when_it_is_asked_to(tmp_path):
    stopping = named("EarlyStopping", {"monitor": "validation_loss", "mode": "max", "patience": 1})
    fitted = trained(small("trainer.max_epochs=9", mine=stopping), tmp_path)
    assert len(fitted.history) == 2


@pytest.mark.parametrize("name", ["EMAWeightAveraging", "WeightAveraging"])
def test_averages_are_kept_when_weights_are_averaged(name, tmp_path):
    """Of weights that do not stand still the average is another, and it is what was validated."""
    fitted = trained(small(mine=named(name, {})), tmp_path / "averaged")
    assert not torch.equal(flat(fitted), flat(trained(small(), tmp_path / "plain")))
    inputs, targets = torch.tensor(SPLITS.validation.inputs), torch.from_numpy(SPLITS.validation.targets)
    loss = torch.nn.functional.cross_entropy(fitted.model(inputs), targets)
    assert fitted.history[fitted.best_epoch]["validation_loss"] == pytest.approx(loss.item(), rel=1e-5)

"""Numbers and targets that lie far from 0 for their spread, learnt as if they did not; figures by numpy in float64."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from torch import nn

from maas.config import RunConfig, compose
from maas.config.standardizing import with_standardize
from maas.data.splits import Split, Splits
from maas.errors import ConfigError
from maas.models.tabular_mlp import TabularMLP
from maas.records.evidence import DataRecord
from maas.runtime.postprocessors import load_postprocessor
from maas.runtime.processors.tabular import TabularProcessor
from maas.training.checkpoint import Checkpoint, NetRecord, save_checkpoint
from maas.training.evaluation import run_of, scores_of
from maas.training.fitting import Fitted, fit_recipe
from maas.training.heads import task_head_of
from maas.training.recipe import TrainingRecipe
from maas.training.scales import task_head_for

RANDOM = np.random.default_rng(0)
TIMES = RANDOM.uniform(-300.0, 300.0, 480)
SECONDS = 1.7e9 + TIMES
LINE = TIMES / 173.2 + RANDOM.normal(0, 0.05, 480)
"""Deviates by about 1; the noise leaves R² = 1 − 0.05² / var."""


def splits_of(times: NDArray[Any], targets: NDArray[Any]) -> Splits:
    rows = [{"time": float(time)} for time in times]
    parts = [Split(rows[part], targets[part]) for part in (slice(320), slice(320, 400), slice(400, None))]
    return Splits(*parts, (), DataRecord("", {}, {}))


def small(*overrides: str) -> RunConfig:
    return compose(
        "flights", "processor.numbers=[time]", "processor.categories=[]", "model.hidden=[]", "baseline=null",
        "batch_size=32", "trainer.max_epochs=12", "optimizer.lr=0.1", *overrides,
    )  # fmt: skip


def answered(config: RunConfig, splits: Splits, folder: Path) -> tuple[Fitted, NDArray[np.float64]]:
    """Returns what was fitted and its answers to the test rows."""
    processor = config.processor.build().fit(splits.train.inputs)
    fitted = fit_recipe(TrainingRecipe.of(config), splits, processor, folder)
    postprocessor = load_postprocessor(json.loads(json.dumps(fitted.task_head.postprocessor_record(1))))
    run = run_of(fitted.model, fitted.task_head, "value")
    return fitted, scores_of(run, postprocessor, processor, splits.test.inputs)[:, 0]


def r2(splits: Splits, found: NDArray[np.float64]) -> float:
    targets = splits.test.targets
    return float(1 - np.square((targets - found) / targets.std()).mean())


def test_epoch_seconds_are_learnt_as_well_as_seconds_when_they_are_standardised(tmp_path):
    near, far = splits_of(TIMES, LINE), splits_of(SECONDS, LINE)
    expected = r2(near, answered(small(), near, tmp_path / "near")[1])
    assert expected > 0.99
    assert r2(far, answered(small(), far, tmp_path / "far")[1]) == pytest.approx(expected, abs=1e-5)
    raw = answered(small("processor.standardize=false"), far, tmp_path / "raw")[1]
    assert r2(far, raw) < 0.97  # float32 tells 128 seconds apart


@pytest.mark.parametrize(("offset", "unit"), [(1.7e9, 60.0), (-2e12, 1e3), (0.0, 1e-7), (0.0, 1e39)])
def test_targets_are_learnt_in_any_unit_when_they_are_standardised(offset, unit, tmp_path):
    splits = splits_of(SECONDS, offset + unit * LINE)
    fitted, found = answered(small(), splits, tmp_path)
    assert r2(splits, found) > 0.99
    best = fitted.history[fitted.best_epoch]
    assert best["validation_r2"] > 0.99
    assert best["validation_rmse"] == pytest.approx(0.05 * unit, rel=0.4) or unit > 1e38  # Lightning logs float32


@pytest.mark.parametrize("loss", ["torch.nn.MSELoss", "torch.nn.L1Loss"])
def test_weights_are_the_same_when_the_target_comes_in_another_unit(loss, tmp_path):
    config = small("optimizer=sgd", "optimizer.lr=0.1", "trainer.max_epochs=2")
    config = replace(config, objective={"_target_": loss})
    found = []
    for offset, unit in ((0.0, 1.0), (1.7e9, 2.0**20)):
        splits = splits_of(TIMES, offset + unit * LINE)
        fitted, _ = answered(config, splits, tmp_path / f"{unit}")
        found.append([parameter.detach().numpy() for parameter in fitted.model.parameters()])
        assert fitted.history[0]["train_loss"] / unit ** (2 if "MSE" in loss else 1) < 1
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_target_is_learnt_as_in_fp32_when_products_are_shorter(precision, tmp_path):
    splits = splits_of(SECONDS, 10_000 + 2 * LINE)
    _, full = answered(small(), splits, tmp_path / "fp32")
    fitted, found = answered(small(f"+trainer.precision={precision}"), splits, tmp_path / "bf16")
    assert r2(splits, full) > 0.997
    assert r2(splits, found) > 0.99
    assert fitted.history[-1]["validation_r2"] == pytest.approx(r2(splits, full), abs=0.01)
    assert 0 < fitted.history[-1]["train_loss"] < 0.2


class OneSlope(nn.Module):
    """A net that knows nothing of the target's unit."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.head = nn.Linear(1, outputs)

    def forward(self, numbers):
        return self.head(numbers)


class Scaled(OneSlope):
    """One that leaves the unit to the task, or applies what it is told."""

    def __init__(self, outputs: int, target_mean: float = 0.0, target_deviation: float = 1.0) -> None:
        super().__init__(outputs)
        self.told = target_mean, target_deviation


def test_any_net_learns_deviations_when_the_recipe_sets_it(tmp_path):
    splits = splits_of(SECONDS, 1.7e9 + 60 * LINE)
    config = plain("standardize_target=true", "processor.standardize=true")
    _, found = answered(config, splits, tmp_path)
    assert r2(splits, found) > 0.99


def plain(*overrides: str, net: type[nn.Module] = OneSlope) -> RunConfig:
    return replace(small(*overrides), model={"_target_": f"{__name__}.{net.__name__}"})


def test_target_keeps_its_unit_when_the_net_does_not_ask_for_another():
    splits = splits_of(TIMES, LINE)
    assert not task_head_for(plain(), splits).is_standardized
    assert not task_head_for(plain("standardize_target=false", net=Scaled), splits).is_standardized
    assert task_head_for(plain(net=Scaled), splits).is_standardized


def test_facts_are_those_of_what_the_net_is_to_give_when_it_asks(tmp_path):
    splits = splits_of(TIMES, 100 + 3 * LINE)
    assert task_head_for(plain(net=Scaled), splits).facts(splits.train)["target_mean"] == 0.0
    told = task_head_for(plain("standardize_target=false", net=Scaled), splits).facts(splits.train)
    assert told["target_mean"] == pytest.approx(splits.train.targets.mean(), rel=1e-12)
    assert told["target_deviation"] == pytest.approx(splits.train.targets.std(), rel=1e-12)


class CustomModule(LightningModule):
    """One that trains itself, in the target's own unit."""

    def __init__(self, outputs: int, target_mean: float = 0.0, target_deviation: float = 1.0) -> None:
        super().__init__()
        self.head = nn.Linear(1, outputs)
        self.told = target_mean, target_deviation

    def forward(self, numbers):
        return self.told[0] + self.told[1] * self.head(numbers)

    def training_step(self, batch, _):
        model_inputs, targets = batch
        return nn.functional.mse_loss(self(**model_inputs)[:, 0], targets)

    def validation_step(self, batch, _):
        pass

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.1)


def test_custom_module_learns_in_the_targets_unit_when_it_takes_its_mean_and_deviation(tmp_path):
    splits = splits_of(TIMES, 100 + 3 * LINE)
    config = plain("processor.standardize=true", net=CustomModule)
    fitted, found = answered(config, splits, tmp_path)
    assert fitted.model.told[0] == pytest.approx(splits.train.targets.mean(), rel=1e-12)
    assert fitted.task_head.postprocessor_record(1) == {"kind": "regression", "mean": 0.0, "deviation": 1.0}
    assert r2(splits, found) > 0.98


def test_older_checkpoint_answers_as_it_did_when_its_net_scales_by_itself(lineage, tmp_path):
    arguments = {"number_means": [1500.0], "number_deviations": [200.0], "category_sizes": [], "outputs": 1}
    arguments |= {"hidden": [], "target_mean": 50.0, "target_deviation": 4.0}
    net, processor = TabularMLP(**arguments).eval(), TabularProcessor(["time"])
    record = {"name": "old", "task": "regression", "plan": None, "labels": (), "history": (), "best_epoch": 0}
    record |= {
        "postprocessor": {"kind": "regression"},
        "metrics": {},
        "data": DataRecord("", {}, {}),
        "lineage": lineage,
    }
    target = f"{TabularMLP.__module__}.TabularMLP"
    save_checkpoint(tmp_path / "old", net, processor, net_record=NetRecord(target, arguments), **record)
    content = json.loads((tmp_path / "old/checkpoint.json").read_text())
    content["processor"] = {"kind": "tabular", "numbers": ["time"], "categories": [], "max_categories": 1000}
    (tmp_path / "old/checkpoint.json").write_text(json.dumps(content))
    old = Checkpoint.open(tmp_path / "old")
    weight, bias = (one.detach().double().numpy() for one in net.head.parameters())
    found = scores_of(old.run(), old.postprocessor(), old.processor(), [{"time": 1700.0}, {"time": None}])[:, 0]
    expected = 50 + 4 * (bias[0] + np.array([weight[0, 0], weight[0, 1]]))  # z = 1, and the mark of a missing number
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert not old.task_head().is_standardized


def test_scale_is_refused_when_nothing_is_trained_here(tmp_path):
    splits = splits_of(TIMES, LINE)
    config = plain("standardize_target=true", "trainer=null", "objective=null", "optimizer=null", "schedule=null")
    processor = config.processor.build().fit(splits.train.inputs)
    with pytest.raises(ConfigError) as caught:
        fit_recipe(TrainingRecipe.of(config), splits, processor, tmp_path)
    assert str(caught.value).startswith("standardize_target is true, and OneSlope comes trained or trains itself")


def test_standardized_target_is_refused_when_labels_are_learnt():
    with pytest.raises(ConfigError, match=r"^standardize_target is true; task classification learns no number. Set"):
        compose("digits_mlp", "standardize_target=true")


def test_loss_sees_both_in_the_targets_unit_when_it_was_standardised():
    task_head = task_head_of("regression", ()).reading({"mean": 1.7e9, "deviation": 60.0})
    found, targets = task_head.prepared(torch.tensor([[0.5], [-1.0]]), torch.tensor([1.7e9, 1.7e9 - 59.5]))
    assert found.dtype == targets.dtype == torch.float64
    assert nn.HuberLoss(delta=1.0)(found, torch.tensor([1.7e9, 1.7e9 - 59.5], dtype=torch.float64)) == pytest.approx(
        ((30 - 0.5) + 0.5 * 0.5**2) / 2
    )


@pytest.mark.parametrize(
    ("model", "standardizes"),
    [("tabular_mlp", True), ("mlp", False), ("rule", False)],
)
def test_processor_standardises_when_the_net_leaves_it_to_others(model, standardizes):
    processor = {"_target_": "maas.runtime.processors.tabular.TabularProcessor", "numbers": ["x"], "standardize": None}
    target = {
        "tabular_mlp": "maas.models.tabular_mlp.TabularMLP", "mlp": "maas.models.mlp.MLP",
        "rule": "maas.importing.rule.Rule",
    }[model]  # fmt: skip
    assert with_standardize(processor, {"_target_": target})["standardize"] is standardizes
    assert with_standardize({**processor, "standardize": True}, {"_target_": target})["standardize"] is True

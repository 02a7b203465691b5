"""What data and processor tell a net, and what a recipe may not contradict."""

import logging
from dataclasses import replace
from types import SimpleNamespace

import lightning.pytorch.callbacks
import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from torch.optim.lr_scheduler import ReduceLROnPlateau

from maas.config import Part, compose
from maas.data.splits import Split, Splits
from maas.errors import ConfigError
from maas.records.evidence import DataRecord
from maas.runtime.processors.array import ArrayProcessor
from maas.scoring.names import monitored
from maas.scoring.values import value_for_labels
from maas.training import progress
from maas.training.fitting import fit_recipe
from maas.training.nets import resolve_net
from maas.training.recipe import TrainingRecipe

FACTS = {"outputs": 3, "in_features": 64, "colour": 9}


def test_facts_are_filled_in_when_the_net_takes_them():
    record = resolve_net(Part.of({"_target_": "maas.models.mlp.MLP", "hidden": [8]}, "model"), FACTS)
    assert (record.target, record.arguments) == (
        "maas.models.mlp.MLP",
        {"outputs": 3, "in_features": 64, "hidden": [8]},
    )


def test_recipe_wins_when_it_gives_a_fact_itself():
    record = resolve_net(Part.of({"_target_": "maas.models.mlp.MLP", "in_features": 65, "outputs": 3}, "model"), FACTS)
    assert record.arguments == {"outputs": 3, "in_features": 65}


def test_outputs_are_refused_when_the_data_has_another_number_of_labels():
    with pytest.raises(ConfigError) as caught:
        resolve_net(Part.of({"_target_": "maas.models.mlp.MLP", "outputs": 4}, "model"), FACTS)
    assert str(caught.value) == "model.outputs is 4; the task and the data want 3. Leave model.outputs out."


def test_argument_is_named_when_the_processor_does_not_tell_it():
    with pytest.raises(ConfigError) as caught:
        resolve_net(Part.of({"_target_": "maas.models.mlp.MLP"}, "model"), {"outputs": 3, "vocabulary_size": 10})
    assert str(caught.value) == (
        "model.in_features is missing and the processor does not know it. Set model.in_features=…"
    )


def blobs(count: int, seed: int) -> Split:
    """Two clouds of points that a line separates."""
    random = np.random.default_rng(seed)
    targets = np.arange(count) % 2
    return Split((random.normal(0, 0.3, (count, 2)) + 2 * targets[:, None]).tolist(), targets)


@pytest.fixture(scope="module")
def splits() -> Splits:
    return Splits(blobs(40, 0), blobs(20, 1), blobs(20, 2), ("a", "b"), DataRecord("", {}, {}))


def small(*overrides: str):
    config = compose(
        "digits_mlp", "processor.shape=[2]", "processor.low=null", "model.hidden=[4]", "model.scale=1",
        "trainer.max_epochs=3", "batch_size=8", *overrides,
    )  # fmt: skip
    return TrainingRecipe.of(config)


def test_fit_learns_and_keeps_the_best_epoch_when_classes_are_apart(splits, tmp_path):
    fitted = fit_recipe(small(), splits, ArrayProcessor([2]), tmp_path)
    accuracies = [epoch["validation_accuracy"] for epoch in fitted.history]
    assert len(accuracies) == 3
    assert accuracies[fitted.best_epoch] == max(accuracies) > 0.8
    predicted = fitted.model(torch.tensor(splits.validation.inputs)).argmax(dim=1).numpy()
    assert (predicted == splits.validation.targets).mean() == pytest.approx(max(accuracies))
    assert not fitted.model.training


def test_model_is_refused_in_one_line_when_it_is_no_net(splits, tmp_path):
    recipe = replace(small(), model=Part("fractions.Fraction", {"numerator": 3}, "model"))
    with pytest.raises(ConfigError) as caught:
        fit_recipe(recipe, splits, ArrayProcessor([2]), tmp_path)
    assert str(caught.value) == (
        "model is a Fraction, which fractions.Fraction gives; it must be an nn.Module. Wrap it in one, or name one of "
        "maas.importing, e.g. model=estimator for a model of scikit-learn."
    )


def test_listener_hears_of_each_epoch_when_a_net_is_fitted(splits, tmp_path):
    heard = []
    fitted = fit_recipe(
        small(), splits, ArrayProcessor([2]), tmp_path, lambda epoch, values: heard.append((epoch, values))
    )
    assert all(values.pop("rows_per_second") > 0 for _, values in heard)  # no part of what a second run repeats
    assert heard == list(enumerate(fitted.history))


def test_weights_are_equal_byte_for_byte_when_the_seed_is_the_same(splits, tmp_path):
    one, other, third = (
        fit_recipe(small(f"seed={seed}"), splits, ArrayProcessor([2]), tmp_path / str(index)).model.state_dict()
        for index, seed in enumerate((5, 5, 6))
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not all(torch.equal(one[name], third[name]) for name in one)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lr=-1", "optimizer was refused by torch.optim.SGD: Invalid learning rate: -1"),
        ("+trainer.max_time=nonsense", "trainer was refused by lightning.pytorch.Trainer: "),
    ],
)
def test_part_is_named_when_it_refuses_its_arguments_in_training(splits, tmp_path, override, message):
    with pytest.raises(ConfigError) as caught:
        fit_recipe(small(override), splits, ArrayProcessor([2]), tmp_path)
    assert str(caught.value).startswith(message)


def test_last_of_equally_good_epochs_is_kept_when_there_are_ties(splits, tmp_path):
    fitted = fit_recipe(small("trainer.max_epochs=12"), splits, ArrayProcessor([2]), tmp_path)
    accuracies = [epoch["validation_accuracy"] for epoch in fitted.history]
    assert accuracies.count(max(accuracies)) > 1
    assert fitted.best_epoch == max(range(12), key=lambda epoch: (accuracies[epoch], epoch))


def test_weights_and_net_are_the_plain_ones_when_training_was_compiled(splits, tmp_path):
    plain = fit_recipe(small(), splits, ArrayProcessor([2]), tmp_path / "plain")
    compiled = fit_recipe(
        small("callbacks=[training_checkpoints,compile]", "callbacks.compile.backend=eager"),
        splits,
        ArrayProcessor([2]),
        tmp_path / "compiled",
    )
    assert compiled.model._compiled_call_impl is None
    assert compiled.history == plain.history
    for name, weights in plain.model.state_dict().items():
        assert torch.equal(compiled.model.state_dict()[name], weights)


def test_epoch_without_validation_repeats_no_values_when_few_epochs_are_validated(splits, tmp_path):
    settings = ("trainer.max_epochs=4", "+trainer.check_val_every_n_epoch=2")
    fitted = fit_recipe(small(*settings), splits, ArrayProcessor([2]), tmp_path)
    assert ["validation_loss" in epoch for epoch in fitted.history] == [False, True, False, True]
    assert all("train_loss" in epoch for epoch in fitted.history)


def test_rate_falls_by_the_validated_epochs_when_few_are_validated(splits, tmp_path, monkeypatch):
    seen = []
    real = ReduceLROnPlateau.step
    monkeypatch.setattr(ReduceLROnPlateau, "step", lambda self, loss: (seen.append(loss), real(self, loss)))
    settings = ("trainer.max_epochs=5", "+trainer.check_val_every_n_epoch=2", "schedule=plateau")
    fitted = fit_recipe(small(*settings), splits, ArrayProcessor([2]), tmp_path)
    validated = [epoch["validation_loss"] for epoch in fitted.history if "validation_loss" in epoch]
    assert ["validation_loss" in epoch for epoch in fitted.history] == [False, True, False, True, True]
    assert seen == validated


@pytest.mark.parametrize(
    ("settings", "steps"),
    [  # five steps an epoch
        (("trainer.max_epochs=-1", "+trainer.max_steps=13"), 13),
        (("trainer.max_epochs=-1", "+trainer.max_steps=3"), 3),
        (("+trainer.max_steps=8", "+trainer.check_val_every_n_epoch=3"), 8),
        (("+trainer.check_val_every_n_epoch=2",), 15),
        (("+trainer.val_check_interval=3",), 15),
        (("trainer.max_epochs=-1", "+trainer.max_steps=4", "+trainer.accumulate_grad_batches=2"), 4),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_last_steps_are_validated_and_kept_when_training_ends_between_validations(settings, steps, splits, tmp_path):
    """Under a growing loss on purpose wrong targets would keep an old epoch; here every validation is better."""
    kept = []
    config = small(*settings, "metric=accuracy")
    fitted = fit_recipe(
        TrainingRecipe.of(config), splits, ArrayProcessor([2]), tmp_path, lambda epoch, values: kept.append(values)
    )
    best = torch.load(tmp_path / "best.ckpt", weights_only=False)
    assert best["global_step"] == steps
    assert "validation_accuracy" in kept[-1]
    assert fitted.best_epoch == len(fitted.history) - 1


class Stops(Callback):
    """Ends training after the second batch of an epoch, or after the third epoch."""

    def __init__(self, *, in_epoch: bool) -> None:
        self._in_epoch = in_epoch

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        trainer.should_stop |= self._in_epoch and batch_idx == 1

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.should_stop |= trainer.current_epoch == 2


@pytest.mark.parametrize(("in_epoch", "kept", "lost"), [(True, 2, False), (False, 10, True)])
def test_last_steps_are_kept_or_told_of_when_a_callback_ends_training(
    in_epoch, kept, lost, splits, tmp_path, caplog, monkeypatch
):
    logging.getLogger("maas").propagate = True
    monkeypatch.setattr(lightning.pytorch.callbacks, "Stops", Stops, raising=False)
    part = f"+callbacks.mine={{_target_: lightning.pytorch.callbacks.Stops, in_epoch: {in_epoch}}}"
    fit_recipe(
        small("trainer.max_epochs=9", "+trainer.check_val_every_n_epoch=2", part), splits, ArrayProcessor([2]), tmp_path
    )
    assert torch.load(tmp_path / "best.ckpt", weights_only=False)["global_step"] == kept
    assert ("The last 5 steps came after the last validation" in caplog.text) == lost


def test_setting_is_named_when_no_epoch_is_kept(splits, tmp_path):
    with pytest.raises(ConfigError, match=r"takes at least one step.* trainer\.max_steps, trainer\.limit_val_batches"):
        fit_recipe(small("+trainer.max_steps=0"), splits, ArrayProcessor([2]), tmp_path)


def test_refusal_is_one_line_when_lightning_finds_the_fault_in_training(splits, tmp_path):
    callback = "+callbacks.mine={_target_: lightning.pytorch.callbacks.ModelCheckpoint, monitor: nothing}"
    with pytest.raises(ConfigError, match=r"^trainer or callbacks were refused by lightning: .*'nothing'[^\n]+$"):
        fit_recipe(small(callback), splits, ArrayProcessor([2]), tmp_path)


def test_callback_is_named_when_lightning_refuses_its_arguments(splits, tmp_path):
    refused = "was refused by lightning.pytorch.callbacks.EarlyStopping: `mode` can be min, max, got up"
    part = "{_target_: lightning.pytorch.callbacks.EarlyStopping, monitor: validation_loss, mode: up}"
    for setting, where in ((f"+callbacks.mine={part}", "mine"), (f"+trainer.callbacks=[{part}]", r"callbacks\[0\]")):
        with pytest.raises(ConfigError, match=f"{where} {refused}"):
            fit_recipe(small(setting), splits, ArrayProcessor([2]), tmp_path)


def test_pace_counts_the_rows_that_were_trained_when_batches_are_limited(splits, tmp_path, monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))  # a second between two looks
    paces = []
    settings = ("trainer.max_epochs=1", "+trainer.limit_train_batches=2")
    fit_recipe(
        small(*settings),
        splits,
        ArrayProcessor([2]),
        tmp_path,
        lambda _, values: paces.append(values["rows_per_second"]),
    )
    assert paces == [2 * 8 / 2]  # two batches of 8, the last of which ends two looks behind the first


@pytest.mark.parametrize("metric", ["log_loss", "sklearn.metrics.brier_score_loss"])
def test_fit_keeps_the_epoch_with_the_smallest_loss_when_less_is_better(splits, tmp_path, metric):
    fitted = fit_recipe(small(f"metric={metric}", "optimizer.lr=8"), splits, ArrayProcessor([2]), tmp_path)
    losses = [epoch[monitored(metric)] for epoch in fitted.history]
    assert len(set(losses)) > 1
    assert losses[fitted.best_epoch] == min(losses)
    with torch.inference_mode():
        probabilities = fitted.model(torch.tensor(splits.validation.inputs)).softmax(dim=1).numpy()
    assert value_for_labels(metric)(splits.validation.targets, probabilities) == pytest.approx(min(losses), abs=1e-9)

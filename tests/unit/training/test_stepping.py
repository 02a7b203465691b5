"""Steps that leave out hooks which nobody has: the same weights, the same calls, the same place to go on from."""

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback

from maas.config import compose
from maas.data.splits import Split, Splits
from maas.records.evidence import DataRecord
from maas.runtime.processors.array import ArrayProcessor
from maas.training import trainers
from maas.training.fitting import fit_recipe
from maas.training.recipe import TrainingRecipe
from maas.training.stepping import STEP_HOOKS, LeanSteps, ValidatedEnd


def rows(count: int, seed: int) -> Split:
    random = np.random.default_rng(seed)
    inputs = random.normal(0, 1, (count, 5))
    return Split(inputs.tolist(), (inputs[:, 0] > 0).astype(int))


SPLITS = Splits(rows(70, 0), rows(20, 1), rows(20, 2), ("no", "yes"), DataRecord("", {}, {}))


class Calls(Callback):
    """Writes down each call of a step's hooks, and what came with it."""

    __module__ = "maas.training"  # a callback of ours

    def __init__(self) -> None:
        self.made: list[tuple] = []


def _noting(name: str):
    def hook(self, trainer, pl_module, *more):
        numbers = [
            round(float(torch.as_tensor(one).detach()), 6)
            for one in more
            if isinstance(one, int | torch.Tensor) and np.ndim(one) == 0
        ]
        self.made.append((name, trainer.global_step, trainer.fit_loop.total_batch_idx, *numbers))

    return hook


for _name in STEP_HOOKS:
    setattr(Calls, _name, _noting(_name))

WAYS = [
    ("optimizer=adam",),
    ("optimizer=sgd", "schedule=one_cycle", "objective.l1=0.01"),
    ("optimizer=adamw", "+trainer.gradient_clip_val=0.05"),
    ("+trainer.precision=bf16-mixed",),
    ("+trainer.precision=64-true",),
    ("+trainer.limit_train_batches=3", "+trainer.val_check_interval=2"),
    ("trainer.max_epochs=-1", "+trainer.max_steps=13"),
    ("callbacks=[training_checkpoints,ema,early_stopping]", "callbacks.ema.decay=0.5", "schedule=plateau"),
    ("optimizer=adam", "optimizer._target_=torch.optim.LBFGS"),
    ("objective.loss.class_weights=[1,3]", "+trainer.check_val_every_n_epoch=2", "schedule=plateau"),
    ("+trainer.accumulate_grad_batches=2",),
]


def trained(monkeypatch, folder, overrides: tuple[str, ...], loop: type[ValidatedEnd], *callbacks: Callback):
    """Returns weights, history and calls of a training whose steps go by `loop`."""
    calls, taken = Calls(), []

    def install(trainer):
        trainer.callbacks += [calls, *callbacks]
        taken.append(trainer)
        return loop(trainer)

    monkeypatch.setattr(trainers, "LeanSteps", install)
    config = compose(
        "digits_mlp", "processor.shape=[5]", "processor.low=null", "model.hidden=[8]", "model.scale=1",
        "model.dropout=0.3", "trainer.max_epochs=3", "batch_size=16", *overrides,
    )  # fmt: skip
    fitted = fit_recipe(TrainingRecipe.of(config), SPLITS, ArrayProcessor([5]), folder)
    return fitted, calls.made, taken[0]


@pytest.mark.parametrize("overrides", WAYS, ids=lambda one: one[0])
def test_weights_and_calls_are_those_of_lightning_when_steps_are_lean(overrides, monkeypatch, tmp_path):
    lean, lean_calls, trainer = trained(monkeypatch, tmp_path / "lean", overrides, LeanSteps)
    plain, plain_calls, other = trained(monkeypatch, tmp_path / "plain", overrides, ValidatedEnd)
    assert lean_calls == plain_calls != []
    assert trainer.fit_loop.epoch_loop.is_lean == ("accumulate" not in overrides[0])
    assert lean.history == plain.history
    assert lean.best_epoch == plain.best_epoch
    for name, weights in plain.model.state_dict().items():
        assert torch.equal(weights, lean.model.state_dict()[name]), name
    assert trainer.fit_loop.state_dict() == other.fit_loop.state_dict()


class Meddles(Callback):
    """A user's callback without hooks in a step, which changes what a step does all the same."""

    def __init__(self, what: str) -> None:
        self._what = what

    def on_train_epoch_start(self, trainer, pl_module):
        if self._what == "a schedule by epochs":
            trainer.lr_scheduler_configs[0].interval = "epoch"
        elif self._what == "no backward":
            trainer.fit_loop._skip_backward = trainer.current_epoch == 1
        elif self._what == "a method":
            pl_module.optimizer_zero_grad = lambda epoch, batch_idx, optimizer: optimizer.zero_grad(set_to_none=False)


@pytest.mark.parametrize("what", ["a schedule by epochs", "no backward", "a method"])
def test_steps_are_lightnings_own_when_a_callback_changes_what_they_do(what, monkeypatch, tmp_path):
    settings = ("schedule=one_cycle", "optimizer=sgd")
    lean, _, trainer = trained(monkeypatch, tmp_path / "lean", settings, LeanSteps, Meddles(what))
    plain, _, _ = trained(monkeypatch, tmp_path / "plain", settings, ValidatedEnd, Meddles(what))
    assert trainer.fit_loop.epoch_loop.is_lean == (what == "no backward")  # which is over in the last epoch
    assert lean.history == plain.history
    for name, weights in plain.model.state_dict().items():
        assert torch.equal(weights, lean.model.state_dict()[name]), name

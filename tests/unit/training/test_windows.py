"""A step over several batches and processes minimises one mean over the weights of all its rows."""

import logging
import os
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import Tensor, nn
from torch.nn import functional

from maas.config import RunConfig, compose
from maas.data.datamodule import BatchesByLength
from maas.data.packing import NO_TARGET
from maas.data.splits import Split, Splits
from maas.errors import ConfigError
from maas.models.mlp import MLP
from maas.records.evidence import DataRecord
from maas.runtime.processors.array import ArrayProcessor
from maas.training.batch_statistics import BatchStatistics
from maas.training.fitting import fit_net
from maas.training.losses import BinaryCrossEntropy, CrossEntropy, NextToken, SquaredError
from maas.training.objectives import Objective, objective_of
from maas.training.recipe import TrainingRecipe
from maas.training.windows import BatchScale, Window, batch_scale_of, total_weight

WEIGHTS = [1.0, 2.0, 10.0]
LR = 0.3


def rows(count: int, seed: int) -> Split:
    random = np.random.default_rng(seed)
    targets = random.choice(3, count, p=[0.7, 0.2, 0.1])
    return Split((random.normal(0, 1, (count, 5)) + targets[:, None]).tolist(), targets)


SPLITS = Splits(rows(70, 0), rows(23, 1), rows(20, 2), ("a", "b", "c"), DataRecord("", {}, {}))


def small(*overrides: str) -> RunConfig:
    return compose(
        "digits_mlp", "processor.shape=[5]", "processor.low=null", "optimizer=gd", f"optimizer.lr={LR}",
        "schedule=constant", "trainer.max_epochs=1", "+trainer.precision=64-true", "batch_size=8", "callbacks=[]",
        *overrides,
    )  # fmt: skip


def new_net() -> MLP:
    torch.manual_seed(0)
    return MLP(in_features=5, outputs=3, hidden=[4], scale=1.0, dropout=0.0)


def trained(config: RunConfig, folder: Path, net: nn.Module | None = None) -> tuple[Tensor, tuple[dict, ...]]:
    """Returns the weights after training, end to end, and what was logged."""
    net = net or new_net()
    course = fit_net(TrainingRecipe.of(config), net, SPLITS, ArrayProcessor([5]), folder)
    return flat(net), course.history


def flat(net: nn.Module) -> Tensor:
    return torch.cat([one.detach().double().flatten() for one in net.parameters()])


def expected(
    batch_size: int, accumulated: int, weights: list[float] | None, l2: float = 0.0, clipped: float | None = None
) -> Tensor:
    """Returns the weights after an epoch of gradient descent, each step on its window's rows as one batch."""
    net, inputs, targets = new_net().double(), torch.tensor(SPLITS.train.inputs).double(), SPLITS.train.targets
    batches = BatchesByLength(np.ones(len(targets)), batch_size, seed=small().seed).together()
    weighting = None if weights is None else torch.tensor(weights).double()
    for first in range(0, len(batches), accumulated):
        seen = np.concatenate(batches[first : first + accumulated])
        loss = functional.cross_entropy(net(inputs[seen]), torch.from_numpy(targets[seen]), weighting)
        loss = loss + l2 / 2 * sum(one.square().sum() for one in net.parameters() if one.ndim > 1)
        net.zero_grad()
        loss.backward()
        if clipped is not None:
            nn.utils.clip_grad_norm_(net.parameters(), clipped)
        with torch.no_grad():
            for one in net.parameters():
                one.sub_(LR * one.grad)
    return flat(net)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("accumulated", [1, 2, 3, 4])  # 9 batches, the smallest of 6 rows: 2 and 4 leave a short window
def test_weights_are_those_of_whole_windows_when_batches_are_accumulated(accumulated, weights, tmp_path):
    config = small(
        f"+trainer.accumulate_grad_batches={accumulated}", f"objective.loss.class_weights={weights or 'null'}",
        "objective.l2=0.05",
    )  # fmt: skip
    found, _ = trained(config, tmp_path)
    torch.testing.assert_close(found, expected(8, accumulated, weights, l2=0.05), rtol=0, atol=1e-9)


def test_gradients_are_clipped_as_those_of_the_window_when_batches_are_accumulated(tmp_path):
    config = small("+trainer.accumulate_grad_batches=4", "+trainer.gradient_clip_val=0.05", "objective.l2=0.05")
    found, _ = trained(config, tmp_path)
    torch.testing.assert_close(found, expected(8, 4, None, l2=0.05, clipped=0.05), rtol=0, atol=1e-9)


@pytest.mark.parametrize("accumulated", [1, 4])
@pytest.mark.parametrize("batch_size", [7, 16])
def test_losses_are_those_of_scikit_learn_over_all_rows_when_rows_are_weighted(batch_size, accumulated, tmp_path):
    config = small(
        f"+trainer.accumulate_grad_batches={accumulated}", f"batch_size={batch_size}", "optimizer.lr=1e-12",
        f"objective.loss.class_weights={WEIGHTS}", "objective.l2=0.1",
    )  # fmt: skip
    net = new_net()
    _, (epoch,) = trained(config, tmp_path, net)
    net.double()
    for name, split in (("train_loss", SPLITS.train), ("validation_loss", SPLITS.validation)):
        shares = net(torch.tensor(split.inputs).double()).softmax(dim=1).detach().numpy()
        wanted = log_loss(split.targets, shares, sample_weight=np.array(WEIGHTS)[split.targets], labels=[0, 1, 2])
        if name == "train_loss":
            wanted += 0.05 * sum(float(one.detach().square().sum()) for one in net.parameters() if one.ndim > 1)
        assert epoch[name] == pytest.approx(wanted, rel=1e-6)  # logged as float32


# --- two processes ----------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _member(rank: int, ports: list[int], configs: list[RunConfig], folder: Path) -> None:
    """Trains as one of two processes; the first leaves weights and history in the folder."""
    import warnings

    warnings.simplefilter("ignore")  # Lightning's advice, that tests turn into errors
    torch.set_num_threads(1)
    for index, (port, config) in enumerate(zip(ports, configs, strict=True)):
        os.environ.update(LOCAL_RANK=str(rank), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        found = trained(config, folder / str(index))
        if rank == 0:
            torch.save(found, folder / f"{index}.pt")


def trained_by_two(configs: list[RunConfig], folder: Path) -> list[tuple[Tensor, tuple[dict, ...]]]:
    """Trains with each recipe in two processes, which are forks of this one."""
    context = torch.multiprocessing.get_context("fork")
    ports = [free_port() for _ in configs]
    members = [context.Process(target=_member, args=(rank, ports, configs, folder)) for rank in range(2)]
    for member in members:
        member.start()
    for member in members:
        member.join(timeout=60 * len(configs))
    assert [member.exitcode for member in members] == [0, 0]
    return [torch.load(folder / f"{index}.pt") for index in range(len(configs))]


def two(accumulated: int, weights: list[float] | None, *overrides: str) -> RunConfig:
    return small(
        "trainer=ddp_cpu", "trainer.max_epochs=1", "batch_size=4", f"+trainer.accumulate_grad_batches={accumulated}",
        f"objective.loss.class_weights={weights or 'null'}", "objective.l2=0.05", *overrides,
    )  # fmt: skip


@pytest.mark.ddp
def test_weights_are_those_of_one_process_when_two_share_weighted_rows(tmp_path):
    """70 rows by 2 × 4: the last step has 6, and after two windows of four batches one of a single batch is left."""
    configs = [two(1, WEIGHTS), two(4, WEIGHTS)]
    for accumulated, (found, (epoch,)) in zip((1, 4), trained_by_two(configs, tmp_path), strict=True):
        torch.testing.assert_close(found, expected(8, accumulated, WEIGHTS, l2=0.05), rtol=0, atol=1e-9)
        _, (alone,) = trained(
            small(f"+trainer.accumulate_grad_batches={accumulated}", f"objective.loss.class_weights={WEIGHTS}",
                  "objective.l2=0.05"), tmp_path / f"alone{accumulated}",
        )  # fmt: skip
        assert {name: epoch[name] for name in alone} == pytest.approx(alone, rel=1e-6)


@pytest.mark.slow
@pytest.mark.ddp
def test_weights_are_those_of_one_process_when_anything_is_crossed(tmp_path):
    crossed = [
        (size, accumulated, weights) for size in (3, 4, 5) for accumulated in (1, 2, 3) for weights in (None, WEIGHTS)
    ]
    configs = [two(accumulated, weights, f"batch_size={size}") for size, accumulated, weights in crossed]
    for (size, accumulated, weights), (found, _) in zip(crossed, trained_by_two(configs, tmp_path), strict=True):
        wanted = expected(2 * size, accumulated, weights, l2=0.05)
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-9, msg=f"{size} {accumulated} {weights}")


# --- what weighs how much ---------------------------------------------------------------------------------------------


def test_total_weight_is_what_torch_divides_by_when_the_loss_is_torchs_own():
    logits, targets = torch.randn(9, 3).double(), torch.tensor([0, 1, 2, 2, 1, 0, 0, 1, 2])
    weight = torch.tensor(WEIGHTS).double()
    for settings in ({}, {"weight": weight}, {"ignore_index": 1}, {"weight": weight, "ignore_index": 2}):
        for loss, given in ((nn.CrossEntropyLoss, logits), (nn.NLLLoss, logits.log_softmax(1))):
            whole = loss(**settings)
            summed = loss(**settings, reduction="sum")(given, targets)
            assert summed / total_weight(whole, targets) == pytest.approx(float(whole(given, targets)), rel=1e-12)


@pytest.mark.parametrize("loss", [SquaredError(), BinaryCrossEntropy(positive_weight=3.0), CrossEntropy(), nn.L1Loss()])
def test_total_weight_is_the_number_of_rows_when_a_loss_is_a_plain_mean(loss):
    assert total_weight(loss, torch.tensor([0, 1, 1, 0, 1])) == 5


class Halves(nn.Module):
    """A user's loss, in which odd targets weigh half."""

    def forward(self, found: Tensor, targets: Tensor) -> Tensor:
        weights = self._weights(targets)
        return (weights * (found - targets).square()).sum() / weights.sum()

    def total_weight(self, targets: Tensor) -> Tensor:
        return self._weights(targets).sum()

    def _weights(self, targets: Tensor) -> Tensor:
        return 1 - (targets % 2) / 2


def minimised(loss: nn.Module, found: Tensor, targets: Tensor, parts: list[slice], divisor: int) -> Tensor:
    """Returns Σ of what the batches of a step minimise, divided as Lightning and DDP do."""
    window, objective = Window(targets, len(parts), divisor), Objective(loss)
    return sum(
        objective(found[part], targets[part], nn.Identity(), window.scale(loss, targets[part])) for part in parts
    ) / divisor  # fmt: skip


@pytest.mark.parametrize("divisor", [3, 4])  # of four accumulated batches, where the epoch ends after three
def test_step_minimises_the_loss_of_all_rows_when_it_brings_its_own_weights(divisor):
    found, targets = torch.randn(10).double(), torch.arange(10).double()
    parts = [slice(0, 2), slice(2, 5), slice(5, 10)]
    value = minimised(Halves(), found, targets, parts, divisor)
    assert float(value) == pytest.approx(float(Halves()(found, targets)), rel=1e-12)


def test_batch_counts_nothing_when_all_its_rows_are_ignored():
    loss = nn.CrossEntropyLoss(ignore_index=2)
    logits, targets = torch.randn(6, 3).double().requires_grad_(), torch.tensor([2, 2, 0, 1, 2, 1])
    value = minimised(loss, logits, targets, [slice(0, 2), slice(2, 6)], 2)
    torch.testing.assert_close(value, loss(logits, targets), rtol=1e-12, atol=0)
    (gradient,) = torch.autograd.grad(value, logits)
    (wanted,) = torch.autograd.grad(loss(logits, targets), logits)
    torch.testing.assert_close(gradient, wanted, rtol=0, atol=1e-12)
    alone = batch_scale_of(loss, targets[:2], None)
    assert Objective(loss)(logits[:2], targets[:2], nn.Identity(), alone) == 0


def test_penalty_counts_once_when_a_step_sees_several_batches():
    net = nn.Linear(2, 2)
    objective = Objective(nn.CrossEntropyLoss(), l2=0.4, l1=0.3, group_lasso=0.2)
    logits, targets = torch.zeros(2, 2), torch.tensor([0, 1])
    penalty = objective(logits, targets, net) - objective.loss(logits, targets)
    scales = [Window(torch.zeros(6), 3, 4).scale(objective.loss, targets) for _ in range(3)]
    parts = [objective(logits, targets, net, replace(scale, weight=0.0)) for scale in scales]
    torch.testing.assert_close(sum(parts) / 4, penalty)


def test_scale_is_that_of_the_batch_alone_when_its_step_sees_no_other():
    assert batch_scale_of(CrossEntropy(), torch.zeros(5), None) == BatchScale(1.0, 1.0, 1.0, 5.0)


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_loss_is_refused_when_it_is_no_mean(reduction):
    with pytest.raises(ConfigError) as caught:
        objective_of(Objective(nn.MSELoss(reduction=reduction)))
    assert str(caught.value) == (
        f"MSELoss has reduction={reduction}; training minimises a mean, whatever batch_size and the number of "
        "processes are. Leave reduction out, and raise the learning rate instead."
    )


# --- layers that look at their batch ----------------------------------------------------------------------------------


class Normed(nn.Module):
    """Two layers with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU())
        self.head = nn.Linear(4, 3)

    def forward(self, features: Tensor) -> Tensor:
        return self.head(self.body(features))


def said(caplog) -> list[str]:
    return [one.getMessage() for one in caplog.records if "Batch norm" in one.getMessage()]


def test_warning_names_layers_and_difference_when_batches_are_normalised_apart(tmp_path, caplog):
    logging.getLogger("maas").propagate = True
    trained(small("+trainer.accumulate_grad_batches=3", "trainer.max_epochs=2"), tmp_path, Normed())
    (message,) = said(caplog)
    assert message == (
        "Batch norm (body.1) takes mean and variance from 8 rows, each of 3 batches by itself, not from the 24 rows of "
        "a step: gradients and running averages differ from those of one process with batch_size=24. Take group or "
        "layer norm where that matters."
    )


@pytest.mark.parametrize(
    ("layer", "world", "accumulated", "warns"),
    [
        (nn.BatchNorm2d(2), 1, 1, False),
        (nn.BatchNorm2d(2), 2, 1, True),
        (nn.SyncBatchNorm(2), 2, 1, False),
        (nn.SyncBatchNorm(2), 2, 2, True),
        (nn.BatchNorm1d(2).eval(), 2, 2, False),
        (nn.GroupNorm(1, 2), 2, 2, False),
    ],
)
def test_warning_is_given_when_a_step_sees_more_than_a_layer(layer, world, accumulated, warns, caplog):
    logging.getLogger("maas").propagate = True
    trainer = SimpleNamespace(world_size=world, accumulate_grad_batches=accumulated, is_global_zero=True)
    BatchStatistics(16).on_train_start(trainer, nn.ModuleDict({"net": nn.ModuleDict({"norm": layer})}))
    assert len(said(caplog)) == warns
    assert not warns or said(caplog)[0].startswith("Batch norm (norm) takes mean and variance from 16 rows, each of 2 ")


def test_batch_counts_by_its_tokens_when_sequences_have_unequally_many():
    first, second = torch.tensor([[1, 2, NO_TARGET, NO_TARGET]]), torch.tensor([[1, 2, 3, 4]])
    window = Window(torch.cat([first, second]), batches=2, divisor=2)
    assert window.scale(NextToken(), first) == BatchScale(2 * 2 / 6, 1.0, 1.0, 3.0)
    assert window.scale(NextToken(), second) == BatchScale(2 * 4 / 6, 1.0, 1.0, 3.0)

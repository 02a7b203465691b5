"""Rows a second of training: maas, a loop written by hand, Lightning bare, and the Trainer of Hugging Face.

    python tests/benchmarks/bench_training.py [mlp] [encoder]

All train the same net with Adam on the same rows in batches of 32, and take turns in one process; what counts are the
ratios of a round. Each trains two epochs, of which the second is timed: the steps alone, without validation.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch import Trainer as LightningTrainer
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import maas
from maas.config import RunConfig
from maas.data.splits import Split, Splits
from maas.models.encoder import TextEncoder
from maas.models.mlp import MLP
from maas.records.evidence import DataRecord
from maas.runtime.processors.array import ArrayProcessor
from maas.training.fitting import fit_recipe
from maas.training.recipe import TrainingRecipe

ROUNDS, BATCH, LR = 5, 32, 1e-3
TOKENS, VOCABULARY = 64, 2000


class Ids(nn.Module):
    """The encoder on ids that come as float numbers, as the array processor gives them."""

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.encoder = TextEncoder(VOCABULARY, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Returns logits (N, K)."""
        logits: Tensor = self.encoder(features.long())
        return logits


class Task(NamedTuple):
    """A net and its rows.

    Args:
        target: names the net, for a recipe.
        make: builds it.
        inputs: float32 (N, D).
        targets: int64 (N,).
    """

    target: str
    make: Callable[[], nn.Module]
    inputs: Tensor
    targets: Tensor


def tasks() -> dict[str, Task]:
    """Returns the small net of 2 ms a step and less, and the encoder."""
    chance = torch.Generator().manual_seed(0)
    rows, ids = torch.rand(20_000, 64, generator=chance), torch.randint(1, VOCABULARY, (640, TOKENS), generator=chance)
    return {
        "mlp": Task("maas.models.mlp.MLP", lambda: MLP(64, 2), rows, (rows[:, 0] > 0.5).long()),
        "encoder": Task("tests.benchmarks.bench_training.Ids", Ids, ids.float(), ids[:, 0] % 2),
    }


def ours(task: Task) -> float:
    """A recipe."""
    rows = Split(task.inputs.numpy(), task.targets.numpy())
    few = Split(rows.inputs[:64], rows.targets[:64])
    splits = Splits(rows, few, few, ("no", "yes"), DataRecord("", {}, {}))
    config: RunConfig = maas.compose(
        "digits_mlp", f"processor.shape=[{task.inputs.shape[1]}]", f"batch_size={BATCH}", "objective.l2=0",
        "optimizer=adam", f"optimizer.lr={LR}", "schedule=constant", "trainer.max_epochs=2",
    )  # fmt: skip
    config.model = {"_target_": task.target}
    rates: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        processor = ArrayProcessor([task.inputs.shape[1]])
        fit_recipe(
            TrainingRecipe.of(config),
            splits,
            processor,
            Path(folder),
            lambda _, values: rates.append(values["rows_per_second"]),
        )
    return rates[-1]


def by_hand(task: Task) -> float:
    """A loop as a tutorial has it."""
    net = task.make().train()
    optimizer = torch.optim.Adam(net.parameters(), lr=LR)
    loader = DataLoader(TensorDataset(task.inputs, task.targets), batch_size=BATCH, shuffle=True)
    begun = 0.0
    for _ in range(2):
        begun, total = time.monotonic(), 0.0
        for features, targets in loader:
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(features), targets)
            loss.backward()
            optimizer.step()
            total += loss.item()
    return len(task.inputs) / (time.monotonic() - begun)


class Bare(LightningModule):
    """A LightningModule as a tutorial has it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.begun = self.ended = 0.0

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Returns and logs the loss."""
        loss = functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("loss", loss, on_step=False, on_epoch=True)
        return loss

    def on_train_epoch_start(self) -> None:
        """Starts the clock."""
        self.begun = time.monotonic()

    def on_train_batch_end(self, *_: Any) -> None:
        """Reads it."""
        self.ended = time.monotonic()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=LR)


def lightning(task: Task) -> float:
    """Lightning without anything beside it."""
    module = Bare(task.make())
    loader = DataLoader(TensorDataset(task.inputs, task.targets), batch_size=BATCH, shuffle=True)
    trainer = LightningTrainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader)
    return len(task.inputs) / (module.ended - module.begun)


def hugging_face(task: Task) -> float:
    """The Trainer of transformers."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = task.make()

        def forward(self, features: Tensor, labels: Tensor) -> dict[str, Tensor]:
            logits = self.net(features)
            return {"loss": functional.cross_entropy(logits, labels), "logits": logits}

    class Clock(TrainerCallback):
        begun = ended = 0.0

        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            Clock.begun = time.monotonic()

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            Clock.ended = time.monotonic()

    rows = [{"features": row, "labels": label} for row, label in zip(task.inputs, task.targets, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=2, per_device_train_batch_size=BATCH, learning_rate=LR, report_to="none",
            save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=True,
        )  # fmt: skip
        Trainer(Wrapped(), arguments, train_dataset=rows, callbacks=[Clock]).train()
    return len(task.inputs) / (Clock.ended - Clock.begun)


CONTESTANTS = {"maas": ours, "by hand": by_hand, "Lightning": lightning, "Hugging Face Trainer": hugging_face}


def main(*names: str) -> None:
    """Lets them take turns and prints a table a net."""
    for name, task in tasks().items():
        if names and name not in names:
            continue
        rates: dict[str, list[float]] = {contestant: [] for contestant in CONTESTANTS}
        for _ in range(ROUNDS):
            for contestant, train in CONTESTANTS.items():
                rates[contestant].append(train(task))
        print(f"{name}, {ROUNDS} rounds, medians, {torch.get_num_threads()} threads")
        print("| loop | rows/s | share of the loop by hand |")
        print("|---|---|---|")
        for contestant, found in rates.items():
            shares = np.array(found) / np.array(rates["by hand"])
            print(f"| {contestant} | {statistics.median(found):,.0f} | {np.median(shares):.0%} |")


if __name__ == "__main__":
    main(*sys.argv[1:])

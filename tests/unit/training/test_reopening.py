"""A checkpoint answers as the net in memory does once it is opened again, or is not written."""

import copy
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional
from torchmetrics import SumMetric

import maas
from maas.data.splits import Split, Splits
from maas.errors import CheckpointError
from maas.importing.base import ImportedModel
from maas.lifecycle.training import validated
from maas.records.evidence import DataRecord
from maas.runtime.processors.array import ArrayProcessor
from maas.training.checkpoint import Checkpoint, NetRecord
from maas.training.fitting import fit_recipe
from maas.training.nets import finished, types_of
from maas.training.recipe import TrainingRecipe
from maas.training.reopening import differing

HERE = "forgetful"
sys.modules.setdefault(HERE, sys.modules[__name__])  # checkpoints name what this file defines by this name
ROWS = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).tolist()
LABELS = ("a", "b")


class Net(nn.Module):
    """A layer over three numbers; what is below moves `used` after the net was built."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)

    def used(self) -> Any:
        return 0.0

    def forward(self, features):
        return self.head(features) + self.used()


class Number(Net):
    def __init__(self) -> None:
        super().__init__()
        self.shift = 0.5

    def used(self):
        return torch.tensor([self.shift, 0.0])

    def move(self) -> None:
        self.shift = 0.75


class PlainTensor(Number):
    def __init__(self) -> None:
        super().__init__()
        self.shift = torch.zeros(2)

    def used(self):
        return self.shift

    def move(self) -> None:
        self.shift += torch.tensor([1.0, 0.0])


class Needed(PlainTensor):
    """A tensor that wants a gradient is a plain one, too."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = torch.zeros(2, requires_grad=True)

    def move(self) -> None:
        self.shift.data += torch.tensor([1.0, 0.0])


class Hidden(PlainTensor):
    def __init__(self) -> None:
        super().__init__()
        del self.shift
        self.register_buffer("shift", torch.zeros(2), persistent=False)


class InAList(Number):
    def __init__(self) -> None:
        super().__init__()
        self.shift = [torch.zeros(2), "of two"]

    def used(self):
        return self.shift[0]

    def move(self) -> None:
        self.shift = [torch.ones(2) * torch.tensor([1.0, 0.0]), "of two"]


class InAMapping(InAList):
    def __init__(self) -> None:
        super().__init__()
        self.shift = {0: np.zeros(2, dtype=np.float32)}

    def used(self):
        return torch.from_numpy(self.shift[0])

    def move(self) -> None:
        self.shift[0] = np.array([1, 0], dtype=np.float32)


class InAnObject(Number):
    def __init__(self) -> None:
        super().__init__()
        self.shift = SimpleNamespace(values=SimpleNamespace(first=0.0))

    def used(self):
        return torch.tensor([self.shift.values.first, 0.0])

    def move(self) -> None:
        self.shift.values.first = 1.0


class Switched(Number):
    def __init__(self) -> None:
        super().__init__()
        self.shift = False

    def used(self):
        return torch.tensor([float(self.shift), 0.0])

    def move(self) -> None:
        self.shift = True


class Late(Number):
    """Has nothing at first."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = None

    def used(self):
        return 0.0 if self.shift is None else self.shift

    def move(self) -> None:
        self.shift = torch.tensor([1.0, 0.0])


class Drawn(PlainTensor):
    """Draws what it adds when it is built."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = torch.randn(2)

    def move(self) -> None:
        pass


class LayerInAList(Number):
    def __init__(self) -> None:
        super().__init__()
        self.shift = [nn.Linear(2, 2)]

    def forward(self, features):
        return self.shift[0](self.head(features))

    def move(self) -> None:
        pass


class Inside(Net):
    """The same, one module further down."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Number()

    def forward(self, features):
        return self.body(features) + self.head(features)

    def move(self) -> None:
        self.body.move()


class Two(Number):
    """Counts beside what it moves."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def move(self) -> None:
        super().move()
        self.steps = 9


FORGETFUL = {
    "shift (0.75 in memory, 0.5 when it is built again)": Number,
    "shift (True in memory, False when it is built again)": Switched,
    "body.shift (0.75 in memory, 0.5 when it is built again)": Inside,
}
BY_NAME = [PlainTensor, Needed, Hidden, InAList, InAMapping, InAnObject, Late, Drawn, LayerInAList]


def moved(kind: type[Any]) -> Any:
    torch.manual_seed(0)
    net = kind().eval()
    net.move()
    return net


def refusal(save, folder, net) -> str:
    with pytest.raises(CheckpointError) as caught:
        save(folder, net, ArrayProcessor([3]), f"{HERE}.{type(net).__name__}", LABELS, ROWS)
    assert not folder.exists()
    assert list(folder.parent.iterdir()) == []
    return str(caught.value)


@pytest.mark.parametrize("named", FORGETFUL)
def test_attribute_is_named_with_both_values_and_nothing_is_left_when_it_would_be_lost(save, named, tmp_path):
    kind = FORGETFUL[named]
    key = named.split()[0]
    assert refusal(save, tmp_path / "train", moved(kind)) == (
        f"{HERE}.{kind.__name__} gives 40 of 40 validation rows other outputs once its checkpoint is opened again. A "
        f"checkpoint holds parameters and persistent buffers, and not {named}: keep {key} in a buffer: "
        'self.register_buffer("shift", torch.tensor(…)), and train again.'
    )


@pytest.mark.parametrize("kind", BY_NAME)
def test_attribute_is_named_when_training_moved_it_or_building_draws_it(save, kind, tmp_path):
    told = refusal(save, tmp_path / "train", moved(kind))
    remedy = {Hidden: "register shift with persistent=True", LayerInAList: "keep the layers of shift in an nn.ModuleL"}
    assert f"and not shift: {remedy.get(kind, 'keep shift in a buffer')}" in told


def test_attribute_that_outputs_depend_on_is_named_alone_when_others_moved_as_well(save, tmp_path):
    told = refusal(save, tmp_path / "train", moved(Two))
    assert "not shift (0.75" in told
    assert "steps" not in told


class Buffered(Number):
    """Number, mended as the message says."""

    def __init__(self) -> None:
        super().__init__()
        del self.shift
        self.register_buffer("shift", torch.tensor(0.5))
        self.steps = 0

    def used(self):
        return torch.stack([self.shift, torch.zeros(())])

    def move(self) -> None:
        self.shift.fill_(0.75)
        self.steps = 9


def test_checkpoint_is_written_when_the_number_is_kept_in_a_buffer(save, tmp_path):
    net = moved(Buffered)
    saved = save(tmp_path / "train", net, ArrayProcessor([3]), f"{HERE}.Buffered", LABELS, ROWS)
    rows = torch.tensor(ROWS)
    assert torch.equal(Checkpoint.open(saved.folder).model()(rows), net(rows))


def test_checkpoint_that_stood_there_stays_when_a_later_one_would_lose_a_number(save, tmp_path):
    before = save(tmp_path / "train", moved(Buffered), ArrayProcessor([3]), f"{HERE}.Buffered", LABELS, ROWS)
    with pytest.raises(CheckpointError, match="and not shift"):
        save(tmp_path / "train", moved(Number), ArrayProcessor([3]), f"{HERE}.Number", LABELS, ROWS)
    assert Checkpoint.open(before.folder).record == before.record


class Dropping(Net):
    def forward(self, features):
        return functional.dropout(super().forward(features))


def test_chance_is_named_when_a_net_drops_units_in_evaluation_mode(save, tmp_path):
    told = refusal(save, tmp_path / "train", Dropping().eval())
    assert told.startswith(f"{HERE}.Dropping is random: it gives other outputs each time for the same rows")


WHERE = SimpleNamespace(shift=0.0)


class Outside(Net):
    """Depends on what lies in no module."""

    def used(self):
        return torch.tensor([WHERE.shift, 0.0])


def test_advice_is_to_look_outside_when_no_attribute_differs(save, tmp_path, monkeypatch):
    net = Outside().eval()
    answer = net.forward
    monkeypatch.setattr(net, "forward", lambda features: answer(features) + 1)  # as a closure would
    assert "look for state in global variables and closures" in refusal(save, tmp_path / "train", net)


class Named(Net):
    def get_extra_state(self):
        return {"shift": 1.0}

    def set_extra_state(self, state):
        pass


def test_state_is_named_when_it_is_no_tensor(save, tmp_path):
    assert refusal(save, tmp_path / "train", Named().eval()) == (
        "Named keeps a dict in _extra_state; a checkpoint holds tensors alone. Keep it in buffers instead of "
        "get_extra_state()."
    )


class Unfit(ArrayProcessor):
    """Forgets what it learnt."""

    def __init__(self, shape: list[int], centre: float = 0.0) -> None:
        super().__init__(shape)
        self.centre = centre

    def arrays(self, rows):
        return [row + np.float32(self.centre) for row in super().arrays(rows)]


def test_processor_is_named_when_it_is_what_forgets(save, tmp_path):
    with pytest.raises(CheckpointError, match="The array processor gives other inputs once it is opened"):
        save(tmp_path / "train", Net().eval(), Unfit([3], 2.0), f"{HERE}.Net", LABELS, ROWS)


class Imported(ImportedModel):
    """Answers by what it was told, and does not save it."""

    framework = "none"

    def __init__(self, told: float = 0.0) -> None:
        self.told = told

    def fit(self, splits, processor):
        return self

    def outputs(self, model_inputs):
        return np.full((len(model_inputs["features"]), 2), self.told, dtype=np.float32)

    def write_onnx(self, out, **_):
        raise NotImplementedError

    def save(self, folder):
        (folder / "empty").touch()

    @classmethod
    def load(cls, arguments, folder):
        return cls()


def test_imported_model_is_refused_when_it_does_not_save_what_it_learnt(save, tmp_path):
    assert refusal(save, tmp_path / "train", Imported(1.0)).endswith("Its save() and load() lose what fit() learnt.")


class Half(Net):
    """Is built in bfloat16, as pretrained nets may be, and leaves training in float32."""

    def __init__(self) -> None:
        super().__init__()
        self.head.bfloat16()

    def forward(self, features):
        return self.head(features.to(self.head.weight.dtype)).float()


def test_weights_are_not_rounded_again_when_a_net_is_built_in_bfloat16(save, tmp_path):
    net = Half().eval().float()
    nn.init.normal_(net.head.weight, generator=torch.Generator().manual_seed(1))
    saved = save(tmp_path / "train", net, ArrayProcessor([3]), f"{HERE}.Half", LABELS, ROWS)
    rows = torch.tensor(ROWS)
    assert torch.equal(saved.model()(rows), net(rows))
    assert {one.dtype for one in saved.model().parameters()} == {torch.float32}


def test_number_is_named_when_a_pass_of_compression_moved_it(save, tmp_path):
    parent = save(tmp_path / "parent", Number().eval(), ArrayProcessor([3]), f"{HERE}.Number", LABELS, ROWS)
    net = parent.model()
    net.move()
    with pytest.raises(CheckpointError, match="and not shift"):
        parent.succeeded_by(tmp_path / "child", net, rows=ROWS, history=(), best_epoch=0, metrics={})
    assert not (tmp_path / "child").exists()


class Since(Net):
    """Takes seconds since an origin, which float32 would move by up to a minute."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("origin", torch.tensor(1_700_000_033.0, dtype=torch.float64))

    def forward(self, features):
        seconds = features.double() * 60 + 1_700_000_000
        return self.head(((seconds - self.origin) / 60).float())


@pytest.mark.parametrize("trained_in", [torch.float32, torch.float64])
def test_constant_of_ten_digits_is_kept_when_a_net_holds_it_in_float64(save, trained_in, tmp_path):
    net, rows = Since(), torch.tensor(ROWS)
    types, expected = types_of(net), net(rows).detach()
    if trained_in is torch.float64:
        net.double()
    net, record = finished(net, NetRecord(f"{HERE}.Since", {}), types)
    assert float(net.origin) == 1_700_000_033
    torch.testing.assert_close(net(rows), expected)
    saved = save(tmp_path / "train", net, ArrayProcessor([3]), record.target, LABELS, ROWS)
    assert torch.equal(saved.model()(rows), net(rows))
    assert {one.dtype for one in saved.model().parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("expected", "found", "differ"),
    [
        ([[1.0], [2.0]], [[1.0], [2.0]], [False, False]),
        ([[1.0], [2.0]], [[1.0], [2.0 + 5e-5]], [False, True]),
        ([[1.7e9], [1.7e9 + 128]], [[1.7e9 + 128], [1.7e9 + 128]], [False, False]),  # a step of float32
        ([[1.7e9], [1.7e9 + 1e5]], [[1.7e9 + 1e4], [1.7e9 + 1e5]], [True, False]),
        ([[np.nan], [1.0]], [[np.nan], [np.nan]], [False, True]),
        ([[np.inf], [1.0]], [[np.inf], [1.0]], [False, False]),
        ([[1.0], [1.0]], [[1.0, 1.0], [1.0, 1.0]], [True, True]),
    ],
)
def test_rows_differ_when_outputs_are_apart_by_more_than_rounding(expected, found, differ):
    assert differing(np.array(expected), np.array(found)).tolist() == differ


# --- the whole way: 0.882 in training, 0.545 in the bundle ------------------------------------------------------------

RIGHT, RIGHT_ONCE_OPENED, COUNT = 165, 102, 187
"""165 / 187 = 0.882 of the rows are answered rightly by the net that was trained, 102 / 187 = 0.545 by its weights."""


class Threshold(nn.Module):
    """Says yes above a threshold, which training raises step by step to 1 and which is a Python number."""

    def __init__(self, outputs: int = 2, in_features: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.threshold = 0.0

    def forward(self, features):
        if self.training:
            self.threshold = min(1.0, self.threshold + 0.5)
        margin = self.weight * 8 * (features - self.threshold)
        return torch.cat([-margin, margin], dim=1)


def threshold_rows() -> Split:
    """Rows at −1, 1/2 and 2: those between 0 and 1 tell the two thresholds apart."""
    between, wrong = RIGHT - RIGHT_ONCE_OPENED, COUNT - RIGHT  # rows of "no" at 1/2; rows that are wrong in any case
    values = np.concatenate([np.full(between, 0.5), np.full(wrong, 2.0), np.linspace(-3, -1, RIGHT_ONCE_OPENED)])
    return Split([[float(value)] for value in values], np.zeros(COUNT, dtype=np.int64))


def test_training_ends_with_the_attribute_when_its_net_moves_a_python_number(save, tmp_path):
    rows = threshold_rows()
    values = np.array(rows.inputs)[:, 0]
    assert round(float((values <= 1).mean()), 3) == 0.882  # by the rule itself, without a net
    assert round(float((values <= 0).mean()), 3) == 0.545
    splits = Splits(rows, rows, rows, ("no", "yes"), DataRecord("0" * 64, {}, {}))
    config = maas.compose("digits_mlp", "trainer.max_epochs=1", "optimizer.lr=0", "objective.l2=0", "batch_size=64")
    config = replace(config, model={"_target_": f"{HERE}.Threshold"})
    fitted = fit_recipe(TrainingRecipe.of(config), splits, ArrayProcessor([1]), tmp_path / "resume")
    _, metrics = validated(fitted, ArrayProcessor([1]), splits, "accuracy")
    assert fitted.history[0]["validation_accuracy"] == pytest.approx(RIGHT / COUNT)
    assert metrics["accuracy"].value == pytest.approx(RIGHT / COUNT)

    named = (fitted.net_record.target, splits.labels)
    unchecked = save(tmp_path / "unchecked", copy.deepcopy(fitted.model), ArrayProcessor([1]), *named)
    answers = unchecked.run()({"features": np.array(rows.inputs, dtype=np.float32)})["probabilities"].argmax(1)
    assert (answers == rows.targets).mean() == pytest.approx(RIGHT_ONCE_OPENED / COUNT)
    assert list(load_file(unchecked.folder / "weights.safetensors")) == ["weight"]

    with pytest.raises(CheckpointError) as caught:
        save(tmp_path / "train", fitted.model, ArrayProcessor([1]), *named, rows.inputs)
    assert str(caught.value) == (
        "forgetful.Threshold gives 187 of 187 validation rows other outputs once its checkpoint is opened again. A "
        "checkpoint holds parameters and persistent buffers, and not threshold (1 in memory, 0 when it is built "
        'again): keep threshold in a buffer: self.register_buffer("threshold", torch.tensor(…)), and train again.'
    )
    assert not (tmp_path / "train").exists()


class CustomModule(LightningModule):
    """A LightningModule that moves a Python number, and counts what it was given by a metric of its own."""

    def __init__(self, outputs: int = 2, in_features: int = 1) -> None:
        super().__init__()
        self.head = nn.Linear(in_features, outputs)
        self.seen = SumMetric()
        self.shift = 0.0

    def forward(self, features):
        return self.head(features) + self.shift * torch.tensor([1.0, 0.0])

    def moved(self) -> None:
        self.shift += 1.0

    def training_step(self, batch, _):
        self.seen.update(1.0)
        self.moved()
        return functional.cross_entropy(self(**batch[0]), batch[1])

    def validation_step(self, batch, _):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Resting(CustomModule):
    def moved(self) -> None:
        pass


class Normed(nn.Module):
    """Batch norm, whose averages an average of weights has to carry as well."""

    def __init__(self, outputs: int = 2, in_features: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(in_features, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, outputs))

    def forward(self, features):
        return self.layers(features)


def fitted_on_thresholds(kind: type[nn.Module], folder, *overrides: str) -> Any:
    rows = threshold_rows()
    targets = (np.array(rows.inputs)[:, 0] > 0).astype(np.int64)
    split = Split(rows.inputs, targets)
    splits = Splits(split, split, split, ("no", "yes"), DataRecord("0" * 64, {}, {}))
    config = maas.compose("digits_mlp", "trainer.max_epochs=2", "batch_size=64", *overrides)
    config = replace(config, model={"_target_": f"{HERE}.{kind.__name__}"})
    return fit_recipe(TrainingRecipe.of(config), splits, ArrayProcessor([1]), folder)


def test_number_is_named_when_a_module_of_lightning_moved_it(save, tmp_path):
    fitted = fitted_on_thresholds(CustomModule, tmp_path / "resume")
    rows = threshold_rows().inputs
    with pytest.raises(CheckpointError, match=r"and not shift \(6 in memory, 0 when it is built again\)"):
        save(tmp_path / "train", fitted.model, ArrayProcessor([1]), f"{HERE}.CustomModule", LABELS, rows)


@pytest.mark.parametrize(
    ("kind", "overrides"),
    [
        (Resting, ()),
        (Normed, ("callbacks=[training_checkpoints,ema]", "callbacks.ema.decay=0.5")),
        (Normed, ("trainer=cpu_bf16", "trainer.max_epochs=2")),
    ],
)
def test_checkpoint_is_written_when_nothing_but_weights_and_averages_moved(save, kind, overrides, tmp_path):
    fitted = fitted_on_thresholds(kind, tmp_path / "resume", *overrides)
    rows = threshold_rows().inputs
    saved = save(tmp_path / "train", fitted.model, ArrayProcessor([1]), fitted.net_record.target, LABELS, rows)
    features = torch.tensor(rows)
    assert torch.equal(saved.model()(features), fitted.model(features))

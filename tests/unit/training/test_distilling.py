"""Learning from a teacher: the formulas against their definitions, and a task that keeps the teacher out of the net."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from maas.config import RunConfig
from maas.data.datamodule import Batch
from maas.errors import ConfigError
from maas.training import fitting, trainers
from maas.training.distilling import DistillationTask, Teacher, similarity_distance
from maas.training.heads import task_head_of
from maas.training.objectives import Objective
from maas.training.recipe import TrainingRecipe
from maas.training.windows import WHOLE_STEP

LOSS = nn.CrossEntropyLoss()


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_distance_is_the_divergence_of_softened_probabilities_when_labels_are_learnt():
    logits, taught = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    found = task_head_of("classification", ("a", "b", "c")).distance(logits, taught, 4.0, LOSS)
    own, wanted = softmax(logits.numpy() / 4), softmax(taught.numpy() / 4)
    assert float(found) == pytest.approx(16 * (wanted * np.log(wanted / own)).sum(axis=1).mean(), rel=1e-12)


def test_distance_is_that_of_two_logits_when_there_is_one():
    logits, taught = torch.randn(7, 1, dtype=torch.float64), torch.randn(7, 1, dtype=torch.float64)
    one = task_head_of("binary", ("no", "yes")).distance(logits, taught, 2.0, LOSS)
    own, wanted = (1 / (1 + np.exp(-values.numpy() / 2)) for values in (logits, taught))
    expected = wanted * np.log(wanted / own) + (1 - wanted) * np.log((1 - wanted) / (1 - own))
    assert float(one) == pytest.approx(4 * expected.mean(), rel=1e-12)


def test_distance_is_the_recipes_loss_against_the_teachers_values_when_numbers_are_learnt():
    logits, taught = torch.randn(7, 1), torch.randn(7, 1)
    found = task_head_of("regression", ()).distance(logits, taught, 3.0, nn.L1Loss())
    assert float(found) == pytest.approx(float((logits - taught).abs().mean()))


def test_similarity_is_equal_when_features_are_turned_and_stretched_alike():
    features = torch.randn(6, 4, 3)
    turn, _ = torch.linalg.qr(torch.randn(12, 12))
    assert float(similarity_distance(features, 3 * features.flatten(1) @ turn)) < 1e-12
    assert float(similarity_distance(features, torch.randn(6, 2))) > 1e-3


def test_teacher_is_precomputed_and_teaches_the_same_when_rows_stay_the_same(line, digits, tmp_path, monkeypatch):
    config = replace(line.config, trainer=line.config.trainer.with_arguments(max_epochs=3))
    learnt, asked = [], []
    for is_precomputed in (True, False):
        teacher, pupil = line.checkpoint.model(), line.checkpoint.from_scratch(1)
        seen: list[int] = []
        teacher.register_forward_hook(lambda _, __, logits, seen=seen: seen.append(len(logits)))
        monkeypatch.setattr(trainers, "_is_precomputed", lambda *_, found=is_precomputed: found)
        folder = tmp_path / str(is_precomputed)
        processor = line.checkpoint.processor()
        fitting.fit_net(TrainingRecipe.of(config), pupil, digits, processor, folder, teacher=Teacher(teacher, 0.7, 4.0))
        learnt.append(torch.cat([one.flatten() for one in pupil.state_dict().values()]))
        asked.append(sum(seen))
    assert asked == [len(digits.train), 3 * len(digits.train)]
    torch.testing.assert_close(*learnt, rtol=0, atol=1e-5)


def weighing_digits(config: RunConfig) -> RunConfig:
    """Returns a recipe whose labels weigh 1, 2, … 10."""
    loss = config.objective["loss"].with_arguments(class_weights=[float(label + 1) for label in range(10)])
    return replace(config, objective=config.objective.with_arguments(loss=loss, l2=0.0))


@pytest.mark.parametrize("accumulated", [1, 3])
def test_step_minimises_a_mean_over_weights_and_one_over_rows_when_labels_weigh(
    accumulated, line, digits, tmp_path, monkeypatch
):
    """A whole epoch in one step: the gradient is that of both means over all rows, whatever the batches were."""
    few = replace(digits, train=digits.train.spread(100))
    size = -(-100 // accumulated)
    own = {"max_epochs": 1, "accumulate_grad_batches": accumulated, "precision": "64-true"}
    trainer = line.config.trainer.with_arguments(**own)
    optimizer = {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1}
    config = replace(weighing_digits(line.config), trainer=trainer, optimizer=optimizer, batch_size=size)
    config = replace(config, schedule={"_target_": "maas.training.schedules.constant", "_partial_": True})
    teacher, pupil = line.checkpoint.model().double(), line.checkpoint.from_scratch(1).double()
    before, seen = copy.deepcopy(pupil), []
    step = DistillationTask.training_step
    monkeypatch.setattr(DistillationTask, "training_step", lambda *given: (seen.append(given[1]), step(*given))[1])
    fitting.fit_net(
        TrainingRecipe.of(config), pupil, few, line.checkpoint.processor(), tmp_path, teacher=Teacher(teacher, 0.7, 4.0)
    )
    processor = line.checkpoint.processor()
    model_inputs = processor.batch(processor.preprocess(few.train.inputs))
    inputs = {name: torch.from_numpy(array).double() for name, array in model_inputs.items()}
    logits, taught = before(**inputs), teacher(**inputs).detach()
    weights = torch.arange(1, 11).double()
    loss = 0.3 * functional.cross_entropy(logits, torch.from_numpy(few.train.targets), weights)
    soft, wanted = (logits / 4).log_softmax(1), (taught / 4).softmax(1)
    (loss + 0.7 * 16 * (wanted * (wanted.log() - soft)).sum(1).mean()).backward()
    for name, one in before.named_parameters():
        stepped = (one - 0.1 * one.grad).detach()
        torch.testing.assert_close(pupil.get_parameter(name).detach(), stepped, rtol=0, atol=1e-9)
    assert sorted(row for batch in seen for row in batch.rows.tolist()) == list(range(100))
    assert all(batch.targets.tolist() == few.train.targets[batch.rows.numpy()].tolist() for batch in seen)


class Weighing(nn.L1Loss):
    def total_weight(self, targets):
        return targets.sum()


def test_teacher_is_refused_when_its_predictions_would_weigh_rows_of_other_batches():
    teacher = Teacher(nn.Linear(3, 1), weight=0.5, temperature=1.0)
    task = DistillationTask(
        nn.Linear(3, 1), task_head_of("regression", ()), Objective(Weighing()), None, None, teacher=teacher
    )
    task._trainer = SimpleNamespace(accumulate_grad_batches=2, world_size=1)
    with pytest.raises(ConfigError, match=r"^Weighing weighs rows by their targets, .*accumulate_grad_batches=1\.$"):
        task.on_fit_start()
    task._trainer.accumulate_grad_batches = 1
    task.on_fit_start()


def test_step_minimises_both_losses_and_the_teacher_is_left_alone():
    torch.manual_seed(0)
    net, taught = nn.Linear(3, 2), nn.Linear(3, 2)

    class Named(nn.Module):
        def __init__(self, inner: nn.Linear) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, rows):
            return self.inner(rows)

    teacher = Teacher(Named(taught), weight=0.25, temperature=2.0, features=("inner",), features_weight=3.0)
    task_head = task_head_of("classification", ("a", "b"))
    task = DistillationTask(Named(net), task_head, Objective(LOSS, l2=0.1), None, None, teacher=teacher)
    rows, targets = torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    logits = task.net(rows)
    loss = task.loss(Batch({"rows": rows}, targets, torch.arange(4)), logits, WHOLE_STEP)
    wanted = taught(rows).detach()
    expected = 0.75 * functional.cross_entropy(logits, targets) + 0.05 * net.weight.square().sum()
    expected = expected + 0.25 * task_head.distance(logits, wanted, 2.0, LOSS) + 3 * similarity_distance(logits, wanted)
    assert loss.detach().item() == pytest.approx(expected.detach().item(), rel=1e-6)
    loss.backward()
    assert net.weight.grad is not None
    assert taught.weight.grad is None
    assert not any("teacher" in name for name in task.state_dict())
    assert len(list(task.parameters())) == 2

"""Learning from a teacher: the formulas against their definitions, and a task that keeps the teacher out of the net."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from maas.training import fitting
from maas.training.distilling import DistillationTask, Teacher, similarity_distance
from maas.training.families import family_of
from maas.training.objectives import Objective

LOSS = nn.CrossEntropyLoss()


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_distance_is_the_divergence_of_softened_probabilities_when_labels_are_learnt():
    logits, taught = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    found = family_of("classification", ("a", "b", "c")).distance(logits, taught, 4.0, LOSS)
    own, wanted = softmax(logits.numpy() / 4), softmax(taught.numpy() / 4)
    assert float(found) == pytest.approx(16 * (wanted * np.log(wanted / own)).sum(axis=1).mean(), rel=1e-12)


def test_distance_is_that_of_two_logits_when_there_is_one():
    logits, taught = torch.randn(7, 1, dtype=torch.float64), torch.randn(7, 1, dtype=torch.float64)
    one = family_of("binary", ("no", "yes")).distance(logits, taught, 2.0, LOSS)
    own, wanted = (1 / (1 + np.exp(-values.numpy() / 2)) for values in (logits, taught))
    expected = wanted * np.log(wanted / own) + (1 - wanted) * np.log((1 - wanted) / (1 - own))
    assert float(one) == pytest.approx(4 * expected.mean(), rel=1e-12)


def test_distance_is_the_recipes_loss_against_the_teachers_values_when_numbers_are_learnt():
    logits, taught = torch.randn(7, 1), torch.randn(7, 1)
    found = family_of("regression", ()).distance(logits, taught, 3.0, nn.L1Loss())
    assert float(found) == pytest.approx(float((logits - taught).abs().mean()))


def test_similarity_is_equal_when_features_are_turned_and_stretched_alike():
    features = torch.randn(6, 4, 3)
    turn, _ = torch.linalg.qr(torch.randn(12, 12))
    assert float(similarity_distance(features, 3 * features.flatten(1) @ turn)) < 1e-12
    assert float(similarity_distance(features, torch.randn(6, 2))) > 1e-3


def test_teacher_is_asked_once_and_teaches_the_same_when_rows_stay_the_same(line, digits, tmp_path, monkeypatch):
    config = replace(line.config, trainer={**line.config.trainer, "max_epochs": 3})
    learnt, asked = [], []
    for is_asked_once in (True, False):
        teacher, pupil = line.checkpoint.model(), line.checkpoint.from_scratch(1)
        seen: list[int] = []
        teacher.register_forward_hook(lambda _, __, logits, seen=seen: seen.append(len(logits)))
        monkeypatch.setattr(fitting, "_is_asked_once", lambda *_, found=is_asked_once: found)
        folder = tmp_path / str(is_asked_once)
        processor = line.checkpoint.processor()
        fitting.fit_net(config, pupil, digits, processor, folder, teacher=Teacher(teacher, 0.7, 4.0))
        learnt.append(torch.cat([one.flatten() for one in pupil.state_dict().values()]))
        asked.append(sum(seen))
    assert asked == [len(digits.train), 3 * len(digits.train)]
    torch.testing.assert_close(*learnt, rtol=0, atol=1e-5)


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
    family = family_of("classification", ("a", "b"))
    task = DistillationTask(Named(net), family, Objective(LOSS, l2=0.1), None, None, teacher=teacher)
    rows, targets = torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    logits = task.net(rows)
    loss = task.loss({"rows": rows}, logits, targets, 1.0)
    wanted = taught(rows).detach()
    expected = 0.75 * functional.cross_entropy(logits, targets) + 0.05 * net.weight.square().sum()
    expected = expected + 0.25 * family.distance(logits, wanted, 2.0, LOSS) + 3 * similarity_distance(logits, wanted)
    assert loss.detach().item() == pytest.approx(expected.detach().item(), rel=1e-6)
    loss.backward()
    assert net.weight.grad is not None
    assert taught.weight.grad is None
    assert not any("teacher" in name for name in task.state_dict())
    assert len(list(task.parameters())) == 2

"""What is computed in float32 or more, whatever precision a net is trained in."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch.plugins import HalfPrecision
from torch import nn

from maas.data.datamodule import Batch
from maas.data.splits import Split
from maas.training.custom_module import with_float32_targets
from maas.training.heads import task_head_of
from maas.training.objectives import Objective
from maas.training.precision import full_precision, keep_targets_, widened


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_short_types_become_float32_and_others_stay_when_they_are_widened(kind):
    assert widened(torch.ones(2, dtype=kind)).dtype == torch.float32
    for wide in (torch.float32, torch.float64, torch.int64):
        assert widened(torch.ones(2, dtype=wide)).dtype == wide


def test_products_keep_their_type_when_autocast_would_shorten_them():
    left = torch.full((1, 3), 1.001)
    with torch.autocast("cpu", torch.bfloat16):
        assert (left @ left.T).dtype == torch.bfloat16
        with full_precision(left.device):
            assert (left @ left.T).dtype == torch.float32
        assert (left @ left.T).dtype == torch.bfloat16


def test_penalty_is_summed_in_float32_when_parameters_are_bfloat16():
    net = nn.Linear(400, 10, bias=False).bfloat16()
    loss = Objective(nn.MSELoss(), l2=2.0)(torch.zeros(3), torch.zeros(3), net)
    assert float(loss.detach()) == pytest.approx(float(net.weight.detach().double().square().sum()), rel=1e-6)


def test_targets_keep_their_type_when_model_inputs_are_shortened():
    plugin = HalfPrecision("bf16-true")
    keep_targets_(SimpleNamespace(precision_plugin=plugin))
    batch = ({"numbers": torch.ones(1)}, torch.tensor([10_001.0], dtype=torch.float64), torch.arange(1))
    found = plugin.convert_input(Batch(*batch))
    assert found[0]["numbers"].dtype == torch.bfloat16
    assert found[1].tolist() == [10_001.0]


def test_probabilities_are_told_apart_when_logits_were_bfloat16():
    logits = torch.tensor([[8.0, 8.0625, -3.0]], dtype=torch.bfloat16)
    assert logits.softmax(1).dtype == torch.bfloat16
    probabilities = task_head_of("classification", ("a", "b", "c")).predicted(widened(logits))
    assert probabilities.dtype == torch.float32
    assert int(probabilities.argmax()) == 1


def test_custom_module_is_given_float32_when_targets_are_numbers():
    numbers = with_float32_targets(Split([[1.0]], np.array([0.1])))
    assert numbers.targets.dtype == np.float32
    nn.functional.mse_loss(nn.Linear(1, 1)(torch.ones(1, 1))[:, 0], torch.from_numpy(numbers.targets)).backward()
    labels = Split([[1.0]], np.array([1]))
    assert with_float32_targets(labels) is labels

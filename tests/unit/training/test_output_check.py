"""What a net's outputs must be before anything is spent on it, by nets that are wrong in one place each."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from maas.data.splits import Split
from maas.errors import ConfigError
from maas.runtime.processors.array import ArrayProcessor
from maas.training.output_check import output_fault_of, require_sound_outputs

ROWS = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A layer over three numbers, and what is done to its outputs."""

    def __init__(self, after=lambda outputs: outputs, outputs: int = 5) -> None:
        super().__init__()
        self.head = nn.Linear(3, outputs)
        self.after = after

    def forward(self, features):
        return self.after(self.head(features))


MATES = (
    "in evaluation mode a row's outputs depend on the other rows of its batch: those of {0} among 8 are not those of "
    "{0} alone."
)
WRONG = {
    "squeezed": (Net(torch.squeeze), "form", "1 row alone gives outputs of shape (5,); the task wants (1, 5)."),
    "one output squeezed": (
        Net(torch.squeeze, outputs=1),
        "form",
        "8 rows give outputs of shape (8,); the task wants (8, 1).",
    ),
    "reshaped": (
        Net(lambda outputs: outputs.view(8, 5)),
        "form",
        "4 rows cannot be answered: RuntimeError: shape '[8, 5]' is invalid for input of size 20.",
    ),
    "in float64": (
        Net().double(),
        "form",
        "8 rows cannot be answered: RuntimeError: mat1 and mat2 must have the same dtype, but got Float and Double.",
    ),
    "float64 outputs": (Net(torch.Tensor.double), "form", "its outputs are float64; the task wants float32."),
    "labels": (
        Net(lambda outputs: outputs.argmax(1, keepdim=True), outputs=1),
        "form",
        "its outputs are int64; the task wants float32.",
    ),
    "a tuple": (Net(lambda outputs: (outputs, None)), "form", "it gives a tuple; the task wants a tensor."),
    "dropping": (
        Net(functional.dropout),
        "random",
        "in evaluation mode it gives other outputs each time for the same rows.",
    ),
    "centred": (
        Net(lambda outputs: outputs - outputs.mean(0)),
        "mates",
        MATES.format(4),
    ),
    "divided by rows": (
        Net(lambda outputs: outputs / len(outputs)),
        "mates",
        MATES.format(4),
    ),
    "another way for two": (
        Net(lambda outputs: outputs.tanh() if len(outputs) == 2 else outputs),
        "mates",
        MATES.format(2),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_fault_is_named_with_its_numbers_when_a_net_is_wrong(name):
    net, kind, what = WRONG[name]
    found = output_fault_of(net, {"features": ROWS}, net.head.out_features)
    assert (found.kind, re.sub(r" \(test_output_check\.py, line \d+\)", "", found.what)) == (kind, what)
    assert found.remedy.endswith(".")


@pytest.mark.parametrize("net", [Net(), Net().to(torch.float32), nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 5))])
def test_nothing_is_found_and_nothing_is_changed_when_a_net_is_well(net):
    takes = "features" if isinstance(net, Net) else "input"
    before, drawn = {name: one.clone() for name, one in net.state_dict().items()}, torch.random.get_rng_state()
    assert output_fault_of(net.train(), {takes: ROWS}, 5) is None
    assert net.training
    assert all(torch.equal(one, before[name]) for name, one in net.state_dict().items())
    assert torch.equal(drawn, torch.random.get_rng_state())


def test_width_is_free_when_the_task_names_none():
    assert output_fault_of(Net(outputs=7), {"features": ROWS}, None) is None


def test_net_that_is_not_trained_is_refused_in_one_line_when_it_squeezes():
    rows = Split([row.tolist() for row in ROWS], None)
    with pytest.raises(ConfigError) as caught:
        require_sound_outputs(Net(torch.squeeze), ArrayProcessor([3]), rows, 5)
    assert str(caught.value) == (
        "model: 1 row alone gives outputs of shape (5,); the task wants (1, 5). Let forward work for a batch of any "
        "size, e.g. with squeeze(1) or flatten(1) in place of squeeze()."
    )

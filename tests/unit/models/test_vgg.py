"""VGG against the published shape."""

import pytest
import torch
from torch import nn

from maas.models.vgg import VGG


def test_convolutions_have_the_published_weights_when_it_is_a_vgg_16():
    net = VGG(3, 1000, stages=[2, 2, 3, 3, 3], widths=[64, 128, 256, 512, 512])
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 13
    assert sum(one.weight.numel() for one in convolutions) == 14_710_464


def test_picture_is_halved_after_each_stage_when_it_passes_the_body():
    net = VGG(3, 2, stages=[1, 2, 1], widths=[4, 5, 6]).eval()
    assert net.body(torch.zeros(1, 3, 48, 28)).shape == (1, 6, 6, 4)  # 28 → 14 → 7 → 4, rounded up


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (28, 28), (40, 17)])
def test_logits_are_given_when_pictures_are_of_any_size(size):
    assert VGG(1, 2).eval()(torch.zeros(3, *size, 1, dtype=torch.uint8)).shape == (3, 2)


def test_stages_of_unequal_number_are_refused_when_a_net_is_built():
    with pytest.raises(ValueError, match=r"^stages has 2 numbers and widths 3; each stage takes one of both$"):
        VGG(1, 2, stages=[1, 1], widths=[8, 8, 8])

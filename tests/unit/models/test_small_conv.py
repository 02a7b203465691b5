"""How picture nets read pixels, and the smallest of them."""

import numpy as np
import pytest
import torch

from maas.models.small_conv import NormalisedPixels, SmallConv


def pixels(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("mean", "deviation"), [([0.5], [0.25]), ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]), ([0.5], [0.4, 0.5, 0.6])]
)
def test_pixels_are_scaled_as_written_out_when_they_are_normalised(mean, deviation):
    given = pixels(2, 5, 4, 3)
    expected = (given.numpy() / 255 - np.array(mean)) / np.array(deviation)
    found = NormalisedPixels(3, mean, deviation)(given)
    torch.testing.assert_close(found, torch.tensor(expected.transpose(0, 3, 1, 2), dtype=torch.float32))


def test_normalising_is_no_weight_when_a_checkpoint_is_written():
    assert not NormalisedPixels(1, [0.5], [0.25]).state_dict()


@pytest.mark.parametrize("name", ["mean", "deviation"])
def test_numbers_of_other_channels_are_refused_when_a_net_is_built(name):
    with pytest.raises(ValueError, match=rf"^{name} has 3 numbers; it takes 1, or 4: one for each channel$"):
        SmallConv(4, 1, **{name: [0.1, 0.2, 0.3]})


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (25, 25), (40, 17)])
def test_logits_are_given_when_pictures_are_of_any_size(size):
    assert SmallConv(1, 2).eval()(pixels(3, *size, 1)).shape == (3, 2)


def test_parameters_are_those_of_the_layers_when_widths_are_given():
    convolutions = 9 * (3 * 4 + 4 * 6)
    norms = 2 * (4 + 6)
    head = 6 * 5 + 5
    net = SmallConv(3, 5, widths=[4, 6])
    assert sum(parameter.numel() for parameter in net.parameters()) == convolutions + norms + head


def test_constants_are_where_the_net_is_when_it_is_moved():
    normalised = NormalisedPixels(3, [0.5], [0.25]).to("meta")
    assert normalised(torch.zeros((2, 4, 4, 3), dtype=torch.uint8, device="meta")).device.type == "meta"

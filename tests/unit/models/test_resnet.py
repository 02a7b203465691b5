"""Residual nets against the published shape and the blocks' own equation."""

import pytest
import torch

from maas.models.resnet import BasicBlock, ResNet


def test_parameters_are_the_published_number_when_it_is_a_resnet_18():
    net = ResNet(3, 1000, blocks=[2] * 4, widths=[64, 128, 256, 512], stem_size=7, stem_stride=2, stem_pool=True)
    assert sum(parameter.numel() for parameter in net.parameters()) == 11_689_512


def test_picture_is_as_large_as_in_the_paper_when_it_passes_the_stem():
    pixels = torch.zeros(1, 224, 224, 3, dtype=torch.uint8)
    net = ResNet(3, 2, blocks=[1, 1], widths=[4, 8], stem_size=7, stem_stride=2, stem_pool=True).eval()
    stem = net.stem(net.normalised(pixels))
    assert stem.shape == (1, 4, 56, 56)
    assert net.body(stem).shape == (1, 8, 28, 28)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (28, 28), (40, 17)])
def test_logits_are_given_when_pictures_are_of_any_size(size):
    assert ResNet(1, 2).eval()(torch.zeros(3, *size, 1, dtype=torch.uint8)).shape == (3, 2)


def test_block_is_a_relu_when_its_residual_is_zero():
    block = BasicBlock(4, 4, stride=1).eval()
    torch.nn.init.zeros_(block.residual[-1][-1].weight)
    features = torch.randn(2, 4, 6, 5)
    assert torch.equal(block(features), features.relu())


def test_block_is_the_shortcut_alone_when_its_residual_is_zero_and_the_shape_changes():
    block = BasicBlock(4, 6, stride=2).eval()
    torch.nn.init.zeros_(block.residual[-1][-1].weight)
    features = torch.randn(2, 4, 6, 5)
    every_other = torch.einsum("nchw,dc->ndhw", features[:, :, ::2, ::2], block.shortcut[0].weight[:, :, 0, 0])
    expected = every_other / (1 + block.shortcut[1].eps) ** 0.5  # a new batch norm has mean 0 and variance 1
    torch.testing.assert_close(block(features), expected.relu())


def test_stages_of_unequal_number_are_refused_when_a_net_is_built():
    with pytest.raises(ValueError, match=r"^blocks has 2 numbers and widths 3; each stage takes one of both$"):
        ResNet(1, 2, blocks=[1, 1], widths=[8, 8, 8])

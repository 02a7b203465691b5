"""The base and the factor behind frequencies of rotation."""

import numpy as np
import pytest
import torch

from maas.errors import ExportError
from maas.handover.rotation import Rotation


@pytest.mark.parametrize("base", [500.0, 10_000.0, 100_000.0, 500_000.0, 1_000_000.0, 10_000_000.0, 1234.5])
@pytest.mark.parametrize("size", [4, 16, 64, 128])
@pytest.mark.parametrize("factor", [1.0, 2.0, 8.0, 1.5])
def test_base_and_factor_are_found_when_frequencies_are_those_of_torch(base, size, factor):
    frequencies = 1.0 / base ** (torch.arange(0, size, 2).float() / size) / factor
    assert Rotation.of(frequencies.numpy()) == Rotation(base, factor)


def test_base_is_the_usual_one_when_a_head_has_one_pair():
    assert Rotation.of(np.array([1.0], np.float32)) == Rotation(10_000.0)


def test_frequencies_are_refused_when_they_are_scaled_one_by_one():
    frequencies = Rotation(500_000.0).frequencies(32).astype(np.float32)
    frequencies[16:] /= 8
    with pytest.raises(ExportError, match="neither by a base alone nor by a base and a factor"):
        Rotation.of(frequencies)

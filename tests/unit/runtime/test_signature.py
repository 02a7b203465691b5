"""Tensors by name, type and shape."""

import numpy as np
import pytest

from maas.records.signature import NUMPY_TYPES, Datatype, TensorSpec


@pytest.mark.parametrize(
    ("shape", "fits"),
    [((5, 3), True), ((0, 3), True), ((5, 2), False), ((5,), False), ((5, 3, 1), False), ((), False)],
)
def test_array_matches_when_rank_and_fixed_sizes_are_equal(shape, fits):
    assert TensorSpec("x", "FP32", (-1, 3)).matches(np.zeros(shape)) is fits


def test_every_datatype_has_a_numpy_type_when_they_are_listed():
    assert set(NUMPY_TYPES) == set(Datatype.__args__)

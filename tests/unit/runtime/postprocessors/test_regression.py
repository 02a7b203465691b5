"""A number in the target's own unit, whatever a graph's float32 would make of it."""

import json

import numpy as np
import pytest

from maas.errors import BundleError
from maas.runtime.postprocessors import load_postprocessor

Z = np.array([-0.75, 0.0, 0.123456789], dtype=np.float32)


def test_values_are_taken_back_to_their_unit_in_float64_when_the_target_was_standardised():
    postprocessor = load_postprocessor({"kind": "regression", "mean": 1.7e9, "deviation": 60.0})
    expected = [1.7e9 - 45, 1.7e9, 1.7e9 + 60 * float(Z[2])]
    assert [one["value"] for one in postprocessor.predictions({"value": Z})] == expected
    assert postprocessor.tensors({"value": Z})["value"].tolist() == expected
    assert postprocessor.scores({"value": Z})[:, 0].tolist() == expected
    assert json.loads(json.dumps(expected)) == expected
    assert len(set(np.float32(expected))) == 1  # what a graph would give that took them back itself


def test_values_are_the_graphs_when_a_bundle_is_older():
    postprocessor = load_postprocessor({"kind": "regression"})
    assert [one["value"] for one in postprocessor.predictions({"value": Z})] == Z.tolist()
    assert postprocessor.record() == {"kind": "regression", "mean": 0.0, "deviation": 1.0}


@pytest.mark.parametrize(
    ("record", "values", "scale"),
    [
        ({"mean": 12345.0, "deviation": 2.0}, [12345.678], 2.0),
        ({"mean": 12345.0, "deviation": 2.0}, [12345.0, 12351.0], 6.0),
        ({}, [12345.678, -3.0], 12345.678),
        ({}, [1e-6, 2e-6], 2e-6),
        ({}, [0.0], 1.0),
    ],
)
def test_scale_is_the_targets_deviation_or_the_largest_value_when_tolerances_are_asked_for(record, values, scale):
    postprocessor = load_postprocessor({"kind": "regression", **record})
    assert postprocessor.scale(np.array(values)[:, None]) == pytest.approx(scale)


def test_scale_is_one_when_answers_have_no_unit():
    assert load_postprocessor({"kind": "classification", "labels": ["a", "b"]}).scale(np.full((3, 2), 0.5)) == 1.0


def test_settings_are_taken_when_they_are_numpys_own():
    postprocessor = load_postprocessor({"kind": "regression", "mean": np.float64(2), "deviation": np.float32(3)})
    assert (postprocessor.mean, postprocessor.deviation) == (2.0, 3.0)


@pytest.mark.parametrize("deviation", [0.0, -1.0, "1", None, True])
def test_deviation_is_refused_when_it_is_none(deviation):
    with pytest.raises(BundleError, match=r"^The regression postprocessor cannot be made with deviation=.*: Expected"):
        load_postprocessor({"kind": "regression", "deviation": deviation})

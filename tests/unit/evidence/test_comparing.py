"""Bundles are held against the first one on the same rows, and only where their answers mean the same."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from maas.errors import BundleError
from maas.evidence.comparing import compare_bundles
from maas.evidence.model_plots import comparison_picture
from maas.evidence.task_metrics import task_metrics_of


@pytest.fixture(scope="module")
def found(line, digits):
    return compare_bundles({"one": line.bundle, "twin": line.bundle}, digits.test, digits.labels, "accuracy")


def test_twin_differs_in_nothing_when_it_is_held_against_itself(found, line, digits):
    one, twin = found
    targets = np.asarray(digits.test.targets)
    expected = (line.bundle.predictor.scores(digits.test.inputs).argmax(1) == targets).mean()
    assert one.metric.value == twin.metric.value == pytest.approx(expected)
    assert one.drop is None
    assert (twin.drop.value, twin.agreement, twin.disagreements, twin.slices) == (0, 1.0, 0, ())
    assert twin.bytes == line.bundle.model_path.stat().st_size
    assert [(latency.batch_size, latency.threads) for latency in twin.latencies] == [(1, 1), (32, 1)]
    assert [latency.ratio for latency in one.latencies] == [1.0, 1.0]


def test_models_are_refused_when_their_answers_mean_different_things(line, digits):
    answer = {**line.bundle.manifest.postprocessor, "labels": [f"kind {label}" for label in range(10)]}
    other = dataclasses.replace(line.bundle)
    object.__setattr__(
        other, "manifest", other.manifest.__class__(**{**as_dict(other.manifest), "postprocessor": answer})
    )
    with pytest.raises(BundleError, match="other answers with classification of kind 0, kind 1, .* one with"):
        compare_bundles({"one": line.bundle, "other": other}, digits.test, digits.labels, "accuracy")


@pytest.mark.parametrize("labels", ["reversed", "fewer", "none"])
def test_rows_are_refused_when_their_targets_mean_something_else(line, digits, labels):
    others = {"reversed": digits.labels[::-1], "fewer": digits.labels[:3], "none": ()}[labels]
    with pytest.raises(
        BundleError, match=r"^one answers with classification of 0, 1, .*and the rows are for .*recipe=NAME"
    ):
        compare_bundles({"one": line.bundle}, digits.test, others, "accuracy")


def as_dict(manifest) -> dict:
    return {name: getattr(manifest, name) for name in manifest.__struct_fields__}


def test_slices_are_empty_when_there_are_no_labels():
    assert task_metrics_of("regression", ()).slices(np.zeros(3), (), np.zeros((3, 1)), np.zeros((3, 1))) == []


def test_picture_is_drawn_when_models_were_compared(found, tmp_path):
    path = comparison_picture(found, "accuracy", tmp_path / "comparison.png")
    with Image.open(path) as picture:
        assert picture.width > 600

"""Calibrated probabilities: the same labels by construction, a smaller log loss, the same number in torch and ONNX."""

import numpy as np
import pytest
import torch

from maas.compression.passes import PassContext
from maas.compression.passes.temperature import Temperature
from maas.errors import ExportError
from maas.evidence.task_metrics import task_metrics_of
from maas.training.checkpoint import Checkpoint
from maas.training.heads import task_head_of
from maas.training.recipe import TrainingRecipe


@pytest.fixture(scope="module")
def context(line, digits, tmp_path_factory) -> PassContext:
    recipe = TrainingRecipe.of(line.config)
    return PassContext(recipe, digits, line.checkpoint, tmp_path_factory.mktemp("context"), 0)


@pytest.fixture(scope="module")
def calibrated(line, context, tmp_path_factory) -> Checkpoint:
    return Temperature().apply(line.checkpoint, tmp_path_factory.mktemp("calibrated") / "checkpoint", context)


def scores(checkpoint: Checkpoint, source_of, digits) -> np.ndarray:
    return source_of(checkpoint, digits).model.scores(digits.validation.inputs, 32)


def test_labels_stay_and_log_loss_falls_when_logits_are_divided(line, calibrated, digits, source_of):
    before, after = (scores(one, source_of, digits) for one in (line.checkpoint, calibrated))
    assert calibrated.record.temperature != 1
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
    task_metrics, targets = task_metrics_of("classification", digits.labels), digits.validation.targets
    was, found = (task_metrics.value(targets, one, "log_loss").value for one in (before, after))
    assert found < was
    expected = before.astype(float) ** (1 / calibrated.record.temperature)
    np.testing.assert_allclose(after, expected / expected.sum(axis=1, keepdims=True), atol=1e-5)


def test_temperature_replaces_an_earlier_one_when_it_is_fitted_again(calibrated, context, tmp_path):
    again = Temperature().apply(calibrated, tmp_path / "again", context)
    assert again.record.temperature == pytest.approx(calibrated.record.temperature, rel=1e-6)
    assert calibrated.digest == again.digest


def test_graph_gives_what_torch_gives_when_it_is_exported(calibrated, digits, source_of, tmp_path):
    source = source_of(calibrated, digits)
    graph = source.model.write_graph(tmp_path / "calibrated.onnx")
    rows = digits.validation.inputs[:50]
    np.testing.assert_allclose(source.predictor(graph).scores(rows), source.model.scores(rows, 32), atol=1e-6)


def test_weights_are_the_same_files_when_a_checkpoint_is_calibrated(line, calibrated):
    assert line.checkpoint.record.files == calibrated.record.files
    assert line.checkpoint.digest != calibrated.digest


@pytest.mark.parametrize(("task", "width"), [("classification", 3), ("binary", 1)])
def test_predicted_label_stays_when_any_temperature_is_set(task, width):
    task_head = task_head_of(task, ("a", "b", "c") if width == 3 else ("a", "b"))
    logits = torch.randn(500, width, generator=torch.Generator().manual_seed(0))
    plain = task_head.activated(logits)
    for temperature in (0.1, 0.7, 3.0):
        found = task_head.calibrated(temperature).activated(logits)
        assert (found.argmax(dim=1) == plain.argmax(dim=1)).all()
        assert found.sum(dim=1).numpy() == pytest.approx(1)
    assert torch.equal(task_head.activated(logits), plain)


def test_pass_is_refused_when_labels_are_predicted_by_thresholds(line, context, tmp_path):
    postprocessor = {**line.checkpoint.record.postprocessor, "thresholds": [0.1] * 10}
    parent = line.checkpoint.succeeded_by(tmp_path / "parent", line.checkpoint.model(), postprocessor=postprocessor)
    with pytest.raises(ExportError, match=r"^Labels are predicted by thresholds, which .* Set threshold=null"):
        Temperature().apply(parent, tmp_path / "out", context)

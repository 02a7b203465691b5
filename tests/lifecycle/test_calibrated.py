"""Calibrated probabilities and thresholds go through the line, and what ships predicts by them."""

import json

import numpy as np
import pytest

import maas
from maas.config import RunConfig
from maas.evidence.task_metrics import task_metrics_of


def config_of(folder, *overrides: str) -> RunConfig:
    return maas.compose(
        "digits_mlp", "~registry", "trainer.max_epochs=3", "resume=never", f"runs_dir={folder}",
        "export.robustness_rows=0", "baseline=null", *overrides,
    )  # fmt: skip


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """A line with `compress=calibrated`, chosen by a loss; nothing is timed out."""
    config = config_of(
        tmp_path_factory.mktemp("calibrated"), "metric=log_loss", "compress=calibrated", "compress.budget.speedup=null",
        "compress.budget.max_drop=5", "~compress.passes.quantize_dynamic",
    )  # fmt: skip
    checkpoint = maas.lifecycle.train(config)
    compressed = maas.lifecycle.compress(config, checkpoint)
    return config, checkpoint, compressed, maas.lifecycle.export(config, checkpoint, compressed)


def test_every_candidate_is_calibrated_when_the_pass_is_named(calibrated):
    _, checkpoint, compressed, _ = calibrated
    assert {one.applied_passes[-1].name for one in compressed.record.candidates} == {"temperature"}
    assert compressed.record.candidates[0].name == "fp32"
    assert compressed.checkpoint(checkpoint).record.temperature == compressed.record.calibration.temperature != 1
    assert compressed.record.metric == "log_loss"


def test_log_loss_falls_and_labels_stay_when_probabilities_are_calibrated(calibrated):
    config, checkpoint, compressed, bundle = calibrated
    found = compressed.record.calibration
    assert found.log_loss.value < found.log_loss_before.value
    assert found.log_loss.low <= found.log_loss.value <= found.log_loss.high
    metrics = bundle.evidence.metrics
    assert metrics["shipped"]["log_loss"].value < metrics["trained"]["log_loss"].value
    rows = config.data.build().test
    exported = bundle.make_predictor(model=compressed.exported).scores(rows.inputs)
    before = checkpoint.record
    assert before.temperature == 1
    accuracy = task_metrics_of("classification", before.labels).value(rows.targets, exported, "accuracy")
    assert accuracy == metrics["trained"]["accuracy"]


def test_calibration_is_read_again_when_compression_is_recorded(calibrated):
    _, _, compressed, bundle = calibrated
    written = json.loads((compressed.folder / "compression.json").read_text(encoding="utf-8"))
    assert written["calibration"]["temperature"] == bundle.evidence.compression.calibration.temperature


def test_shipped_labels_follow_thresholds_when_they_were_chosen_on_validation_rows(tmp_path):
    config = config_of(tmp_path, "threshold=f1", "compress=none")
    checkpoint = maas.lifecycle.train(config)
    bundle = maas.lifecycle.export(config, checkpoint)
    limits = np.array(list(bundle.evidence.thresholds.values()))
    assert list(bundle.evidence.thresholds) == list(checkpoint.record.labels)
    assert bundle.manifest.postprocessor["thresholds"] == limits.tolist()
    rows = config.data.build().test
    scores = bundle.predictor.scores(rows.inputs)
    expected = (scores / limits).argmax(axis=1)
    assert [one["label"] for one in bundle.predict(list(rows.inputs))] == [
        checkpoint.record.labels[one] for one in expected
    ]
    assert bundle.evidence.metrics["shipped"]["accuracy"].value == (expected == rows.targets).mean()
    opened = maas.load(bundle.folder)
    assert opened.predictor.postprocessor.thresholds == tuple(limits)

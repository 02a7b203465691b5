"""What a sweep chooses by."""

import math

import pytest
from msgspec.structs import replace

from maas.config import RunConfig, compose
from maas.errors import ConfigError
from maas.lifecycle.lineage import code_key
from maas.records.evidence import Interval
from maas.sweeping.folder import SweepFolder, TrialRecord
from maas.sweeping.sweep import Sweep, objective
from maas.training.checkpoint import Checkpoint


@pytest.fixture
def checkpoint(token_checkpoint) -> Checkpoint:
    history = ({"validation_loss": math.nan}, {"validation_loss": 0.3})
    metrics = {"accuracy": Interval(0.8, 0.7, 0.9)}
    record = replace(token_checkpoint.record, history=history, best_epoch=1, metrics=metrics)
    return Checkpoint(token_checkpoint.folder, record)


def test_objective_is_the_metric_of_the_kept_epoch(checkpoint):
    assert objective(checkpoint, "accuracy") == 0.8


def test_trial_is_refused_when_its_kept_epoch_diverged(checkpoint):
    diverged = Checkpoint(checkpoint.folder, replace(checkpoint.record, best_epoch=0))
    with pytest.raises(ConfigError, match=r"^Training diverged: validation_loss is nan in the epoch that was kept.$"):
        objective(diverged, "accuracy")


def test_trial_is_refused_when_there_is_no_metric(checkpoint):
    with pytest.raises(ConfigError, match="no metric on validation rows to choose by"):
        objective(checkpoint, "r2")


def test_trial_is_run_again_when_the_code_of_a_swept_part_was_edited(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "swept_net.py").write_text("import swept_helper\nfrom maas.models.mlp import MLP as Net\n")
    helper = tmp_path / "swept_helper.py"
    helper.write_text("1\n")
    overrides = ["model._target_=swept_net.Net"]
    config = compose("digits_mlp", *overrides)
    asked: list[RunConfig] = []

    def stage(given: RunConfig) -> Checkpoint:
        asked.append(given)
        raise ConfigError("it was run")

    sweep = Sweep(SweepFolder(tmp_path), ("model._target_",), None)
    sweep.folder.keep(TrialRecord(overrides, 0.5, code=code_key(config)))
    assert sweep.trial(lambda: config, overrides, stage) == 0.5
    assert asked == []
    helper.write_text("2\n")
    assert math.isnan(sweep.trial(lambda: config, overrides, stage))
    assert asked == [config]

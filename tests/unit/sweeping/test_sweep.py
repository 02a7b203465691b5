"""What a sweep chooses by."""

import math

import pytest
from msgspec.structs import replace

from maas.errors import ConfigError
from maas.runtime.evidence import Interval
from maas.sweeping.sweep import objective
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

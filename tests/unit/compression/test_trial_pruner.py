"""A trial is pruned only where another one has shown that it cannot win."""

import pytest

from maas.compression.net_size import NetSize
from maas.compression.trial_pruner import FinishedTrial, PrunedTrial, Pruner

HISTORY = tuple({"validation_accuracy": value} for value in (0.5, 0.7, 0.8, 0.82, 0.83, 0.84, 0.85, 0.85))


@pytest.fixture
def pruner() -> Pruner:
    pruner = Pruner("validation_accuracy", {})
    pruner.record(FinishedTrial("refused", NetSize(100, 1000), {"prune": (), "distil": HISTORY}, excess=0.7))
    pruner.record(FinishedTrial("allowed", NetSize(200, 1500), {"prune": (), "distil": HISTORY}, excess=-0.3))
    return pruner


def test_trial_is_pruned_before_training_when_one_no_larger_is_good_enough(pruner):
    with pytest.raises(PrunedTrial, match="allowed is good enough and no larger") as caught:
        pruner.check_size(NetSize(200, 1600))
    assert (caught.value.size, caught.value.excess) == (NetSize(200, 1600), 0.0)


@pytest.mark.parametrize("size", [NetSize(199, 9000), NetSize(9000, 1499), NetSize(90, 900)])
def test_net_goes_on_to_training_when_it_is_smaller_in_one_way(pruner, size):
    pruner.check_size(size)


def test_trial_is_pruned_in_training_when_a_larger_one_was_ahead_and_refused(pruner):
    with pytest.raises(PrunedTrial, match="after epoch 2 its validation_accuracy is 0.6900; that of ref") as caught:
        pruner.check_epoch("distil", NetSize(80, 900), 1, 8, {"validation_accuracy": 0.69})
    assert caught.value.excess == 0.7


@pytest.mark.parametrize(
    ("key", "size", "epoch", "epochs", "value"),
    [
        ("distil", NetSize(80, 900), 1, 8, 0.71),  # ahead
        ("distil", NetSize(101, 900), 1, 8, 0.1),  # larger: it may end better
        ("distil", NetSize(80, 900), 0, 8, 0.1),  # too early
        ("distil", NetSize(80, 900), 2, 8, 0.1),  # later
        ("distil", NetSize(80, 900), 1, 9, 0.1),  # another schedule
        ("quantize_aware", NetSize(80, 900), 1, 8, 0.1),  # another pass
    ],
)
def test_net_is_trained_on_when_nothing_speaks_against_it(pruner, key, size, epoch, epochs, value):
    pruner.check_epoch(key, size, epoch, epochs, {"validation_accuracy": value})


def test_trial_with_a_larger_loss_is_pruned_when_less_is_better():
    history = tuple({"validation_log_loss": value} for value in (0.9, 0.7, 0.6, 0.5, 0.5, 0.5, 0.5, 0.5))
    pruner = Pruner("validation_log_loss", {}, is_smaller_better=True)
    pruner.record(FinishedTrial("refused", NetSize(100, 1000), {"distil": history}, excess=0.7))
    pruner.check_epoch("distil", NetSize(80, 900), 1, 8, {"validation_log_loss": 0.69})
    with pytest.raises(PrunedTrial, match="its validation_log_loss is 0.7100; that of refused"):
        pruner.check_epoch("distil", NetSize(80, 900), 1, 8, {"validation_log_loss": 0.71})

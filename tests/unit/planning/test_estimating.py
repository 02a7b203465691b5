"""The arithmetic of a plan, on made-up timings whose truth is known."""

import numpy as np
import pytest

from maas.planning.estimating import WARM_UP, Loop, TimedBatch, Watched, extrapolated, is_enough, mean_seconds

LOOP = Loop(batches=50, epochs=4, total_batches=200, validations=1.0)


def watched(**changes) -> Watched:
    """Steps of 0.1 s; validations of 2 s, half of which was timed; 1 s more at an epoch's end; points of 3 s."""
    facts = {
        "loop": LOOP,
        "steps": (TimedBatch(8, 0.1),) * 20,
        "sizes": (8,) * 50,
        "validated": (TimedBatch(8, 0.5), TimedBatch(8, 0.5)),
        "validation_size": 32,
        "end_s": 1.0,
        "looped_s": 5.0,
        "checkpoint_bytes": 10,
        "checkpoint_s": 3.0,
        "every_s": None,
        "stops_early": False,
    }
    return Watched(**{**facts, **changes})


def test_mean_is_that_of_all_batches_when_seconds_follow_the_size():
    random = np.random.default_rng(0)
    sizes = random.integers(100, 2000, 400)
    steps = [TimedBatch(int(size), 0.02 + 1e-4 * size) for size in sizes[:12]]
    assert np.mean(sizes[3:12]) != pytest.approx(np.mean(sizes), rel=0.05)  # the sample alone would mislead
    assert mean_seconds(steps, sizes.tolist()) == pytest.approx(np.mean(0.02 + 1e-4 * sizes), rel=1e-9)


def test_mean_is_near_when_steps_are_noisy():
    random = np.random.default_rng(1)
    sizes = random.integers(100, 2000, 1000)
    truth = 0.02 + 1e-4 * sizes

    def estimate() -> float:
        drawn = random.permutation(1000)[:30]
        steps = [TimedBatch(int(sizes[index]), truth[index] * random.lognormal(0, 0.1)) for index in drawn]
        return mean_seconds(steps, sizes.tolist())

    found = [estimate() for _ in range(50)]
    assert np.abs(np.array(found) / truth.mean() - 1).max() < 0.1


def test_first_steps_and_disturbed_ones_are_left_out_when_there_are_others():
    calm = [TimedBatch(8, 0.1 + 0.001 * (index % 3)) for index in range(30)]
    steps = [TimedBatch(8, 9.0)] * WARM_UP + calm
    steps[20] = TimedBatch(8, 5.0)
    assert mean_seconds(steps, [8] * 100) == pytest.approx(0.101, abs=2e-4)


def test_mean_is_plain_when_the_last_batch_alone_is_smaller():
    steps = [*[TimedBatch(64, 0.2)] * 20, TimedBatch(3, 0.05)]
    assert mean_seconds(steps, [64] * 20 + [3]) == pytest.approx((20 * 0.2 + 0.05) / 21, rel=0.01)


def test_last_step_counts_when_there_are_hardly_any():
    assert mean_seconds([TimedBatch(8, 7.0), TimedBatch(8, 0.3)], [8, 8]) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("count", "timed_s", "enough"), [(1000, 5.9, False), (1000, 6.0, True), (10, 17.9, False), (10, 18.0, True)]
)
def test_steps_are_enough_when_they_are_many_or_very_slow(count, timed_s, enough):
    assert is_enough(count, timed_s, wanted_s=6.0) is enough


def test_training_is_steps_validations_and_ends_when_added_up():
    assert watched().validation_s == pytest.approx(2.0)
    assert watched().seconds == pytest.approx(200 * 0.1 + 4 * (1.0 + 2.0))


def test_half_of_the_epochs_validate_when_the_trainer_says_so():
    loop = Loop(50, 4, 200, validations=0.5)
    assert watched(loop=loop).seconds == pytest.approx(20 + 4 * (1.0 + 0.5 * 2.0))


def test_training_checkpoints_are_counted_when_training_is_longer_than_their_interval():
    assert watched(every_s=15.0).seconds == pytest.approx(32 + 2 * 3.0)
    assert watched(every_s=60.0).seconds == pytest.approx(32)


def test_seconds_are_unknown_when_nothing_bounds_training():
    assert watched(loop=Loop(50, None, None, 1.0)).seconds is None


@pytest.mark.parametrize("power", [0.6, 1.0, 1.4])
def test_power_law_is_met_when_seconds_follow_one(power):
    assert extrapolated((100, 2.0), (200, 2.0 * 2**power), 1600) == pytest.approx(2.0 * 16**power)


def test_power_law_stays_within_bounds_when_small_timings_mislead():
    assert extrapolated((100, 2.0), (200, 1.0), 400) == pytest.approx(2**0.5)
    assert extrapolated((100, 1.0), (200, 9.0), 400) == pytest.approx(9 * 2**1.5)

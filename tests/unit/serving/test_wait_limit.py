"""As many rows may wait as run within a time, by how long the latest runs took."""

import asyncio

import pytest

from maas.errors import OverloadError
from maas.serving.call import LOW
from maas.serving.costs import Costs
from maas.serving.engines.jobs import JobQueue
from maas.serving.engines.wait_limit import LATEST_WEIGHT, WaitLimit
from maas.serving.entries import LocatedEntry, ModelEntry
from maas.serving.repository import EngineSettings, Repository


def limited(max_wait_s: float, *, s_per_row: float = 0.01, batch_size: int = 4, max_rows: int = 1000):
    queue = JobQueue(batch_size, max_rows)
    costs = Costs(s_per_row, 0.0, 0.0, 1, s_per_row)
    return queue, WaitLimit(max_wait_s, queue, costs)


def test_limit_begins_with_what_was_measured_when_the_model_was_loaded():
    assert limited(0.5)[0].max_waiting_rows == 50
    assert limited(0.5, s_per_row=0)[0].max_waiting_rows == 1000
    assert limited(float("inf"))[0].max_waiting_rows == 1000


def test_limit_follows_the_moving_average_of_the_latest_runs():
    queue, limit = limited(0.5)
    expected = 0.01
    for seconds in (0.4, 0.4, 0.02, 0.004):
        limit.note(4, seconds)
        expected = (1 - LATEST_WEIGHT) * expected + LATEST_WEIGHT * seconds / 4
        assert queue.max_waiting_rows == int(0.5 / expected)
    for _ in range(100):
        limit.note(4, 0.004)
    assert queue.max_waiting_rows == 499  # 0.5 s at a little more than 1 ms a row


def test_limit_lies_between_a_run_and_the_setting():
    queue, limit = limited(0.5)
    for _ in range(100):
        limit.note(4, 100.0)
    assert queue.max_waiting_rows == 4
    for _ in range(300):
        limit.note(4, 1e-9)
    assert queue.max_waiting_rows == 1000


def test_short_run_changes_nothing_as_rows_cost_more_alone():
    queue, limit = limited(0.5)
    limit.note(1, 1.0)
    assert queue.max_waiting_rows == 50
    limit.note(2, 1.0)
    assert queue.max_waiting_rows < 50


def test_large_call_is_admitted_when_nothing_waits():
    queue, _ = limited(0.05)
    assert queue.max_waiting_rows == 5
    queue.admit(500)
    with pytest.raises(OverloadError, match="holds 500 rows of at most 5; 1 more do not fit"):
        queue.admit(1)
    queue.release(500)
    queue.admit(3, LOW)
    with pytest.raises(OverloadError):
        queue.admit(1, LOW)
    queue.admit(2)
    queue.release(5)
    with pytest.raises(OverloadError):
        queue.admit(1001)


def test_run_is_timed_and_gives_what_it_gave():
    queue, limit = limited(0.5)
    run = limit.timed(lambda features: {"rows": len(features)})
    assert run([{}] * 4) == {"rows": 4}
    assert queue.max_waiting_rows > 50  # it took no time


def test_call_is_refused_at_once_when_it_would_wait_too_long(array_folder):
    repository = Repository(EngineSettings(batch_size=2, max_wait_s=1e-9))
    slot = repository.add(LocatedEntry(ModelEntry(model=str(array_folder)), str(array_folder), None, "1"))
    deployment, row = slot.deployment, [3] * 64

    async def scenario():
        deployment.engine.pause()
        tasks = [asyncio.create_task(deployment.outputs([row])) for _ in range(3)]
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert [type(one.exception()) for one in done] == [OverloadError]
        deployment.engine.resume()
        assert [len(one["probabilities"]) for one in await asyncio.gather(*waiting)] == [1, 1]
        large = await deployment.outputs([row] * 9)
        assert len(large["probabilities"]) == 9
        await repository.close()

    asyncio.run(scenario())


def test_entry_has_a_time_of_its_own():
    settings = EngineSettings(max_wait_s=1.0)
    assert settings.changed_by(ModelEntry(model="a", max_wait_s=0.2)).max_wait_s == 0.2
    assert settings.changed_by(ModelEntry(model="a")).max_wait_s == 1.0

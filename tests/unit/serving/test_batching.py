"""Batching without a window, on a real event loop."""

import asyncio
import threading

import numpy as np
import pytest

from maas.errors import OverloadError
from maas.serving.batching import Batcher


class Runs:
    """A model that doubles its rows, remembers its runs, waits where it is told to and fails on 13."""

    def __init__(self) -> None:
        self.rows: list[list[int]] = []
        self.threads: set[str] = set()
        self.open = threading.Event()
        self.open.set()

    def __call__(self, features):
        self.open.wait(10)
        self.threads.add(threading.current_thread().name)
        self.rows.append([int(row[0]) for row in features])
        if any(row[0] == 13 for row in features):
            raise ValueError("unlucky")
        return {"doubled": np.stack(features) * 2}


def rows(*values: int):
    return [np.array([value]) for value in values]


def batcher_of(runs: Runs, *, batch_size: int = 4, max_queue: int = 100, inline: bool = False) -> Batcher:
    return Batcher(runs, batch_size=batch_size, max_queue=max_queue, inline=inline)


async def while_busy(batcher: Batcher, runs: Runs, *jobs):
    """Submits a first job, and the others while it runs; returns all their answers."""
    runs.open.clear()
    first = batcher.submit(rows(0), 1)
    await asyncio.sleep(0.02)
    others = [batcher.submit(*job) for job in jobs]
    runs.open.set()
    return await asyncio.gather(first, *others, return_exceptions=True)


@pytest.mark.parametrize("inline", [False, True])
def test_lone_job_runs_with_its_own_rows(inline):
    async def scenario():
        runs = Runs()
        batcher = batcher_of(runs, inline=inline)
        outputs = await batcher.submit(rows(1, 2), 1)
        await batcher.close()
        assert outputs["doubled"].tolist() == [[2], [4]]
        assert runs.rows == [[1, 2]]

    asyncio.run(scenario())


def test_what_queued_during_a_run_is_the_next_run():
    async def scenario():
        runs = Runs()
        batcher = batcher_of(runs)
        answers = await while_busy(batcher, runs, (rows(1), 1), (rows(2, 3), 1), (rows(4), 1))
        await batcher.close()
        assert [answer["doubled"].ravel().tolist() for answer in answers] == [[0], [2], [4, 6], [8]]
        assert runs.rows == [[0], [1, 2, 3, 4]]

    asyncio.run(scenario())


def test_jobs_of_the_same_turn_share_a_run_when_inline():
    async def scenario():
        runs = Runs()
        batcher = batcher_of(runs, inline=True)
        await asyncio.gather(*(batcher.submit(rows(value), 1) for value in range(6)))
        assert runs.rows == [[0, 1, 2, 3], [4, 5]]
        assert runs.threads == {threading.main_thread().name}

    asyncio.run(scenario())


def test_runs_happen_in_one_thread_of_their_own_when_not_inline():
    async def scenario():
        runs = Runs()
        batcher = batcher_of(runs)
        for value in range(3):
            await batcher.submit(rows(value), 1)
        await batcher.close()
        assert runs.threads == {"model_0"}

    asyncio.run(scenario())


def test_only_equal_sizes_share_a_run_and_the_oldest_goes_first():
    async def scenario():
        runs = Runs()
        batcher = batcher_of(runs)
        await while_busy(batcher, runs, (rows(1), 8), (rows(2), 16), (rows(3), 8), (rows(4), 16))
        assert runs.rows == [[0], [1, 3], [2, 4]]

    asyncio.run(scenario())


def test_no_run_has_more_rows_than_batch_size():
    async def scenario():
        runs = Runs()
        batcher = batcher_of(runs, batch_size=4)
        await while_busy(batcher, runs, (rows(1, 2, 3), 1), (rows(4, 5), 1), (rows(6), 1))
        assert runs.rows == [[0], [1, 2, 3], [4, 5, 6]]

    asyncio.run(scenario())


@pytest.mark.parametrize("inline", [False, True])
def test_neighbours_of_a_bad_job_are_answered(inline):
    async def scenario():
        runs = Runs()
        batcher = batcher_of(runs, inline=inline)
        jobs = [(rows(1), 1), (rows(13), 1), (rows(2), 1)]
        if inline:
            found = await asyncio.gather(*(batcher.submit(*job) for job in jobs), return_exceptions=True)
        else:
            _, *found = await while_busy(batcher, runs, *jobs)
        assert found[0]["doubled"].tolist() == [[2]]
        assert str(found[1]) == "unlucky"
        assert found[2]["doubled"].tolist() == [[4]]
        assert runs.rows[-3:] == [[1], [13], [2]]

    asyncio.run(scenario())


def test_full_queue_refuses_with_its_numbers():
    async def scenario():
        runs = Runs()
        batcher = batcher_of(runs, max_queue=3)
        runs.open.clear()
        first = batcher.submit(rows(0), 1)
        await asyncio.sleep(0.02)
        waiting = batcher.submit(rows(1, 2), 1)
        with pytest.raises(OverloadError, match=r"holds 2 rows of at most 3; 2 more do not fit") as caught:
            batcher.submit(rows(3, 4), 1)
        assert caught.value.retry_after_s == 1
        runs.open.set()
        await asyncio.gather(first, waiting)
        assert batcher.queued_rows == 0

    asyncio.run(scenario())


def test_cancelled_job_is_not_run_and_leaves_its_room():
    async def scenario():
        runs = Runs()
        batcher = batcher_of(runs, max_queue=2)
        runs.open.clear()
        first = batcher.submit(rows(0), 1)
        await asyncio.sleep(0.02)
        gone = batcher.submit(rows(1, 2), 1)
        gone.cancel()
        waiting = batcher.submit(rows(3), 1)
        runs.open.set()
        await asyncio.gather(first, waiting)
        assert runs.rows == [[0], [3]]

    asyncio.run(scenario())


def test_job_cancelled_while_it_runs_harms_nobody():
    async def scenario():
        runs = Runs()
        batcher = batcher_of(runs)
        runs.open.clear()
        gone = batcher.submit(rows(0), 1)
        await asyncio.sleep(0.02)
        gone.cancel()
        runs.open.set()
        assert (await batcher.submit(rows(1), 1))["doubled"].tolist() == [[2]]

    asyncio.run(scenario())


def test_close_finishes_what_is_queued():
    async def scenario():
        runs = Runs()
        batcher = batcher_of(runs, batch_size=1)
        answers = [batcher.submit(rows(value), 1) for value in range(5)]
        await batcher.close()
        assert [answer.result()["doubled"].item() for answer in answers] == [0, 2, 4, 6, 8]

    asyncio.run(scenario())

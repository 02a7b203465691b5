"""Several runs of a model at one time, as long as processors are left."""

import asyncio
import threading
import time

import numpy as np
import pytest

from maas.serving.call import Call, RowList
from maas.serving.costs import Costs
from maas.serving.engines.batch import BatchEngine
from maas.serving.executors import BESIDE_ABOVE_S, Cores, Lane, available_cores

LONG = Costs(2 * BESIDE_ABOVE_S, 0.0, 0.0, 1, 2 * BESIDE_ABOVE_S)
SHORT = Costs(BESIDE_ABOVE_S / 2, 0.0, 0.0, 1, BESIDE_ABOVE_S / 2)


class Rows:
    """A processor whose rows are numbers."""

    row_keys = ()

    def preprocess(self, rows):
        return [{"row": np.array([row])} for row in rows]

    def bucket(self, features) -> int:
        return 1


class Waiting:
    """A model that negates rows, and waits in each run until it may go on; it counts them."""

    def __init__(self, threads: int = 1, batch_size: int = 1) -> None:
        self.batch_size, self.threads, self.processor, self.graph = batch_size, threads, Rows(), self
        self.sizes: list[int] = []
        self.turns = threading.Semaphore(0)
        self.going_on = self.most = 0
        self._counting = threading.Lock()

    def batches(self, features):
        rows = range(len(features))
        return [rows[start : start + self.batch_size] for start in rows[:: self.batch_size]]

    def run(self, features):
        with self._counting:
            self.going_on += 1
            self.most = max(self.most, self.going_on)
            self.sizes.append(len(features))
        assert self.turns.acquire(timeout=10)
        with self._counting:
            self.going_on -= 1
        return {"negated": -np.stack([row["row"] for row in features])}


class Engine(BatchEngine):
    """An engine of a waiting model; `ask` sends it numbers as a task."""

    def __init__(self, cores: Cores, *, threads: int = 1, batch_size: int = 1, costs: Costs = LONG) -> None:
        self.model = Waiting(threads, batch_size)
        super().__init__(self.model, costs, Lane("preprocess"), cores=cores)

    def ask(self, *values: int):
        call = Call(model="waiting", inputs=RowList(values), size_bytes=1)

        async def outputs():
            return [chunk.outputs["negated"].ravel().tolist() async for chunk in self.submit(call)]

        return asyncio.get_running_loop().create_task(outputs())

    async def goes_on_with(self, runs: int) -> None:
        """Waits until so many runs go on, and a moment longer for one that must not begin."""
        end = time.monotonic() + 10
        while self.model.going_on != runs and time.monotonic() < end:  # noqa: ASYNC110  threads change it
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        assert self.model.going_on == runs


@pytest.mark.parametrize(
    ("count", "threads", "costs", "runs"),
    [(1, 1, LONG, 1), (3, 1, LONG, 3), (4, 2, LONG, 2), (2, 3, LONG, 1), (3, 1, SHORT, 1)],
)
def test_as_many_runs_go_on_as_there_are_cores_for_when_they_are_long(count, threads, costs, runs):
    async def scenario():
        engine = Engine(Cores(count), threads=threads, costs=costs)
        asked = [engine.ask(value) for value in range(1, 6)]
        await engine.goes_on_with(runs)
        engine.model.turns.release(5)
        found = await asyncio.gather(*asked)
        await engine.drain()
        return found, engine.model.most

    assert asyncio.run(scenario()) == ([[[-value]] for value in range(1, 6)], runs)


def test_rows_of_one_call_run_at_one_time_and_keep_their_order():
    async def scenario():
        engine = Engine(Cores(2))
        asked = engine.ask(*range(1, 8))
        await engine.goes_on_with(2)
        engine.model.turns.release(7)
        found = await asked
        await engine.drain()
        return found

    assert asyncio.run(scenario()) == [[-value for value in range(1, 8)]]


def test_first_run_of_a_model_waits_for_no_other_and_gets_a_core_when_one_ends():
    async def scenario():
        cores = Cores(2)
        greedy, late = Engine(cores), Engine(cores)
        asked = [greedy.ask(value) for value in range(6)]
        await greedy.goes_on_with(2)
        asked.append(late.ask(7))
        await late.goes_on_with(1)
        greedy.model.turns.release(1)
        await greedy.goes_on_with(1)  # of three runs on two cores, one ended and none took its place
        late.model.turns.release(1)
        greedy.model.turns.release(1)
        await greedy.goes_on_with(2)
        greedy.model.turns.release(4)
        await asyncio.gather(*asked)
        for engine in (greedy, late):
            await engine.drain()
        return cores.has(2, lambda: None)

    assert asyncio.run(scenario())


def test_runs_at_one_time_share_the_rows_alike():
    async def scenario():
        engine = Engine(Cores(2), batch_size=8)
        asked = [engine.ask(0), engine.ask(1)]
        await engine.goes_on_with(2)
        asked += [engine.ask(value) for value in range(6)]
        await asyncio.sleep(0.02)
        engine.model.turns.release(1)  # 6 rows wait and 1 runs: half of them is 4
        await engine.goes_on_with(2)
        engine.model.turns.release(4)
        await asyncio.gather(*asked)
        await engine.drain()
        return engine.model.sizes

    assert asyncio.run(scenario()) == [1, 1, 4, 2]


def test_drained_engine_waits_for_all_runs():
    async def scenario():
        engine = Engine(Cores(2))
        asked = [engine.ask(value) for value in range(2)]
        await engine.goes_on_with(2)
        draining = asyncio.create_task(engine.drain())
        engine.model.turns.release(1)
        await engine.goes_on_with(1)
        assert not draining.done()
        engine.model.turns.release(1)
        await draining
        return await asyncio.gather(*asked)

    assert asyncio.run(scenario()) == [[[0]], [[-1]]]


def test_cores_are_those_that_the_process_may_use():
    assert Cores().count == available_cores() >= 1
    assert Cores(3).count == 3

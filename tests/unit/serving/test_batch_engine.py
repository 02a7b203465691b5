"""Batching without a window, on a real event loop."""

import asyncio
import threading

import numpy as np
import pytest

from maas.errors import DeadlineError, InputError, OverloadError
from maas.runtime.codec import ArrayFeatures
from maas.serving.call import Call, RowList
from maas.serving.costs import Costs
from maas.serving.engines.batch import BatchEngine
from maas.serving.engines.small_calls import SmallCall
from maas.serving.executors import Lane
from maas.serving.faults import NotFiniteError, TooManyRowsError


class Numbers:
    """A processor whose rows are pairs of a number and its bucket; it waits where a test wants it to."""

    row_keys = ()

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.as_array = False
        self.entered, self.open = threading.Event(), threading.Event()
        self.open.set()

    def preprocess(self, rows):
        self.entered.set()
        self.open.wait(10)
        self.rows += [number for number, _ in rows]
        if any(number < 0 for number, _ in rows):
            raise InputError(f"Row {[number < 0 for number, _ in rows].index(True)} is negative.")
        return ArrayFeatures("pair", np.array(rows)) if self.as_array else [{"pair": np.array(row)} for row in rows]

    def bucket(self, features) -> int:
        return int(features["pair"][1])


class Doubling:
    """A model that doubles its rows, remembers its runs, waits where a test wants it to and fails on 13."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size, self.threads = batch_size, 1
        self.processor, self.graph = Numbers(), self
        self.rows: list[list[int]] = []
        self.thread_names: set[str] = set()
        self.entered, self.open = threading.Event(), threading.Event()
        self.open.set()

    def batches(self, features):
        groups: dict[int, list[int]] = {}
        for index, row in enumerate(features):
            groups.setdefault(int(row["pair"][1]), []).append(index)
        for group in groups.values():
            for start in range(0, len(group), self.batch_size):
                yield group[start : start + self.batch_size]

    def run(self, features):
        self.entered.set()
        self.open.wait(10)
        self.thread_names.add(threading.current_thread().name)
        self.rows.append([row["pair"][0] for row in features])
        if any(row["pair"][0] == 13 for row in features):
            raise ValueError("unlucky")
        return {"doubled": np.stack([row["pair"][:1] for row in features]) * 2}


class Engine(BatchEngine):
    """An engine of a doubling model; `ask` sends it numbers of one bucket as a task."""

    def __init__(
        self, *, batch_size: int = 4, max_queue: int = 100, inline: bool = False, is_preprocessed_inline: bool = True
    ) -> None:
        self.model = Doubling(batch_size)
        self.lane = Lane("preprocess")
        costs = Costs(0.0 if inline else 1.0, 0.0, 0.0 if is_preprocessed_inline else 1.0, 1, 0.0)
        super().__init__(self.model, costs, self.lane, max_queue=max_queue)

    def ask(self, *values: int, bucket: int = 1, deadline_s: float | None = None, piece_rows: int = 16):
        rows = RowList([(value, bucket) for value in values], piece_rows)
        call = Call(model="doubling", inputs=rows, size_bytes=1, deadline_s=deadline_s)

        async def first_chunk():
            async for chunk in self.submit(call):
                return chunk.outputs["doubled"].ravel().tolist()
            return None

        return asyncio.get_running_loop().create_task(first_chunk())

    def start_call(self, value: int, *, bucket: int = 1):
        """Starts a call of one row; returns its future outcome, and what withdraws it."""
        outcome = asyncio.get_running_loop().create_future()
        call = Call(model="doubling", inputs=RowList([(value, bucket)]), size_bytes=1)
        return outcome, self.start(call, outcome.set_result)

    async def while_busy(self, *calls):
        """Sends a first call, and the others while it runs; returns all their answers."""
        self.model.open.clear()
        first = self.ask(0)
        await asyncio.to_thread(self.model.entered.wait, 10)
        others = [self.ask(*values, bucket=bucket) for values, bucket in calls]
        await asyncio.sleep(0.02)
        self.model.open.set()
        return await asyncio.gather(first, *others, return_exceptions=True)


@pytest.mark.parametrize("inline", [False, True])
def test_lone_call_runs_with_its_own_rows(inline):
    async def scenario():
        engine = Engine(inline=inline)
        assert await engine.ask(1, 2) == [2, 4]
        await engine.drain()
        assert engine.model.rows == [[1, 2]]

    asyncio.run(scenario())


def test_what_queued_during_a_run_is_the_next_run():
    async def scenario():
        engine = Engine()
        answers = await engine.while_busy(([1], 1), ([2, 3], 1), ([4], 1))
        await engine.drain()
        assert answers == [[0], [2], [4, 6], [8]]
        assert engine.model.rows == [[0], [1, 2, 3, 4]]

    asyncio.run(scenario())


def test_calls_of_the_same_turn_share_a_run_when_inline():
    async def scenario():
        engine = Engine(inline=True)
        await asyncio.gather(*(engine.ask(value) for value in range(6)))
        assert engine.model.rows == [[0, 1, 2, 3], [4, 5]]
        assert engine.model.thread_names == {threading.main_thread().name}

    asyncio.run(scenario())


def test_runs_happen_in_one_thread_of_their_own_when_not_inline():
    async def scenario():
        engine = Engine()
        for value in range(3):
            await engine.ask(value)
        await engine.drain()
        assert engine.model.thread_names == {"model_0"}

    asyncio.run(scenario())


def test_only_equal_buckets_share_a_run_and_the_oldest_goes_first():
    async def scenario():
        engine = Engine()
        await engine.while_busy(([1], 8), ([2], 16), ([3], 8), ([4], 16))
        assert engine.model.rows == [[0], [1, 3], [2, 4]]

    asyncio.run(scenario())


def test_no_run_has_more_rows_than_batch_size():
    async def scenario():
        engine = Engine(batch_size=4)
        await engine.while_busy(([1, 2, 3], 1), ([4, 5], 1), ([6], 1))
        assert engine.model.rows == [[0], [1, 2, 3], [4, 5, 6]]
        assert await engine.ask(*range(10, 13), 20, 21, 22) == [20, 22, 24, 40, 42, 44]
        assert engine.model.rows[3:] == [[10, 11, 12, 20], [21, 22]]

    asyncio.run(scenario())


@pytest.mark.parametrize("inline", [False, True])
def test_neighbours_of_a_bad_call_are_answered(inline):
    async def scenario():
        engine = Engine(inline=inline)
        calls = [([1], 1), ([13], 1), ([2], 1)]
        if inline:
            found = await asyncio.gather(*(engine.ask(*values) for values, _ in calls), return_exceptions=True)
        else:
            _, *found = await engine.while_busy(*calls)
        assert (found[0], str(found[1]), found[2]) == ([2], "unlucky", [4])
        assert engine.model.rows[-3:] == [[1], [13], [2]]

    asyncio.run(scenario())


def test_full_queue_refuses_with_its_numbers():
    async def scenario():
        engine = Engine(max_queue=3)
        engine.model.open.clear()
        first = engine.ask(0)
        await asyncio.to_thread(engine.model.entered.wait, 10)
        waiting = engine.ask(1, 2)
        await asyncio.sleep(0)
        with pytest.raises(OverloadError, match=r"holds 2 rows of at most 3; 2 more do not fit") as caught:
            await engine.ask(3, 4)
        assert caught.value.retry_after_s == 1
        engine.model.open.set()
        await asyncio.gather(first, waiting)
        assert engine.queued_rows == 0

    asyncio.run(scenario())


def test_largest_call_leaves_room_for_others_when_it_waits():
    async def scenario():
        engine = Engine(max_queue=8)
        engine.model.open.clear()
        first = engine.ask(0)
        await asyncio.to_thread(engine.model.entered.wait, 10)
        largest, small = engine.ask(1, 2, 3, 4), engine.ask(5)
        with pytest.raises(TooManyRowsError, match=r"has 5 rows; this server takes 4 at a time"):
            await engine.ask(1, 2, 3, 4, 5)
        engine.model.open.set()
        assert await asyncio.gather(first, largest, small) == [[0], [2, 4, 6, 8], [10]]

    asyncio.run(scenario())


def test_rows_that_are_still_preprocessed_count_as_waiting():
    async def scenario():
        engine = Engine(max_queue=2, is_preprocessed_inline=False)
        engine.model.processor.open.clear()
        calls = [engine.ask(value) for value in range(60)]
        await asyncio.sleep(0.02)
        assert engine.queued_rows == 2
        engine.model.processor.open.set()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert outcomes[:2] == [[0], [2]]
        assert all(isinstance(one, OverloadError) for one in outcomes[2:])
        assert engine.queued_rows == 0

    asyncio.run(scenario())


def test_preprocessing_ends_when_its_caller_left():
    async def scenario():
        engine = Engine(max_queue=100, is_preprocessed_inline=False)
        engine.model.processor.open.clear()
        gone = engine.ask(*range(50), piece_rows=5)
        await asyncio.to_thread(engine.model.processor.entered.wait, 10)
        gone.cancel()
        await asyncio.sleep(0.02)
        assert engine.queued_rows == 0
        engine.model.processor.open.set()
        assert await engine.ask(99) == [198]
        assert engine.model.processor.rows == [0, 1, 2, 3, 4, 99]
        assert engine.model.rows == [[99]]

    asyncio.run(scenario())


def test_small_call_does_not_wait_for_a_large_one_when_rows_are_preprocessed_in_pieces():
    async def scenario():
        engine = Engine(is_preprocessed_inline=False)
        engine.model.processor.open.clear()
        large = engine.ask(*range(100, 150), piece_rows=5)
        await asyncio.to_thread(engine.model.processor.entered.wait, 10)
        small = engine.ask(99)
        await asyncio.sleep(0.02)
        engine.model.processor.open.set()
        assert await small == [198]
        assert len(await large) == 50
        assert engine.model.processor.rows.index(99) <= 10

    asyncio.run(scenario())


def test_fault_names_the_row_by_its_number_in_the_call_when_it_is_in_a_later_piece():
    async def scenario():
        engine = Engine(is_preprocessed_inline=False)
        with pytest.raises(InputError, match=r"^Row 7 is negative\.$"):
            await engine.ask(*range(7), -1, piece_rows=3)
        assert engine.queued_rows == 0

    asyncio.run(scenario())


def test_cancelled_call_is_not_run_and_leaves_its_room():
    async def scenario():
        engine = Engine(max_queue=2)
        engine.model.open.clear()
        first = engine.ask(0)
        await asyncio.to_thread(engine.model.entered.wait, 10)
        gone = [engine.ask(1), engine.ask(2)]  # no room is left
        await asyncio.sleep(0)
        for call in gone:
            call.cancel()
        await asyncio.sleep(0)
        waiting = engine.ask(3)
        await asyncio.sleep(0)
        engine.model.open.set()
        await asyncio.gather(first, waiting)
        assert engine.model.rows == [[0], [3]]

    asyncio.run(scenario())


def test_call_cancelled_while_it_runs_harms_nobody():
    async def scenario():
        engine = Engine()
        engine.model.open.clear()
        gone = engine.ask(0)
        await asyncio.to_thread(engine.model.entered.wait, 10)
        gone.cancel()
        engine.model.open.set()
        assert await engine.ask(1) == [2]

    asyncio.run(scenario())


def test_call_is_refused_and_not_run_when_its_deadline_passes():
    async def scenario():
        engine = Engine()
        engine.model.open.clear()
        first = engine.ask(0)
        await asyncio.to_thread(engine.model.entered.wait, 10)
        late = engine.ask(1, deadline_s=asyncio.get_running_loop().time() + 0.02)
        with pytest.raises(DeadlineError):
            await late
        assert engine.queued_rows == 0
        engine.model.open.set()
        assert await first == [0]
        await engine.drain()
        assert engine.model.rows == [[0]]

    asyncio.run(scenario())


def test_paused_engine_admits_and_runs_when_it_is_resumed():
    async def scenario():
        engine = Engine(inline=True)
        engine.pause()
        waiting = engine.ask(1, 2)
        await asyncio.sleep(0.02)
        assert (engine.queued_rows, engine.model.rows) == (2, [])
        engine.resume()
        assert await waiting == [2, 4]

    asyncio.run(scenario())


def test_drained_engine_finishes_what_it_admitted_and_refuses_the_rest():
    async def scenario():
        engine = Engine(batch_size=1)
        calls = [engine.ask(value) for value in range(5)]
        await asyncio.sleep(0)
        await engine.drain()
        assert [call.result() for call in calls] == [[0], [2], [4], [6], [8]]
        with pytest.raises(OverloadError, match="'doubling' is being replaced"):
            await engine.ask(1)

    asyncio.run(scenario())


def test_small_calls_of_one_turn_are_preprocessed_and_run_together():
    async def scenario():
        engine = Engine(inline=True)
        started = [engine.start_call(value, bucket=value % 2)[0] for value in range(6)]
        assert engine.queued_rows == 6
        outcomes = await asyncio.gather(*started)
        return engine, [outcome["doubled"].item() for outcome in outcomes]

    engine, doubled = asyncio.run(scenario())
    assert doubled == [0, 2, 4, 6, 8, 10]
    assert engine.model.rows == [[0, 2], [1, 3, 5], [4]]  # four are taken first; those of one bucket run together
    assert engine.model.processor.rows == [0, 1, 2, 3, 4, 5]
    assert engine.queued_rows == 0


def test_small_call_that_cannot_be_understood_fails_alone_when_it_is_preprocessed_with_others():
    async def scenario():
        engine = Engine(inline=True)
        outcomes = await asyncio.gather(*(engine.start_call(value)[0] for value in (1, -1, 2)))
        return outcomes, engine.queued_rows

    (first, bad, last), queued = asyncio.run(scenario())
    assert (first["doubled"].item(), last["doubled"].item()) == (2, 4)
    assert isinstance(bad, InputError)
    assert str(bad) == "Row 0 is negative."
    assert queued == 0


def test_small_call_is_not_preprocessed_when_it_is_withdrawn_before():
    async def scenario():
        engine = Engine(inline=True)
        gone, withdraw = engine.start_call(1)
        kept, _ = engine.start_call(2)
        withdraw()
        outcome = await kept
        await engine.drain()
        return outcome["doubled"].item(), gone.done(), engine.model.processor.rows, engine.queued_rows

    assert asyncio.run(scenario()) == (4, False, [2], 0)


@pytest.mark.parametrize("lucky", [(1, 13, 2), (13, 1, 2)])
def test_small_calls_of_one_array_are_one_run_and_the_bad_one_fails_alone(lucky):
    async def scenario():
        engine = Engine(inline=True)
        engine.model.processor.as_array = True
        outcomes = await asyncio.gather(*(engine.start_call(value)[0] for value in (3, 4)))
        doubled = [outcome["doubled"].item() for outcome in outcomes]
        found = await asyncio.gather(*(engine.start_call(value)[0] for value in lucky))
        await engine.drain()
        return engine, doubled, dict(zip(lucky, found, strict=True))

    engine, doubled, found = asyncio.run(scenario())
    assert doubled == [6, 8]
    assert engine.model.rows == [[3, 4], list(lucky), *([one] for one in lucky)]
    assert (found[1]["doubled"].item(), found[2]["doubled"].item(), str(found[13])) == (2, 4, "unlucky")
    assert engine.queued_rows == 0


def test_small_call_whose_outputs_are_not_finite_fails_alone():
    async def scenario():
        engine = Engine(inline=True)
        engine.model.processor.as_array = True
        outcomes = await asyncio.gather(*(engine.start_call(value)[0] for value in (1, np.inf, 2)))
        return engine, outcomes

    engine, (first, bad, last) = asyncio.run(scenario())
    assert (first["doubled"].item(), last["doubled"].item()) == (2, 4)
    assert isinstance(bad, NotFiniteError)
    assert str(bad).startswith("The model's doubled for row 0 is not a finite number")
    assert len(engine.model.rows) == 1


def test_small_call_is_handed_nothing_when_its_neighbour_withdraws_it():
    async def scenario():
        engine = Engine(inline=True)
        engine.model.processor.as_array = True
        withdrawals = []
        first = Call(model="doubling", inputs=RowList([(1, 1)]), size_bytes=1)
        engine.start(first, lambda _: [withdraw() for withdraw in withdrawals])
        gone, withdraw = engine.start_call(2)
        withdrawals.append(withdraw)
        kept, withdraw_kept = engine.start_call(3)
        outcome = await kept
        withdraw_kept()  # it has its outcome, and has left the queue
        await engine.drain()
        return outcome["doubled"].item(), gone.done(), engine.queued_rows

    assert asyncio.run(scenario()) == (6, False, 0)


def finished_calls(values, finish):
    """Returns what small calls were given that share a way to be finished, and how many rows were finished at once."""
    sizes = []

    def counted(outputs):
        sizes.append(len(outputs["doubled"]))
        return finish(outputs["doubled"].ravel().tolist())

    async def scenario():
        engine = Engine(inline=True)
        engine.model.processor.as_array = True
        outcomes = [asyncio.get_running_loop().create_future() for _ in values]
        for value, outcome in zip(values, outcomes, strict=True):
            assert engine.start_small(SmallCall([(value, 1)], 1, counted, outcome.set_result)) is not None
        found = await asyncio.gather(*outcomes)
        await engine.drain()
        return found

    return asyncio.run(scenario()), sizes


def test_small_calls_are_finished_together_when_they_share_a_run():
    assert finished_calls((1, 2, 3), lambda doubled: list(map(str, doubled))) == (["2", "4", "6"], [3])


def test_small_call_fails_alone_when_its_outcome_cannot_be_made():
    def finish(doubled):
        return [{2: "two", 6: "six"}[one] for one in doubled]

    (first, bad, last), sizes = finished_calls((1, 2, 3), finish)
    assert (first, last, type(bad), sizes) == ("two", "six", KeyError, [3, 1, 1, 1])


def test_small_calls_fail_when_there_is_no_outcome_for_each():
    found, _ = finished_calls((1, 2), lambda doubled: doubled[1:])
    assert [str(one) for one in found] == ["0 replies were made of the outputs for 1 rows."] * 2


@pytest.mark.parametrize("size", [1, 1_000])
def test_small_call_has_to_be_submitted_when_it_takes_long_or_the_engine_is_drained(size):
    async def scenario():
        engine = Engine(inline=True, is_preprocessed_inline=False)
        engine._small_bytes = 10
        if size == 1:
            await engine.drain()
        return engine.start_small(SmallCall([(1, 1)], size, list, print)), engine.queued_rows

    assert asyncio.run(scenario()) == (None, 0)


def test_paused_engine_leaves_small_calls_waiting():
    async def scenario():
        engine = Engine(inline=True)
        engine.pause()
        outcome, _ = engine.start_call(3)
        await asyncio.sleep(0.01)
        was_done = outcome.done()
        engine.resume()
        return was_done, (await outcome)["doubled"].item()

    assert asyncio.run(scenario()) == (False, 6)

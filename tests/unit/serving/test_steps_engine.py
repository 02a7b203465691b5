"""Continuous batching: texts equal those alone, whoever joins and leaves; limits, priorities, deadlines, leaving."""

import asyncio
import threading
from contextlib import aclosing

import numpy as np
import pytest

from maas.errors import DeadlineError, InputError, OverloadError
from maas.runtime.generation.settings import generation_settings
from maas.serving.call import HIGH, LOW, NORMAL, GenerationCall, RowList, TextChunk
from maas.serving.engines.steps import StepsEngine
from maas.serving.engines.text_queue import TextQueue
from maas.serving.executors import Lane
from maas.serving.faults import TooManyRowsError
from maas.serving.statistics import ModelStatistics


def call_for(
    *prompts, copies: int = 1, size_bytes: int = 0, deadline_s=None, priority=NORMAL, cache_salt="", **settings
):
    return GenerationCall(
        model="tiny", inputs=RowList(prompts), size_bytes=size_bytes, settings=generation_settings(settings),
        copies=copies, deadline_s=deadline_s, priority=priority, cache_salt=cache_salt,
    )  # fmt: skip


@pytest.fixture
def engine(generator):
    lane = Lane("preprocess")
    engine = StepsEngine(generator, lane)
    yield engine
    asyncio.run(engine.drain())
    lane.close()


async def texts_of(engine, call) -> list[str]:
    texts = [""] * call.texts
    async for chunk in engine.submit(call):
        texts[chunk.index] += chunk.text
    return texts


async def until(condition) -> None:
    while not condition():  # noqa: ASYNC110  another thread makes it true
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_texts_equal_those_alone_when_ragged_prompts_join_and_leave_at_random(engine, generator, seed):
    random = np.random.default_rng(seed)
    letters = list("abcdefgh 这是🙂12")

    def drawn_call():
        prompt = "".join(random.choice(letters, random.integers(1, 60)))
        sampled = {"temperature": 0.9, "top_p": 0.95, "seed": int(random.integers(1000))}
        settings = {"max_tokens": int(random.integers(1, 30)), "ignore_end": True}
        return call_for(prompt, **settings, **(sampled if random.random() < 0.5 else {}))

    calls = [drawn_call() for _ in range(24)]
    delays = random.uniform(0, 0.05, len(calls))
    leaving = set(random.choice(len(calls), 6, replace=False).tolist())

    async def caller(number: int) -> list[str] | None:
        await asyncio.sleep(delays[number])
        if number not in leaving:
            return await texts_of(engine, calls[number])
        async with aclosing(engine.submit(calls[number])) as stream:
            await anext(stream)
        return None

    async def everybody():
        found = await asyncio.gather(*map(caller, range(len(calls))))
        await engine.drain()
        return found

    for number, found in enumerate(asyncio.run(everybody())):
        if number not in leaving:
            call = calls[number]
            assert found == [generator.generate(call.inputs.rows, call.settings)[0].text]
    assert (engine.running_texts, engine.queued_rows) == (0, 0)


def test_long_prompt_is_read_between_steps_when_others_are_generated(generator, monkeypatch):
    monkeypatch.setattr("maas.serving.engines.step_thread.READ_TOKENS", 8)
    engine = StepsEngine(generator, Lane("unused"))
    long = "x" * 90
    alone = generator.generate([long], generation_settings({"max_tokens": 5, "ignore_end": True}))[0].text

    async def both():
        stream = engine.submit(call_for("the", max_tokens=100, ignore_end=True))
        tokens = (await anext(stream)).tokens
        other = asyncio.create_task(texts_of(engine, call_for(long, max_tokens=5, ignore_end=True)))
        meanwhile = [chunk.tokens async for chunk in stream]
        found = await other
        await engine.drain()
        return tokens + sum(meanwhile), found

    assert asyncio.run(both()) == (100, [alone])
    assert engine.running_texts == 0


HEAD = "the model reads a prompt and writes a text, and then: "


@pytest.mark.parametrize("salts", [["", "", "", ""], ["a", "b", "a", "b"]])
def test_common_beginning_is_counted_once_for_each_salt_when_calls_share_it(engine, generator, salts):
    prompts = [HEAD + end for end in ("1", "2 3", "这是", "cafés")]
    calls = [
        call_for(prompt, copies=2, max_tokens=6, temperature=1.0, seed=5, cache_salt=salt)
        for prompt, salt in zip(prompts, salts, strict=True)
    ]

    async def everybody() -> list[list[TextChunk]]:
        return [[chunk async for chunk in engine.submit(call)] for call in calls]

    found = asyncio.run(everybody())
    cached = [next(chunk.cached_tokens for chunk in chunks if chunk.index == 0) for chunks in found]
    assert [count >= len(generator.encode(HEAD)) - 1 for count in cached] == [
        salt in salts[:place] for place, salt in enumerate(salts)
    ]
    assert engine.cached_prompt_tokens == sum(cached)
    assert engine.prompt_tokens == sum(len(generator.encode(prompt)) for prompt in prompts)
    for prompt, chunks in zip(prompts, found, strict=True):
        for copy, seed in enumerate((5, 6)):
            alone = generation_settings({"max_tokens": 6, "temperature": 1.0, "seed": seed})
            text = "".join(chunk.text for chunk in chunks if chunk.index == copy)
            assert text == generator.generate([prompt], alone)[0].text
        assert {chunk.cached_tokens for chunk in chunks if chunk.index} == {len(generator.encode(prompt)) - 2}


def test_nothing_of_a_run_that_failed_is_used_again(engine, generator, monkeypatch):
    extend, failures = generator.decoder.extend, iter([True])

    def failing(cache, first, rows):
        logits = extend(cache, first, rows)
        if next(failures, False):
            for tensor in cache.tensors.values():
                tensor[...] = np.nan
            raise RuntimeError("no memory")
        return logits

    async def both() -> list[TextChunk]:
        with pytest.raises(RuntimeError, match="no memory"):
            await texts_of(engine, call_for(HEAD, max_tokens=4))
        return [chunk async for chunk in engine.submit(call_for(HEAD, max_tokens=4, ignore_end=True))]

    expected = generator.generate([HEAD], generation_settings({"max_tokens": 4, "ignore_end": True}))[0].text
    monkeypatch.setattr(generator.decoder, "extend", failing)
    chunks = asyncio.run(both())
    assert ("".join(chunk.text for chunk in chunks), chunks[0].cached_tokens) == (expected, 0)


def test_several_texts_are_given_for_each_prompt_when_copies_are_wanted(engine, generator):
    call = call_for("the", "这是", copies=2, max_tokens=12, temperature=1.0, seed=7)
    found = asyncio.run(texts_of(engine, call))
    seeds = [generation_settings({"max_tokens": 12, "temperature": 1.0, "seed": seed}) for seed in (7, 8)]
    expected = [generator.generate([prompt], seed)[0].text for prompt in ("the", "这是") for seed in seeds]
    assert found == expected
    assert len(set(found)) == 4


def test_unread_pieces_are_one_chunk_when_the_reader_is_late(engine, generator):
    async def read_late() -> list[TextChunk]:
        stream = engine.submit(call_for("the", max_tokens=40, ignore_end=True, logprobs=1))
        chunks = [await anext(stream)]
        await until(lambda: not engine.running_texts)
        await asyncio.sleep(0)
        return chunks + [chunk async for chunk in stream]

    chunks = asyncio.run(read_late())
    (alone,) = generator.generate(["the"], generation_settings({"max_tokens": 40, "ignore_end": True, "logprobs": 1}))
    assert len(chunks) <= 3
    assert sum(chunk.tokens for chunk in chunks) == 40
    assert [one.token for chunk in chunks for one in chunk.chosen] == alone.tokens
    assert [chunk.finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["length"]
    assert {chunk.prompt_tokens for chunk in chunks} == {len(generator.encode("the"))}


def test_slot_is_free_when_a_caller_has_left(engine):
    async def leave() -> int:
        streams = [engine.submit(call_for("the", max_tokens=110, ignore_end=True)) for _ in range(4)]
        for stream in streams:
            await anext(stream)
        waiting = asyncio.create_task(texts_of(engine, call_for("a", max_tokens=2)))
        await until(lambda: engine.queued_rows == 1)
        for stream in streams:
            await stream.aclose()
        await waiting
        await until(lambda: not engine.running_texts)
        await engine.drain()
        return engine.generated_tokens

    assert asyncio.run(leave()) < 4 * 110


def test_waiting_call_leaves_the_queue_when_its_caller_leaves(engine):
    async def leave() -> tuple[int, int]:
        engine.pause()
        task = asyncio.create_task(texts_of(engine, call_for("the", copies=3)))
        await until(lambda: engine.queued_rows)
        queued = engine.queued_rows
        task.cancel()
        await asyncio.wait([task])
        return queued, engine.queued_rows

    assert asyncio.run(leave()) == (3, 0)


def test_texts_wait_when_the_engine_is_paused(engine):
    async def paused() -> list[bool]:
        engine.pause()
        task = asyncio.create_task(texts_of(engine, call_for("the", max_tokens=3)))
        await until(lambda: engine.queued_rows)
        await asyncio.sleep(0.02)
        states = [task.done()]
        engine.resume()
        await task
        return [*states, task.done()]

    assert asyncio.run(paused()) == [False, True]


def test_call_is_refused_when_the_queue_is_full(generator):
    engine = StepsEngine(generator, Lane("unused"), max_queue=4)

    async def refused(call) -> str:
        with pytest.raises(OverloadError) as caught:
            await texts_of(engine, call)
        return str(caught.value)

    async def fill() -> list[str]:
        engine.pause()
        tasks = [asyncio.create_task(texts_of(engine, call_for("the", max_tokens=2))) for _ in range(2)]
        await until(lambda: engine.queued_rows == 2)
        messages = [await refused(call_for("a", priority=LOW))]
        tasks += [asyncio.create_task(texts_of(engine, call_for("the", copies=2, max_tokens=2)))]
        await until(lambda: engine.queued_rows == 4)
        messages += [await refused(call_for("a"))]
        engine.resume()
        await asyncio.gather(*tasks)
        draining = asyncio.create_task(engine.drain())
        await asyncio.sleep(0)
        messages += [await refused(call_for("a"))]
        await draining
        return messages

    low, full, draining = asyncio.run(fill())
    assert low == "2 texts of at most 2 wait to be generated; 1 more do not fit. Try again in a second."
    assert full == "4 texts of at most 4 wait to be generated; 1 more do not fit. Try again in a second."
    assert draining == "Model 'tiny' is being replaced. Try again in a second."


@pytest.mark.parametrize(
    ("call", "fault", "message"),
    [
        (call_for("x" * 120, max_tokens=20), InputError, "The prompt has 120 tokens and max_tokens is 20"),
        (call_for(""), InputError, "The prompt is empty"),
        (call_for(7), InputError, "The prompt is of type int"),
        (call_for(7, size_bytes=10**6), InputError, "The prompt is of type int"),
        (call_for(), InputError, "No rows were given"),
        (call_for("a", copies=1025), TooManyRowsError, "1025 rows"),
    ],
)
def test_call_is_refused_when_its_prompts_cannot_be_continued(engine, call, fault, message):
    with pytest.raises(fault, match=message):
        asyncio.run(texts_of(engine, call))
    assert engine.queued_rows == 0


def test_deadline_ends_a_text_when_it_passes_in_the_middle(engine):
    async def late() -> int:
        call = call_for("the", max_tokens=110, ignore_end=True, deadline_s=asyncio.get_running_loop().time() + 3600)
        stream = engine.submit(call)
        await anext(stream)
        engine.pause()
        await stream.aclose()
        passed = call_for("the", max_tokens=110, deadline_s=asyncio.get_running_loop().time() + 0.01)
        with pytest.raises(DeadlineError):
            await texts_of(engine, passed)
        engine.resume()
        await until(lambda: not engine.running_texts)
        return engine.queued_rows

    assert asyncio.run(late()) == 0


def test_calls_that_run_get_the_fault_and_the_next_one_a_text_when_a_step_fails(engine, generator, monkeypatch):
    expected = generator.generate(["the"], generation_settings({"max_tokens": 4, "ignore_end": True}))[0].text
    step = generator.decoder.step
    failures = iter([True])

    def failing(*arguments):
        if next(failures, False):
            raise RuntimeError("no memory")
        return step(*arguments)

    monkeypatch.setattr(generator.decoder, "step", failing)

    async def fail() -> list[str]:
        with pytest.raises(RuntimeError, match="no memory"):
            await texts_of(engine, call_for("the", max_tokens=4))
        return await texts_of(engine, call_for("the", max_tokens=4, ignore_end=True))

    assert asyncio.run(fail()) == [expected]


def test_event_loop_and_lane_encode_the_same(generator):
    lane = Lane("preprocess")
    engine = StepsEngine(generator, lane)
    small, large = (call_for("这是", max_tokens=6, size_bytes=size) for size in (10, 10**6))
    assert asyncio.run(texts_of(engine, small)) == asyncio.run(texts_of(engine, large))
    lane.close()


def test_steps_are_counted_and_memory_is_named(generator):
    statistics, rows = ModelStatistics(), []
    engine = StepsEngine(generator, Lane("unused"), statistics=statistics, observe=rows.append)

    async def generate() -> None:
        await texts_of(engine, call_for("the", copies=2, max_tokens=5, ignore_end=True))
        await engine.drain()

    asyncio.run(generate())
    assert statistics.runs[2].count == 4
    assert sum(rows) == engine.generated_tokens == 10
    assert engine.prompt_tokens == len(generator.encode("the"))
    # 2 layers of keys and values, 4 slots, 2 heads, 128 positions of 16 floats
    assert engine._batch.cache_bytes == 2 * 2 * 4 * 2 * 128 * 16 * 4
    assert engine.summary.startswith("4 texts at a time of at most 128 tokens each with its prompt, whose cache takes")


def test_priorities_go_first_and_none_starves_when_texts_wait():
    queue = TextQueue[str]()
    queue.put([f"low{number}" for number in range(2)], LOW)
    queue.put([f"normal{number}" for number in range(9)], NORMAL)
    queue.put(["high"], HIGH)
    assert queue.remove("normal8")
    assert not queue.remove("normal8")
    order = queue.take(20)
    assert order[:7] == ["high", *(f"normal{number}" for number in range(6))]
    assert order[7:] == ["low0", "normal6", "normal7", "low1"]


@pytest.mark.parametrize(("texts", "thread"), [(1, "MainThread"), (2, "preprocess")])
def test_several_texts_are_begun_beside_the_event_loop_when_their_prompts_are_short(engine, generator, texts, thread):
    class Watched:
        def __init__(self) -> None:
            self.threads: set[str] = set()

        def begin(self, *given):
            self.threads.add(threading.current_thread().name)
            return generator.begin(*given)

    watched = engine._generator = Watched()
    call = call_for("the", copies=texts, size_bytes=60, temperature=1.0, seed=1, max_tokens=5)
    found = asyncio.run(texts_of(engine, call))
    alone = [generation_settings({"temperature": 1.0, "seed": 1 + copy, "max_tokens": 5}) for copy in range(texts)]
    assert found == [generator.generate(["the"], one)[0].text for one in alone]
    assert watched.threads == {thread}

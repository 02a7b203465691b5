"""The steps engine at size: hundreds of ragged streams equal to those alone, thousands of requests that come and leave.

A small decoder in fp32 and with weights of 8 bits, whose texts are compared with those of a generator that reads one
prompt at a time.
"""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import aclosing, suppress
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
import psutil
import pytest

import maas
from maas.compression.passes.base import Calibration
from maas.compression.passes.quantize_blocks import QuantizeBlocks
from maas.runtime.generation.decoder import Decoder
from maas.runtime.generation.settings import generation_settings
from maas.serving.call import GenerationCall, RowList
from maas.serving.engines.steps import StepsEngine
from maas.serving.executors import Lane

pytestmark = pytest.mark.slow
SLOTS, STREAMS = 24, 200
REQUESTS, LEAVING, AT_ONCE, FEW = 5000, 500, 200, 500
HEADS = ["", "the model reads a prompt, naïve cafés 🙂 and 2 1 3: ", "1 2 3, 这是一个很棒的文本, and nothing else: "]
"""How prompts begin: two in three as others do."""
LETTERS = list("abcdefgh 这是🙂12")
MOST_GROWTH_BYTES = 8 * 2**20
"""Of the process after the first requests. What each of the others leaves would be seen: a text's prompt, sampler and
stream take more than 4 KiB, 4,500 of them 18 MiB; what the allocator keeps of 200 requests at once is far less."""


@pytest.fixture(scope="module", params=["fp32", "8 bits"])
def generator(bundles, request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("steps") / "bundle"
    made = maas.load(bundles.generating_bundle(folder, positions=256)).generator
    made.batch_size = SLOTS
    if request.param == "8 bits":
        QuantizeBlocks().apply(folder / "model.onnx", folder / "small.onnx", Calibration(lambda _: iter(()), 0))
        made.decoder = Decoder(folder / "small.onnx", made.decoder.state)
    return made


def call_for(prompt: str, **settings) -> GenerationCall:
    settings = generation_settings({"ignore_end": True, **settings})
    return GenerationCall(model="tiny", inputs=RowList([prompt]), size_bytes=0, settings=settings)


def text_alone(generator, call: GenerationCall) -> str:
    return generator.generate(call.inputs.rows, call.settings)[0].text


async def text_of(engine: StepsEngine, call: GenerationCall) -> str:
    return "".join([chunk.text async for chunk in engine.submit(call)])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_text_equals_the_one_alone_when_ragged_streams_come_at_random(generator, seed):
    random = np.random.default_rng(seed)

    def drawn() -> GenerationCall:
        prompt = HEADS[random.integers(len(HEADS))] + "".join(random.choice(LETTERS, random.integers(1, 90)))
        sampled = {"temperature": 0.9, "top_p": 0.95, "seed": int(random.integers(1000))}
        return call_for(prompt, max_tokens=int(random.integers(1, 48)), **(sampled if random.random() < 0.5 else {}))

    calls, delays = [drawn() for _ in range(STREAMS)], random.uniform(0, 2, STREAMS)
    engine = StepsEngine(generator, Lane("unused"))

    async def caller(call: GenerationCall, delay_s: float) -> str:
        await asyncio.sleep(delay_s)
        return await text_of(engine, call)

    async def everybody() -> list[str]:
        found = await asyncio.gather(*map(caller, calls, delays))
        await engine.drain()
        return found

    found = asyncio.run(everybody())
    assert found == [text_alone(generator, call) for call in calls]
    assert engine.cached_prompt_tokens > engine.prompt_tokens / 10


class Watch:
    """Which texts are alive, and which ones a step added to after the turn in which their caller had left."""

    def __init__(self, engine: StepsEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.alive, self.late, self.left = WeakSet(), 0, 0
        batch, thread, generator = engine._batch, engine._thread, engine._generator
        begin, step, withdraw = generator.begin, batch.step, thread.withdraw
        left_at, steps = WeakKeyDictionary(), 0

        def noted_begin(*arguments):
            text = begin(*arguments)
            self.alive.add(text)
            return text

        def noted_step():
            nonlocal steps
            steps += 1
            self.late += sum(left_at.get(text, steps) + 1 < steps for text in batch.texts)
            return step()

        def noted_withdraw(jobs):
            withdraw(jobs)
            left_at.update({job.text: steps for job in jobs})  # one more step may have begun without knowing
            self.left += len(jobs)

        monkeypatch.setattr(generator, "begin", noted_begin)
        monkeypatch.setattr(batch, "step", noted_step)
        monkeypatch.setattr(thread, "withdraw", noted_withdraw)


def test_nothing_is_left_when_thousands_of_requests_come_and_hundreds_leave_in_the_middle(generator, monkeypatch):
    random = np.random.default_rng(3)
    prompts = [HEADS[number % 3] + "".join(random.choice(LETTERS, random.integers(1, 60))) for number in range(48)]
    expected = {prompt: text_alone(generator, call_for(prompt, max_tokens=8)) for prompt in prompts}
    leaving = set(random.choice(np.arange(FEW, REQUESTS), LEAVING, replace=False).tolist())
    engine = StepsEngine(generator, Lane("unused"))
    watch, process, sizes = Watch(engine, monkeypatch), psutil.Process(), []

    async def caller(number: int) -> None:
        prompt = prompts[number % len(prompts)]
        if number not in leaving:
            assert await text_of(engine, call_for(prompt, max_tokens=8)) == expected[prompt]
        elif number % 2:
            async with aclosing(engine.submit(call_for(prompt, max_tokens=100))) as stream:
                await anext(stream)
        else:  # wherever it is: it waits, its prompt is read, or it is generated
            with suppress(TimeoutError):
                async with asyncio.timeout(number % 41 / 1000):
                    await text_of(engine, call_for(prompt, max_tokens=100))

    async def everybody() -> None:
        async def in_turn(numbers: Iterator[int]) -> None:
            for number in numbers:
                await caller(number)

        for numbers in (range(FEW), range(FEW, REQUESTS)):
            shared = iter(numbers)
            await asyncio.gather(*(in_turn(shared) for _ in range(AT_ONCE)))
            sizes.append(process.memory_info().rss)
        await engine.drain()

    gc.collect()
    gc.disable()  # nothing waits for it
    try:
        asyncio.run(everybody())
    finally:
        gc.enable()
    assert watch.left > LEAVING / 2
    assert watch.late == 0
    assert (engine.running_texts, engine.queued_rows, engine._batch.is_empty) == (0, 0, True)
    assert (engine._batch.free_slots, engine._thread._leaving, len(watch.alive)) == (SLOTS, [], 0)
    assert sizes[1] - sizes[0] < MOST_GROWTH_BYTES

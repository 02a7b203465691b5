"""What texts wait for while others are generated: a long prompt that they share, and a long prompt that joins.

    python -m tests.benchmarks.bench_texts BUNDLE [shared] [joining]

Requests that begin with one system message come at once to the engine of a bundle that generates. In turns, they share
what is computed of it, or each has a salt of its own, or the message was there before. Then texts are generated for as
many streams as a server usually has, and one more with a long prompt joins: the longest time between two pieces of the
others is compared with that of the steps before.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise

import maas
from maas.runtime.generation.generator import TextGenerator
from maas.runtime.generation.settings import generation_settings
from maas.serving.call import GenerationCall, RowList
from maas.serving.engines.steps import StepsEngine
from maas.serving.executors import Lane

ROUNDS, REQUESTS, STREAMS = 5, 8, 24
PROMPT_TOKENS, ANSWER_TOKENS, STEPS, LENGTH = 400, 16, 24, 512
QUESTION = "Question {number}: what do you advise the member with card {number}?"


def head_of(generator: TextGenerator, name: str) -> str:
    """Returns a system message of `PROMPT_TOKENS` tokens, or a few less, that begins with a name."""
    text, number = f"You serve the library {name}.", 0
    while len(generator.encode(text)) < PROMPT_TOKENS - 20:
        number += 1
        text += f" Rule {number}: members of class {number % 7} may borrow {number + 3} books at a time."
    return text + "\n\n"


def call_for(prompt: str, salt: str, tokens: int = ANSWER_TOKENS) -> GenerationCall:
    """Returns a call for one text."""
    settings = generation_settings({"max_tokens": tokens, "ignore_end": True})
    return GenerationCall(model="", inputs=RowList([prompt]), size_bytes=0, settings=settings, cache_salt=salt)


async def answer(engine: StepsEngine, call: GenerationCall) -> tuple[float, int, str]:
    """Returns when the first piece came, the cached tokens, and the text."""
    chunks, first_s = [], 0.0
    async for chunk in engine.submit(call):
        first_s = first_s or time.monotonic()
        chunks.append(chunk)
    return first_s, chunks[0].cached_tokens, "".join(chunk.text for chunk in chunks)


async def together(engine: StepsEngine, head: str, salts: Sequence[str]) -> tuple[list[float], int, list[str]]:
    """Returns the seconds to the first piece of the median request and to the last text, cached tokens, and texts."""
    begun_s = time.monotonic()
    calls = [call_for(head + QUESTION.format(number=number), salt) for number, salt in enumerate(salts)]
    found = await asyncio.gather(*(answer(engine, call) for call in calls))
    taken = [statistics.median(first_s for first_s, _, _ in found) - begun_s, time.monotonic() - begun_s]
    return taken, sum(cached for _, cached, _ in found), [text for _, _, text in found]


async def shared_prompts(engine: StepsEngine, generator: TextGenerator) -> None:
    """Prints what requests of one system message take."""
    taken: dict[str, list[list[float]]] = {}
    cached: dict[str, int] = {}
    equal = 0
    for turn in range(ROUNDS):
        head, shared = head_of(generator, f"number {turn}"), f"shared {turn}"
        alone = [f"{turn} {number}" for number in range(REQUESTS)]
        texts = []
        for name, salts in (("nothing is shared", alone), ("shared", [shared] * REQUESTS)):
            seconds, cached[name], found = await together(engine, head, salts)
            taken.setdefault(name, []).append(seconds)
            texts.append(found)
        seconds, cached["was there before"], found = await together(engine, head, [shared] * REQUESTS)
        taken.setdefault("was there before", []).append(seconds)
        equal += sum(one == two == three for one, two, three in zip(*texts, found, strict=True))
    tokens = len(generator.encode(head))
    print(f"{REQUESTS} requests at once, a system message of {tokens} tokens, {ANSWER_TOKENS} new ones each")
    print("| system message | first piece, s | all texts, s | times as fast | cached tokens |\n|---|---|---|---|---|")
    for name, rows in taken.items():
        firsts, wholes = (statistics.median(column) for column in zip(*rows, strict=True))
        faster = [whole / other for (_, whole), (_, other) in zip(taken["nothing is shared"], rows, strict=True)]
        print(f"| {name} | {firsts:.2f} | {wholes:.2f} | {statistics.median(faster):.2f} | {cached[name]} |")
    print(f"texts that are the same in all turns of a round: {equal} of {ROUNDS * REQUESTS}")


async def joining(engine: StepsEngine, generator: TextGenerator) -> None:
    """Prints how long other texts wait for a piece while a long prompt joins, by the clock and by the CPU's work."""
    delays, steps_ms = [], []
    for turn in range(ROUNDS):
        times: list[tuple[float, float]] = []
        others = [call_for(f"Tale {turn} {number}:", f"{number}", 4 * STEPS) for number in range(STREAMS)]
        tasks = [asyncio.create_task(answer(engine, call)) for call in others[1:]]
        stream = engine.submit(others[0])
        late = call_for(head_of(generator, f"of latecomers {turn}"), "late", 4)
        joined = None
        async for _ in stream:
            times.append((time.monotonic(), time.process_time()))
            if len(times) == 2 * STEPS:
                joined = asyncio.create_task(answer(engine, late))
        await asyncio.gather(*tasks, *([joined] if joined else []))
        waits = [[after - before for before, after in pairwise(clock)] for clock in zip(*times, strict=True)]
        steps = [statistics.median(clock[STEPS : 2 * STEPS - 2]) for clock in waits]
        steps_ms.append(1000 * steps[1])
        delays.append([max(clock[2 * STEPS - 1 :]) / step for clock, step in zip(waits, steps, strict=True)])
    step = statistics.median(steps_ms)
    print(f"\n{STREAMS} texts, one with a prompt of {PROMPT_TOKENS} tokens joins: a step takes {step:.0f} ms of a CPU")
    for name, found in zip(("clock", "CPU"), zip(*delays, strict=True), strict=True):
        shown = ", ".join(f"{delay:.2f}" for delay in found)
        print(f"longest wait of the others, in steps, by the {name}: {statistics.median(found):.2f} ({shown})")


PARTS: dict[str, Callable[[StepsEngine, TextGenerator], Awaitable[None]]] = {
    "shared": shared_prompts,
    "joining": joining,
}


async def measured(generator: TextGenerator, parts: Sequence[str]) -> None:
    """Measures one engine."""
    lane = Lane("preprocess")
    engine = StepsEngine(generator, lane)
    for part in parts:
        await PARTS[part](engine, generator)
    await engine.drain()
    lane.close()


def main(bundle: str, *parts: str) -> None:
    """Measures a bundle and prints tables."""
    generator = maas.load(bundle).generator
    generator.batch_size, generator.context_length = STREAMS + 1, min(LENGTH, generator.context_length)
    asyncio.run(measured(generator, parts or tuple(PARTS)))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Continuous batching: texts join and leave between steps, and each step adds a token to every one of them.

A text is the one that its prompt alone would give, up to rounding, since each draws by itself. A prompt is read in
parts between steps, so that other texts go on. It knows no protocol and no transport.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

import msgspec

from maas.errors import DeadlineError, OverloadError
from maas.runtime.generation.batch import DecodingBatch
from maas.runtime.generation.text import GeneratedText
from maas.serving.call import LOW, GenerationCall, RowList, TextChunk
from maas.serving.engines.step_thread import JobOutcome, StepThread
from maas.serving.engines.text_streams import TextJob, TextStream, jobs_of
from maas.serving.executors import Lane, Result
from maas.serving.faults import require_rows
from maas.serving.statistics import ModelStatistics

if TYPE_CHECKING:
    from maas.runtime.generation.generator import Prompt, TextGenerator

INLINE_BYTES = 4096
"""Of the prompt of one text that is begun on the event loop. Larger ones are in the thread that preprocesses; so are
several texts, since each has counts of all tokens of the vocabulary, and forms of texts, which are compiled."""


class StepsEngine:
    """Admits calls, makes their prompts tokens, and gives the chunks of their texts as they are generated.

    Args:
        generator: the model; its `batch_size` is the number of slots, its `context_length` the length of each.
        lane: thread that makes large prompts tokens, and compiles forms of texts.
        max_queue: largest number of texts that may wait for a slot; one call takes at most half of them.
        observe: receives the number of texts that each run added to.
        statistics: counts and times steps.
    """

    def __init__(
        self,
        generator: "TextGenerator",
        lane: Lane,
        *,
        max_queue: int = 2048,
        observe: Callable[[int], None] = lambda rows: None,  # noqa: ARG005
        statistics: ModelStatistics | None = None,
    ) -> None:
        self.max_rows = (max_queue + 1) // 2
        self.prompt_tokens = self.cached_prompt_tokens = self.generated_tokens = self.failed_texts = 0
        self._generator, self._lane, self._max_queue, self._observe = generator, lane, max_queue, observe
        self._batch = DecodingBatch(generator.decoder, generator.batch_size, generator.context_length)
        timed = (statistics or ModelStatistics()).timed
        self._thread = StepThread(self._batch, self._deliver, timed)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_draining = False
        self._calls = self._encoding = 0
        self._idle = asyncio.Event()

    @property
    def summary(self) -> str:
        """How many texts at a time, of how many tokens, and what memory their cache takes."""
        slots, length = self._generator.batch_size, self._generator.context_length
        return (
            f"{slots} texts at a time of at most {length} tokens each with its prompt, whose cache takes "
            f"{self._batch.cache_bytes / 2**20:,.0f} MiB when full"
        )

    @property
    def queued_rows(self) -> int:
        """Texts that were admitted and have no slot yet."""
        return self._encoding + self._thread.waiting

    @property
    def running_texts(self) -> int:
        """Texts that have a slot."""
        return self._thread.running

    async def submit(self, call: GenerationCall) -> AsyncGenerator[TextChunk, None]:
        """Yields what the texts of a call gain, as it is generated; a reader that is late gets it in fewer chunks.

        The call is admitted when the first chunk is wanted. Closing the stream withdraws it.

        Raises:
            InputError: a prompt cannot be understood, there are none or too many, or it exceeds the context.
            OverloadError: there is no room for the call, or the engine is being drained.
            DeadlineError: the call's deadline has passed.
        """
        self._admit(call)
        jobs = list[TextJob]()
        try:
            texts = await _in_time(self._begun(call), call)
            stream = TextStream(texts)
            jobs = jobs_of(texts, stream)
            self.prompt_tokens += sum(len(text.prompt) for text in texts[:: call.copies])
            self._thread.put(jobs, call.priority)
            while not stream.is_over:
                yield await _in_time(stream.read(), call)
        finally:
            if unfinished := [job for job in jobs if not job.text.has_ended]:
                self._thread.withdraw(unfinished)
            self.cached_prompt_tokens += sum(job.text.cached_tokens for job in jobs[:: call.copies])
            self._end_call()

    def pause(self) -> None:
        """Takes no more steps; calls are admitted, and all texts wait."""
        self._thread.pause()

    def resume(self) -> None:
        """Takes steps again."""
        self._thread.resume()

    async def drain(self) -> None:
        """Admits no more calls, finishes those that were admitted, and ends the thread."""
        self._is_draining = True
        while self._calls:
            self._idle.clear()
            await self._idle.wait()
        await asyncio.to_thread(self._thread.close)

    def _admit(self, call: GenerationCall) -> None:
        if self._is_draining:
            raise OverloadError(f"Model {call.model!r} is being replaced. Try again in a second.")
        texts, queued = call.texts, self.queued_rows
        require_rows(texts, self.max_rows)
        most = self._max_queue if call.priority != LOW else (self._max_queue + 1) // 2
        if queued + texts > most:
            raise OverloadError(
                f"{queued} texts of at most {most} wait to be generated; {texts} more do not fit. "
                "Try again in a second."
            )
        self._calls += 1

    def _end_call(self) -> None:
        self._calls -= 1
        if not self._calls:
            self._idle.set()

    async def _begun(self, call: GenerationCall) -> list[GeneratedText]:
        """Returns the texts of a call, their prompts made tokens."""
        self._loop = asyncio.get_running_loop()
        steps = _begun_texts(self._generator, call)
        if call.texts == 1 and call.size_bytes <= INLINE_BYTES and not call.settings.has_form:
            return list(steps)
        self._encoding += call.texts
        try:
            return await self._lane.run(steps)
        finally:
            self._encoding -= call.texts

    def _deliver(self, outcomes: list[JobOutcome]) -> None:
        """Hands over what a run gave to the event loop; the thread of steps calls it."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(partial(self._hand_over, outcomes))

    def _hand_over(self, outcomes: Sequence[JobOutcome]) -> None:
        for job, outcome in outcomes:
            job.stream.take(job.index, outcome)
            is_fault = isinstance(outcome, Exception)
            self.generated_tokens += not is_fault
            self.failed_texts += is_fault
        self._observe(len(outcomes))


def _begun_texts(generator: "TextGenerator", call: GenerationCall) -> Iterator[GeneratedText]:
    """Yields the texts of a call, those of the first prompt first."""
    prompts = call.inputs.rows if isinstance(call.inputs, RowList) else ()
    for prompt in cast("Sequence[Prompt]", prompts):  # the generator refuses others
        for copy in range(call.copies):
            settings = call.settings
            if copy and settings.seed is not None:
                settings = msgspec.structs.replace(settings, seed=settings.seed + copy)
            yield generator.begin(prompt, settings, call.cache_salt)


async def _in_time(work: Awaitable[Result], call: GenerationCall) -> Result:
    """Awaits some work of a call no longer than until its deadline."""
    try:
        async with asyncio.timeout_at(call.deadline_s):
            return await work
    except TimeoutError as error:
        raise DeadlineError("The deadline of the request has passed.") from error

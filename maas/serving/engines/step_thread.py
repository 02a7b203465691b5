"""The thread that generates: turn by turn, texts leave and join, prompts are read, a step adds a token to each."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from maas.runtime.generation.batch import DecodingBatch, Pieces
from maas.runtime.generation.decoder import RUN_TOKENS
from maas.runtime.generation.text import GeneratedText, Piece
from maas.serving.engines.outcomes import each_by_itself
from maas.serving.engines.text_queue import TextQueue
from maas.serving.engines.text_streams import TextJob

READ_TOKENS = 40
"""Of prompts in one turn while other texts are generated, so that these go on."""
JobOutcome: TypeAlias = tuple[TextJob, Piece | Exception]
StepRun: TypeAlias = Callable[[Sequence[GeneratedText]], Pieces]


class StepThread:
    """Generates the texts of one model.

    Args:
        batch: slots for texts.
        deliver: receives what a run gave, in this thread.
        timed: wraps the run of a step, which it is given the texts of.
    """

    def __init__(
        self,
        batch: DecodingBatch,
        deliver: Callable[[list[JobOutcome]], None],
        timed: Callable[[StepRun], StepRun] = lambda run: run,
    ) -> None:
        self._batch, self._deliver = batch, deliver
        self._step = timed(lambda texts: batch.step())  # noqa: ARG005  the batch has them
        self._changed = threading.Condition()
        self._waiting = TextQueue[TextJob]()
        self._leaving: list[TextJob] = []
        self._running: dict[GeneratedText, TextJob] = {}
        self._is_paused = self._is_closed = False
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many texts wait for a slot."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many texts have a slot."""
        return len(self._running)

    def put(self, jobs: Sequence[TextJob], priority: int) -> None:
        """Adds texts; the first ones start the thread."""
        with self._changed:
            self._waiting.put(jobs, priority)
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._take_turns, name="steps", daemon=True)
            self._thread.start()

    def withdraw(self, jobs: Sequence[TextJob]) -> None:
        """Ends texts that nobody wants any more: they have no slot once the step that runs has ended."""
        with self._changed:
            self._leaving += [job for job in jobs if not self._waiting.remove(job)]
            self._changed.notify()

    def pause(self) -> None:
        """Takes no more turns; texts keep their slots."""
        with self._changed:
            self._is_paused = True

    def resume(self) -> None:
        """Takes turns again."""
        with self._changed:
            self._is_paused = False
            self._changed.notify()

    def close(self) -> None:
        """Ends the thread after its turn."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _take_turns(self) -> None:
        while self._waited():
            self._remove_leaving()
            if not self._is_paused:
                self._run(self._read)
                self._run(self._add_tokens)

    def _run(self, work: Callable[[], Pieces]) -> None:
        """Hands over what a run of the model gave at once, or why it failed."""
        (pieces,) = each_by_itself(lambda _: [work()], [self._batch])
        outcomes = self._failed(pieces) if isinstance(pieces, Exception) else self._outcomes(pieces)
        if outcomes:
            self._deliver(outcomes)

    def _waited(self) -> bool:
        """Waits until there is something to do, and returns whether the thread goes on."""
        with self._changed:
            self._changed.wait_for(self._is_due)
            return not self._is_closed

    def _is_due(self) -> bool:
        return self._is_closed or bool(self._leaving) or (not self._is_paused and bool(self._running or self._waiting))

    def _remove_leaving(self) -> None:
        with self._changed:
            leaving, self._leaving = self._leaving, []
        for job in leaving:
            self._batch.leave(job.text)
            self._running.pop(job.text, None)

    def _read(self) -> Pieces:
        """Gives free slots to texts that wait, and reads prompts."""
        batch = self._batch
        with self._changed:
            joining = self._waiting.take(batch.free_slots)
            self._running |= {job.text: job for job in joining}
        batch.admit([job.text for job in joining])
        return batch.read(READ_TOKENS if batch.texts else RUN_TOKENS)

    def _add_tokens(self) -> Pieces:
        texts = self._batch.texts
        return self._step(texts) if texts else []

    def _outcomes(self, pieces: Pieces) -> list[JobOutcome]:
        outcomes: list[JobOutcome] = [(self._running[text], piece) for text, piece in pieces]
        for text, _ in pieces:
            if text.has_ended:
                del self._running[text]
        return outcomes

    def _failed(self, error: Exception) -> list[JobOutcome]:
        """Takes all texts out of a batch whose run failed, as nobody knows what their cache holds."""
        jobs = list(self._running.values())
        self._batch.clear()
        self._running.clear()
        return [(job, error) for job in jobs]

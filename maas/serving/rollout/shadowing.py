"""Copies of requests for a candidate: its predictions are compared with those that callers got, and counted.

A copy is sent once its caller has the reply, and only where there is room: copies are the first work that is dropped.
"""

import asyncio
import random
from collections.abc import Callable
from functools import partial

import numpy as np

from maas.errors import OverloadError
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors import Postprocessor
from maas.serving.call import LOW, Call, PreprocessedInputs
from maas.serving.repository import PredictingDeployment
from maas.serving.rollout.records import Shadow

MOST_COPIES, MOST_BYTES = 32, 16 * 2**20
"""Of one candidate, at one time."""
BUSY_FRACTION = 0.25
"""Of the largest call's rows, that wait for the stable version: then no copies are sent."""
COMPARED_ROWS = 64
"""In one go."""
VALUE_TOLERANCE = 1e-4
"""Of values without labels, where a roll-out names no tolerance."""


class Shadower:
    """Sends copies to a candidate.

    Args:
        shadow: what is to be copied.
        stable: answers callers.
        candidate: gets copies.
        count: receives `same`, `different`, `failed`, or `dropped` where there was no room.
        draw: returns a random number in [0, 1).
    """

    def __init__(
        self,
        shadow: Shadow,
        stable: PredictingDeployment,
        candidate: PredictingDeployment,
        count: Callable[[str], None],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._shadow, self._stable, self._candidate, self._count, self._draw = shadow, stable, candidate, count, draw
        self._takes_features = _processor(stable) == _processor(candidate)
        self._copies: set[asyncio.Task[str]] = set()
        self._bytes = 0

    def note(self, call: Call, outcome: Outputs | Exception, seconds: float) -> None:
        """Takes what a caller got, and sends a copy of the call if it is one of those that are copied."""
        if isinstance(outcome, Exception) or self._draw() * 100 >= self._shadow.percent:
            return
        if not self._has_room(call):
            self._count("dropped")
            return
        self._bytes += call.size_bytes
        task = asyncio.get_running_loop().create_task(self._result(call, outcome))
        self._copies.add(task)
        task.add_done_callback(partial(self._done, call.size_bytes))

    def _has_room(self, call: Call) -> bool:
        engine = self._stable.engine
        return (
            len(self._copies) < MOST_COPIES
            and self._bytes + call.size_bytes <= MOST_BYTES
            and engine.queued_rows <= BUSY_FRACTION * engine.max_rows
            and (self._takes_features or not isinstance(call.inputs, PreprocessedInputs))
        )

    async def _result(self, call: Call, answered: Outputs) -> str:
        copy = Call(
            model=call.model,
            version=self._candidate.version,
            inputs=call.inputs,
            size_bytes=call.size_bytes,
            priority=LOW,
        )
        found: Outputs = {}
        async for chunk in self._candidate.engine.submit(copy):
            found = chunk.outputs
        postprocessors = self._stable.postprocessor, self._candidate.postprocessor
        for start in range(0, len(call.inputs), COMPARED_ROWS):
            rows = slice(start, start + COMPARED_ROWS)
            if not is_same(_part(answered, rows), _part(found, rows), postprocessors, self._shadow.tolerance):
                return "different"
            await asyncio.sleep(0)
        return "same"

    def _done(self, size_bytes: int, task: "asyncio.Task[str]") -> None:
        self._copies.discard(task)
        self._bytes -= size_bytes
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, OverloadError):
            self._count("dropped")
        else:
            self._count(task.result() if error is None else "failed")


def is_same(
    left: Outputs, right: Outputs, postprocessors: tuple[Postprocessor, Postprocessor], tolerance: float | None
) -> bool:
    """Returns whether two versions gave the same predictions for the same rows.

    Labels must be equal where the model has some. Scores must not differ by more than the tolerance t:
    |a - b| ≤ t · max(1, |a|).

    Args:
        left: outputs of the version that answered, (N, …) each.
        right: outputs of the other, (N, …) each.
        postprocessors: of both.
        tolerance: t; null compares labels alone where there are some.
    """
    one, other = postprocessors
    if one.labels and _labels(left, one) != _labels(right, other):
        return False
    if one.labels and tolerance is None:
        return True
    a, b = np.asarray(one.scores(left), np.float64), np.asarray(other.scores(right), np.float64)
    most = VALUE_TOLERANCE if tolerance is None else tolerance
    return a.shape == b.shape and bool((np.abs(a - b) <= most * np.maximum(1.0, np.abs(a))).all())


def _labels(outputs: Outputs, postprocessor: Postprocessor) -> list[object]:
    return [one.get("label") for one in postprocessor.predictions(outputs)]


def _processor(deployment: PredictingDeployment) -> tuple[object, dict[str, str]]:
    """Returns what decides which features rows become: the processor's kind and settings, and its files."""
    manifest = deployment.bundle.manifest
    return manifest.processor, {name: sha for name, sha in manifest.files.items() if name.startswith("assets/")}


def _part(outputs: Outputs, rows: slice) -> Outputs:
    return {name: array[rows] for name, array in outputs.items()}

"""Where all dialects meet: models by name, and rows in, tensors out. It knows no HTTP."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maas.runtime.bundle import Bundle
from maas.runtime.codec import Outputs
from maas.runtime.predictor import Predictor, not_finite
from maas.runtime.processors import Features
from maas.serving.batching import Batcher
from maas.serving.faults import AnswerError, TooManyRowsError, UnknownModelError
from maas.serving.telemetry import Telemetry

INLINE_BELOW_S = 0.0004  # a shorter run costs less on the event loop than the way to a thread and back
ENCODED_INLINE = 32  # more rows than this, and files, are encoded away from the event loop


@dataclass(frozen=True)
class ServedModel:
    """A bundle that is ready to answer.

    Args:
        name: what callers call it.
        version: which of its versions.
        bundle: the directory it came from.
        predictor: its inference path.
        batcher: its queue.
        run_s: seconds that one run took while warming up.
    """

    name: str
    version: str
    bundle: Bundle
    predictor: Predictor
    batcher: Batcher
    run_s: float


class DataPlane:
    """The models that are served, and the one way to ask them.

    Args:
        telemetry: told about models and runs.
        batch_size: the most rows in one run, instead of the bundle's.
        threads: ONNX Runtime's intra-op threads, instead of the bundle's.
        max_queue: the most rows that may wait for a model, and so the most that one request may hold.
    """

    def __init__(
        self,
        telemetry: Telemetry | None = None,
        *,
        batch_size: int | None = None,
        threads: int | None = None,
        max_queue: int = 1024,
    ) -> None:
        self.models: dict[str, ServedModel] = {}
        self._telemetry = telemetry or Telemetry()
        self._batch_size = batch_size
        self._threads = threads
        self._max_queue = max_queue
        self._encoding = ThreadPoolExecutor(1, thread_name_prefix="encode")

    def load(self, folder: str | Path, *, name: str | None = None, version: str = "1") -> ServedModel:
        """Opens a bundle, checks it against its golden answers, warms it up and serves it.

        Args:
            folder: the bundle.
            name: what callers call it; the manifest's name if it is null.
            version: which version it is.

        Raises:
            BundleError: it is not a whole bundle, or it answers otherwise than when it was made.
        """
        bundle = Bundle.open(folder)
        predictor = bundle.make_predictor(threads=self._threads)
        bundle.check_golden(predictor=predictor)  # with the batches that it was made with
        predictor.batch_size = self._batch_size or predictor.batch_size
        run_s = seconds_of_a_run(predictor, bundle.golden.inputs)
        name = name or bundle.manifest.name
        observe = self._telemetry.add_model(
            name, version, bundle.digest, bundle.manifest.precision, lambda: self.models[name].batcher.queued_rows
        )
        batcher = Batcher(
            predictor.run,
            batch_size=predictor.batch_size,
            max_queue=self._max_queue,
            inline=run_s < INLINE_BELOW_S,
            observe=observe,
        )
        self.models[name] = ServedModel(name, version, bundle, predictor, batcher, run_s)
        return self.models[name]

    def find(self, name: str, version: str | None = None) -> ServedModel:
        """Returns a model by its name and, if one is asked for, its version.

        Raises:
            UnknownModelError: it is not served; the message says what is.
        """
        model = self.models.get(name)
        if model is None:
            raise UnknownModelError(f"No model {name!r} is served here; there is {', '.join(sorted(self.models))}.")
        if version is not None and version != model.version:
            raise UnknownModelError(f"Model {name!r} is served in version {model.version}, not {version}.")
        return model

    async def infer(self, model: ServedModel, rows: Sequence[Any]) -> Outputs:
        """Returns the graph's outputs for raw rows, in the order of the rows.

        They are those of `Predictor.outputs`, bit for bit, unless rows of other callers share a batch.

        Raises:
            InputError: a row cannot be understood, there are none or too many, or the answer is not a number.
            OverloadError: the queue is full.
        """
        if len(rows) > self._max_queue:
            raise TooManyRowsError(
                f"The request has {len(rows)} rows; this server takes {self._max_queue} at a time. Send them in parts."
            )
        model.batcher.check_room(len(rows))
        features = await self._preprocessed(model, rows)
        model.batcher.check_room(len(rows))  # all of the request's batches fit, or none is queued
        batches = list(model.predictor.batches(features))
        key = model.predictor.processor.bucket
        answers = [
            model.batcher.submit([features[index] for index in batch], key(features[batch[0]])) for batch in batches
        ]
        outputs = _in_order(batches, await _all(answers))
        if fault := not_finite(outputs):
            raise AnswerError(fault)
        return outputs

    async def close(self) -> None:
        """Finishes what is queued."""
        for model in self.models.values():
            await model.batcher.close()
        self._encoding.shutdown()

    async def _preprocessed(self, model: ServedModel, rows: Sequence[Any]) -> list[Features]:
        is_light = not model.predictor.processor.media_types  # a file may take long to decode
        if is_light and len(rows) <= ENCODED_INLINE:
            return model.predictor.preprocess(rows)
        return await asyncio.get_running_loop().run_in_executor(self._encoding, model.predictor.preprocess, rows)


def seconds_of_a_run(predictor: Predictor, rows: Sequence[Any]) -> float:
    """Runs each batch of some rows several times; returns the quickest run of the slowest batch, in seconds."""
    features = predictor.preprocess(rows)
    return max(_quickest_s(predictor, [features[index] for index in batch]) for batch in predictor.batches(features))


def _quickest_s(predictor: Predictor, features: Sequence[Features]) -> float:
    times: list[float] = []
    while len(times) < 2 or (len(times) < 10 and sum(times) < 0.02):
        start = time.perf_counter()
        predictor.run(features)
        times.append(time.perf_counter() - start)
    return min(times)


async def _all(answers: Sequence["asyncio.Future[Outputs]"]) -> list[Outputs]:
    """Awaits all; if one fails or the caller goes, the others leave the queue."""
    if len(answers) == 1:
        return [await answers[0]]
    try:
        return await asyncio.gather(*answers)
    finally:
        for answer in answers:
            answer.cancel()


def _in_order(batches: Sequence[Sequence[int]], parts: Sequence[Outputs]) -> Outputs:
    if len(parts) == 1:  # one batch holds the rows in their order
        return parts[0]
    back = np.argsort([index for batch in batches for index in batch])
    return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}

"""Explains rows with the models that are served: each of the many runs is admitted, queued and batched like any other.

What takes processor time beside the runs (cutting rows into parts, leaving some out, preprocessing) is done in threads.
"""

import asyncio
import concurrent.futures
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec
import numpy as np

from maas.errors import BundleError, InputError, OverloadError
from maas.explaining import explain
from maas.explaining.explainer import Method
from maas.explaining.explanation import Explanation
from maas.runtime.codec import Codec, Features, Outputs
from maas.serving.call import Call, PreprocessedInputs, Row, RowList, preprocessed_from
from maas.serving.explained_prompts import ExplainedPrompts
from maas.serving.faults import NotFiniteError, TooLargeError
from maas.serving.repository import Deployment, GeneratingDeployment, PredictingDeployment

THREADS = 2
MOST_CALLS = 16
PIECE_ROWS = 16
"""Of one explanation that wait in a model's queue at a time: rows of others need not wait for more."""


class ExplanationCall(Call, frozen=True, kw_only=True):
    """A call that wants explanations of its rows.

    Args:
        label: whose log-odds are explained; null for the label that the model gives. Of a model that generates, the
            text whose log probability is explained; null for its own.
        method: `shapley` or `occlusion`; null for `shapley`, and `occlusion` where the model generates.
        orders: number of random orders in which parts are left out.
        parts: largest number of parts of a row; null for what suits its kind.
    """

    label: str | None = None
    method: Method | None = None
    orders: int = 8
    parts: int | None = None


class Explainer:
    """Explains the rows of many callers, two calls at a time.

    Args:
        max_calls: largest number of calls that are explained or wait for that.
    """

    def __init__(self, max_calls: int = MOST_CALLS) -> None:
        self.max_calls = max_calls
        self._calls = 0
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="explainer")

    async def explanations(self, call: ExplanationCall, deployment: Deployment) -> list[dict[str, Any]]:
        """Returns an explanation for each row, ready for JSON. Cancelling it ends the work.

        Raises:
            InputError: a row cannot be understood or explained, or the model has no such label.
            GenerationError: the model gives no finite logits.
            OverloadError: there is no room for another call, or for its runs.
        """
        if self._calls >= self.max_calls:
            raise OverloadError(
                f"{self._calls} requests of at most {self.max_calls} are being explained. Try again in a second."
            )
        loop = asyncio.get_running_loop()
        model: ExplainedPrompts | QueuedModel
        if isinstance(deployment, GeneratingDeployment):
            model = ExplainedPrompts(deployment.generator)
        elif isinstance(deployment, PredictingDeployment):
            model = QueuedModel(call, deployment, loop)
        else:
            raise TypeError(f"{type(deployment).__name__} cannot be explained.")
        self._calls += 1
        try:
            return await loop.run_in_executor(self._threads, partial(_explained, call, model))
        finally:
            model.withdraw()
            self._calls -= 1

    def close(self) -> None:
        """Begins no more, and ends the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class QueuedModel:
    """A model that is served, for a thread that wants many rows of it: they wait in its queue, a few at a time.

    Args:
        call: whose model, caller and deadline the runs have.
        deployment: the model.
        loop: event loop of the model's engine.
    """

    def __init__(self, call: Call, deployment: PredictingDeployment, loop: asyncio.AbstractEventLoop) -> None:
        self.processor = deployment.processor
        self.postprocessor = deployment.postprocessor
        self._call, self._engine, self._loop = call, deployment.engine, loop
        self._run: concurrent.futures.Future[Outputs] | None = None
        self._is_withdrawn = False

    def explanation(
        self, row: Row, /, *, label: str | None, method: Method | None, orders: int, parts: int | None
    ) -> Explanation:
        """Returns what each part of a row adds; arguments and errors as of `maas.explain`."""
        return explain(self, row, label=label, method=method, orders=orders, parts=parts)

    def outputs(self, rows: Sequence[Row], /) -> Outputs:
        """Returns the graph's outputs for raw rows, (N, …) each.

        Raises:
            InputError: a row cannot be understood, or an output is not finite.
            OverloadError: there is no room for them in the queue.
            CancelledError: nobody wants them any more.
        """
        pieces = [self._piece(start, rows[start : start + PIECE_ROWS]) for start in range(0, len(rows), PIECE_ROWS)]
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}

    def withdraw(self) -> None:
        """Ends the run that is wanted at this moment, and wants no more."""
        self._is_withdrawn = True
        if self._run is not None:
            self._run.cancel()

    def _piece(self, start: int, rows: Sequence[Row]) -> Outputs:
        features = preprocessed_from(start, rows, self.processor)
        if self._is_withdrawn:
            raise concurrent.futures.CancelledError
        self._run = asyncio.run_coroutine_threadsafe(self._outputs(features), self._loop)
        return self._run.result()

    async def _outputs(self, features: Sequence[Features]) -> Outputs:
        call = msgspec.structs.replace(self._call, inputs=PreprocessedInputs(features))
        chunks = [chunk.outputs async for chunk in self._engine.submit(call)]
        return chunks[0]  # an engine of batches gives one


def _explained(call: ExplanationCall, model: ExplainedPrompts | QueuedModel) -> list[dict[str, Any]]:
    settings: dict[str, Any] = {name: getattr(call, name) for name in ("label", "method", "orders", "parts")}
    explained = partial(model.explanation, **settings)
    records: list[dict[str, Any]] = []
    for index, row in enumerate(_rows(call.inputs, model)):
        try:
            records.append(explained(row).record())
        except BundleError as error:  # a kind of yours that nobody said how to explain
            raise InputError(f"The model's predictions cannot be explained: {error}") from error
        except NotFiniteError as error:
            raise NotFiniteError(
                f"Row {index} cannot be explained: with some of its parts left out, the model gives no finite number."
            ) from error
        except InputError as error:
            if not index:
                raise
            raise InputError(str(error).replace("Row 0 ", f"Row {index} ", 1)) from error
    return records


def _rows(inputs: RowList | PreprocessedInputs, model: ExplainedPrompts | QueuedModel) -> Sequence[Row]:
    """Returns raw rows; those that another process preprocessed are rows themselves where nothing changes them again.

    Raises:
        TooLargeError: they are none, as with the tokens of a text.
    """
    if isinstance(inputs, RowList):
        return inputs.rows
    if isinstance(model, ExplainedPrompts):
        raise TypeError("Prompts are read by the model that generates, and by no other process.")
    return [_row_of(features, model.processor) for features in inputs.features]


def _row_of(features: Features, processor: Codec) -> Row:
    row, *others = features.values()
    if not others and _is_row(row, features, processor):
        return row
    raise TooLargeError(
        "The body is too large for an explanation; up to 16 KiB of JSON are explained, or the file of a picture or a "
        "sound as the body. Send a shorter input."
    )


def _is_row(row: Row, features: Features, processor: Codec) -> bool:
    try:
        (again,) = processor.preprocess([row])
    except InputError:
        return False
    return all(np.array_equal(again[name], array, equal_nan=True) for name, array in features.items())

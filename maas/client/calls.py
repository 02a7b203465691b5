"""What each call of a client sends and gives, as steps that know no HTTP library."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.client.exchanges import Incoming, NoReplyError, Outgoing, Steps, exchange, fault_of
from maas.client.known import KnownServer
from maas.client.rows import encoded_rows
from maas.client.tensors import TensorForm, Tensors, form_steps, stacked_array, tensor_request, tensors_in
from maas.errors import DeadlineError, InputError, MaasError, ServerError

SCORE_TYPES = {"FP32": np.float32, "FP64": np.float64}
READY_S = 5.0
"""Longest time in which a server is to say that it is ready."""
_Body = TypeVar("_Body")
_encode = msgspec.json.encode


class CallSettings(msgspec.Struct, frozen=True):
    """How a call is made.

    Args:
        timeout_s: time for the whole call, with all of its parts and attempts, in seconds.
        retries: largest number of attempts after the first.
    """

    timeout_s: float
    retries: int


class ReplyToRows(msgspec.Struct):
    """The body of a reply: predictions, or scores and their datatype."""

    predictions: list[dict[str, Any]] = []
    scores: list[list[float]] = []
    datatype: str = "FP64"


class ServedModel(msgspec.Struct, frozen=True):
    """A model that a server has.

    Args:
        name: of the model.
        version: the version that answers where a request names none.
        task: that it solves.
        ready: whether it can answer now.
    """

    name: str
    version: str
    task: str
    ready: bool


class ModelList(msgspec.Struct):
    """The body of a list of models."""

    data: list[ServedModel]


_MODELS = msgspec.json.Decoder(ModelList)
_REPLY = msgspec.json.Decoder(ReplyToRows)


def prediction_steps(
    inputs: Sequence[Any], choice: Mapping[str, str | int | None], settings: CallSettings, known: KnownServer
) -> Steps[list[dict[str, Any]]]:
    """Gives one prediction a row.

    Args:
        inputs: list of raw rows.
        choice: `model` and `version`; null for the server's default.
        settings: of the call.
        known: what is known of the server.

    Raises:
        MaasError: a row is refused, or the server is busy, too slow or away.
    """
    deadline_s = call_deadline_s(settings)
    parts = yield from _tensor_parts(inputs, choice, TensorForm.predicted, settings, known, deadline_s)
    if parts:
        return [prediction for part in parts for prediction in _predictions(part)]
    replies = yield from _replies("/v1/predictions", inputs, choice, settings, known, deadline_s)
    return [prediction for reply in replies for prediction in reply.predictions]


def score_steps(
    inputs: Sequence[Any], choice: Mapping[str, str | int | None], settings: CallSettings, known: KnownServer
) -> Steps[NDArray[Any]]:
    """Gives the scores of all rows, (N, K), in the datatype that the model has.

    Args:
        inputs: list of raw rows.
        choice: `model` and `version`; null for the server's default.
        settings: of the call.
        known: what is known of the server.

    Raises:
        MaasError: a row is refused, or the server is busy, too slow or away.
    """
    deadline_s = call_deadline_s(settings)
    parts = yield from _tensor_parts(inputs, choice, TensorForm.scored, settings, known, deadline_s)
    if parts:
        scores = np.concatenate([np.asarray(array) for part in parts for array in part.values()])
        return scores.reshape(len(scores), -1)
    replies = yield from _replies("/v1/scores", inputs, choice, settings, known, deadline_s)
    kind = SCORE_TYPES.get(replies[0].datatype, np.float64)
    return np.concatenate([np.array(reply.scores, dtype=kind) for reply in replies])


def model_steps(settings: CallSettings) -> Steps[list[ServedModel]]:
    """Gives the models that the server has, by name.

    Raises:
        MaasError: the server is busy, too slow or away.
    """
    request = Outgoing(method="GET", path="/v1/models", deadline_s=call_deadline_s(settings))
    reply = yield from exchange(request, settings.retries)
    return sorted(_decoded(_MODELS, reply).data, key=lambda model: model.name)


def ready_steps(settings: CallSettings) -> Steps[bool]:
    """Gives whether the server can answer now; one that is away or silent cannot."""
    deadline_s = time.monotonic() + min(READY_S, settings.timeout_s)
    try:
        reply = yield Outgoing(method="GET", path="/v2/health/ready", deadline_s=deadline_s)
    except (NoReplyError, DeadlineError):
        return False
    return reply.status == 200


def _replies(
    path: str,
    inputs: Sequence[Any],
    choice: Mapping[str, str | int | None],
    settings: CallSettings,
    known: KnownServer,
    deadline_s: float,
) -> Steps[list[ReplyToRows]]:
    """Sends rows in parts, each half as large as one that the server found too large."""
    rows = encoded_rows(inputs)
    tail = b"".join(b"," + _encode(name) + b":" + _encode(value) for name, value in choice.items() if value is not None)
    replies: list[ReplyToRows] = []
    start = 0
    while start < len(rows):
        end = known.end_of_part(list(map(len, rows[start : start + known.max_rows])), start)
        body = b'{"inputs":[' + b",".join(rows[start:end]) + b"]" + tail + b"}"
        reply = yield from exchange(Outgoing(path=path, body=body, deadline_s=deadline_s), settings.retries)
        if not known.is_too_large(reply, end - start, len(body)):
            replies.append(_decoded(_REPLY, reply, start))
            start = end
    return replies


def _tensor_parts(
    inputs: Sequence[Any],
    choice: Mapping[str, str | int | None],
    wanted: Callable[[TensorForm], tuple[str, ...]],
    settings: CallSettings,
    known: KnownServer,
    deadline_s: float,
) -> Steps[list[Tensors]]:
    """Sends an array as binary tensors; gives nothing where the rows are to go as JSON."""
    array, model, version = stacked_array(inputs), choice["model"], choice["version"]
    if array is None or model is None:  # the default model may be another one at the next request
        return []
    form = known.forms.get((model, version))
    if form is None:
        form = known.forms[model, version] = yield from form_steps(str(model), version, deadline_s, settings.retries)
    taken, names = form.taken(array), wanted(form)
    parts: list[Tensors] = []
    start = 0
    while taken is not None and names and start < len(taken):
        end = known.end_of_part([taken[0].nbytes] * min(known.max_rows, len(taken) - start), start)
        request = tensor_request(taken[start:end], form, names, str(model), version, deadline_s)
        reply = yield from exchange(request, settings.retries)
        if known.is_too_large(reply, end - start, len(request.body)):
            continue
        if reply.status != 200:  # JSON has a message that names the row, or knows the model's new form
            known.forms.pop((model, version), None)
            return []
        parts.append(tensors_in(reply))
        start = end
    return parts


def _predictions(part: Tensors) -> list[dict[str, Any]]:
    """Returns predictions, whose keys are the names of outputs."""
    columns = [values.tolist() if isinstance(values, np.ndarray) else values for values in part.values()]
    return [dict(zip(part, values, strict=True)) for values in zip(*columns, strict=True)]


def _decoded(decoder: "msgspec.json.Decoder[_Body]", reply: Incoming, start: int = 0) -> _Body:
    """Returns the body of a reply.

    Args:
        decoder: of its type.
        reply: as it came.
        start: number of the first row that was sent.

    Raises:
        MaasError: the reply is no success, or none of maas.
    """
    if reply.status != 200:
        raise _counted_from(start, fault_of(reply))
    try:
        return decoder.decode(reply.body)
    except msgspec.DecodeError as error:
        raise ServerError(f"The reply is none of a server of maas: {error}. Check the URL.") from None


def _counted_from(start: int, fault: MaasError) -> MaasError:
    """Returns a fault that names the row by its number in the call, not in the part."""
    if not isinstance(fault, InputError):
        return fault
    return InputError(re.sub(r"^Row (\d+)", lambda found: f"Row {start + int(found[1])}", str(fault)))


def call_deadline_s(settings: CallSettings) -> float:
    """Returns the time on `time.monotonic` after which a call that begins now is over, in seconds."""
    return time.monotonic() + settings.timeout_s

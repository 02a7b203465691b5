"""What each call of a client sends and gives, as steps that know no HTTP library."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.client.exchanges import Incoming, NoReplyError, Outgoing, Steps, exchange, fault_of
from maas.client.rows import encoded_rows
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


class PartSizes:
    """The largest parts that a server takes, as far as is known.

    Args:
        max_rows: largest number of rows in a part.
        max_bytes: largest size of a part of more than one row, in bytes.
    """

    def __init__(self, max_rows: int = 1024, max_bytes: int = 4 * 2**20) -> None:
        self.max_rows = max_rows
        self.max_bytes = max_bytes

    def end_of_part(self, rows: Sequence[bytes], start: int) -> int:
        """Returns where the part ends that begins at a row: one row at least.

        Args:
            rows: encoded.
            start: number of the part's first row.
        """
        size, end = len(rows[start]), start + 1
        while end < len(rows) and end - start < self.max_rows and size + len(rows[end]) <= self.max_bytes:
            size += len(rows[end]) + 1
            end += 1
        return end

    def halve(self, part: Sequence[bytes], *, has_too_many_rows: bool) -> None:
        """Notes that a part of more than one row is too large for the server.

        Args:
            part: that was refused.
            has_too_many_rows: whether its rows are too many, rather than its bytes.
        """
        if has_too_many_rows:
            self.max_rows = len(part) // 2
        else:
            self.max_bytes = sum(map(len, part)) // 2


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
    inputs: Any, choice: Mapping[str, str | int | None], settings: CallSettings, sizes: PartSizes
) -> Steps[list[dict[str, Any]]]:
    """Gives one prediction a row.

    Args:
        inputs: list of raw rows.
        choice: `model` and `version`; null for the server's default.
        settings: of the call.
        sizes: largest parts that the server takes.

    Raises:
        MaasError: a row is refused, or the server is busy, too slow or away.
    """
    replies = yield from _replies("/v1/predictions", inputs, choice, settings, sizes)
    return [prediction for reply in replies for prediction in reply.predictions]


def score_steps(
    inputs: Any, choice: Mapping[str, str | int | None], settings: CallSettings, sizes: PartSizes
) -> Steps[NDArray[Any]]:
    """Gives the scores of all rows, (N, K), in the datatype that the model has.

    Args:
        inputs: list of raw rows.
        choice: `model` and `version`; null for the server's default.
        settings: of the call.
        sizes: largest parts that the server takes.

    Raises:
        MaasError: a row is refused, or the server is busy, too slow or away.
    """
    replies = yield from _replies("/v1/scores", inputs, choice, settings, sizes)
    kind = SCORE_TYPES.get(replies[0].datatype, np.float64)
    return np.concatenate([np.array(reply.scores, dtype=kind) for reply in replies])


def model_steps(settings: CallSettings) -> Steps[list[ServedModel]]:
    """Gives the models that the server has, by name.

    Raises:
        MaasError: the server is busy, too slow or away.
    """
    request = Outgoing(method="GET", path="/v1/models", deadline_s=_deadline_s(settings))
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
    path: str, inputs: Any, choice: Mapping[str, str | int | None], settings: CallSettings, sizes: PartSizes
) -> Steps[list[ReplyToRows]]:
    """Sends rows in parts, each half as large as one that the server found too large."""
    rows, deadline_s = encoded_rows(inputs), _deadline_s(settings)
    tail = b"".join(b"," + _encode(name) + b":" + _encode(value) for name, value in choice.items() if value is not None)
    replies: list[ReplyToRows] = []
    start = 0
    while start < len(rows):
        end = sizes.end_of_part(rows, start)
        body = b'{"inputs":[' + b",".join(rows[start:end]) + b"]" + tail + b"}"
        reply = yield from exchange(Outgoing(path=path, body=body, deadline_s=deadline_s), settings.retries)
        if reply.status == 413 and end - start > 1:
            sizes.halve(rows[start:end], has_too_many_rows=b"too_many_rows" in reply.body)
            continue
        replies.append(_decoded(_REPLY, reply, start))
        start = end
    return replies


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


def _deadline_s(settings: CallSettings) -> float:
    return time.monotonic() + settings.timeout_s

"""Texts of a server's models that generate: whole, or piece by piece as they come.

They go by OpenAI's protocol, a text to `/v1/completions` and a conversation to `/v1/chat/completions`.
Source: https://platform.openai.com/docs/api-reference/chat, /completions; WHATWG HTML, §9.2 (server-sent events)
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from maas.client.calls import CallSettings, call_deadline_s
from maas.client.exchanges import Incoming, Outgoing, Steps, error_message, exchange, fault_of
from maas.errors import DeadlineError, InputError, OverloadError, ServerError

ServedPrompt: TypeAlias = str | Sequence[Mapping[str, Any]]
"""A text to continue, or messages to answer."""
EndReason: TypeAlias = Literal["stop", "length"]
DATA, DONE = b"data:", b"[DONE]"
UNKNOWN_REPLY = "The reply is none of a server of maas: {reason}. Check the URL."


class ServedText(msgspec.Struct, frozen=True):
    """A text that a server generated.

    Args:
        text: the text, without end tokens and stops.
        finish_reason: `stop` at an end token or a stop, `length` at the most tokens.
        prompt_tokens: number of tokens of the prompt.
        tokens: number of tokens that were generated.
    """

    text: str
    finish_reason: EndReason
    prompt_tokens: int
    tokens: int


class ServedPiece(msgspec.Struct, frozen=True):
    """What a text has gained.

    Args:
        text: whole characters.
        finish_reason: why it is the last piece; None where more follow.
    """

    text: str
    finish_reason: EndReason | None = None


class MessageText(msgspec.Struct):
    """A message, or what one has gained."""

    content: str | None = None


class Choice(msgspec.Struct):
    """One text of a reply or of an event, in either form."""

    text: str | None = None
    message: MessageText = msgspec.field(default_factory=MessageText)
    delta: MessageText = msgspec.field(default_factory=MessageText)
    finish_reason: EndReason | None = None

    @property
    def content(self) -> str:
        """Its text."""
        return self.text or self.message.content or self.delta.content or ""


class TokenCounts(msgspec.Struct):
    """Numbers of tokens of a reply."""

    prompt_tokens: int
    completion_tokens: int


class ReplyWithText(msgspec.Struct):
    """The body of a reply."""

    choices: list[Choice]
    usage: TokenCounts


class FaultOfStream(msgspec.Struct):
    """What an event says of the fault that ends a stream."""

    message: str = ""
    code: str = ""


class TextEvent(msgspec.Struct):
    """An event of a stream: pieces of texts, or the fault that ends it."""

    choices: list[Choice] = []
    error: FaultOfStream | None = None


_REPLY, _EVENT = msgspec.json.Decoder(ReplyWithText), msgspec.json.Decoder(TextEvent)
_FAULTS: Mapping[str, type[DeadlineError | OverloadError]] = {
    "deadline_exceeded": DeadlineError,
    "overloaded": OverloadError,
}


def text_request(
    prompt: ServedPrompt, model: str | None, settings: Mapping[str, object], call: CallSettings, *, is_streamed: bool
) -> Outgoing:
    """Returns a request for one text.

    Args:
        prompt: text or messages.
        model: name of the model; None for the server's first that generates.
        settings: fields of OpenAI's request; the likeliest tokens are taken unless `temperature` is set.
        call: how the call is made.
        is_streamed: whether pieces are wanted as they come.

    Raises:
        InputError: the prompt or a setting cannot be sent.
    """
    _require_one_text(settings)
    is_text = isinstance(prompt, str)
    body = {"temperature": 0, **settings, ("prompt" if is_text else "messages"): prompt}
    if model is not None:
        body["model"] = model
    if is_streamed:
        body["stream"] = True
    try:
        content = msgspec.json.encode(body)
    except (TypeError, UnicodeEncodeError, msgspec.MsgspecError) as error:
        raise InputError(f"The prompt or a setting cannot be written as JSON: {error}.") from None
    path = "/v1/completions" if is_text else "/v1/chat/completions"
    return Outgoing(path=path, body=content, deadline_s=call_deadline_s(call))


def _require_one_text(settings: Mapping[str, object]) -> None:
    """Requires that a reply is one text, and comes as the call that was made reads it.

    Raises:
        InputError: it would be several texts, a call of a tool, or events.
    """
    if settings.get("n") not in (None, 1):
        raise InputError(
            f"n is {settings['n']!r}; a call gives one text. Call again for another one, with a seed of its own."
        )
    if settings.get("tools"):
        raise InputError("tools are given; a client gives texts alone. Call tools by the package openai, at URL/v1.")
    if "stream" in settings:
        raise InputError(
            "stream is no setting here; call stream(…) for the pieces of a text, and generate(…) for all of it."
        )


def text_steps(
    prompt: ServedPrompt, model: str | None, settings: Mapping[str, object], call: CallSettings
) -> Steps[ServedText]:
    """Gives a whole text. Arguments as in `text_request`.

    Raises:
        MaasError: the prompt is refused, or the server is busy, too slow or away.
    """
    reply = yield from exchange(text_request(prompt, model, settings, call, is_streamed=False), call.retries)
    if reply.status != 200:
        raise fault_of(reply)
    try:
        found = _REPLY.decode(reply.body)
        (choice,) = found.choices
    except ValueError as error:  # of msgspec as well
        raise ServerError(UNKNOWN_REPLY.format(reason=error)) from None
    if choice.finish_reason is None:
        raise ServerError(UNKNOWN_REPLY.format(reason="its text has no end"))
    return ServedText(choice.content, choice.finish_reason, found.usage.prompt_tokens, found.usage.completion_tokens)


class PieceReader:
    """Reads the pieces of one text out of a stream's bytes.

    Args:
        begun: the reply with its first bytes.

    Raises:
        MaasError: the reply is no success.
    """

    def __init__(self, begun: Incoming) -> None:
        if begun.status != 200:
            raise fault_of(begun)
        self._unread = begun.body
        self.is_over = False

    def read(self, content: bytes) -> Iterator[ServedPiece]:
        """Yields the pieces that more bytes complete.

        Raises:
            MaasError: the server failed, or what it sends is no such stream.
        """
        *events, self._unread = (self._unread + content).replace(b"\r\n", b"\n").split(b"\n\n")
        for event in events:
            if not event.startswith(DATA):
                raise ServerError(UNKNOWN_REPLY.format(reason="it has no events"))
            data = event.removeprefix(DATA).strip()
            if data == DONE:
                self.is_over = True
                return
            yield from _pieces_of(data)

    def require_end(self) -> None:
        """Requires that the stream has come to its end.

        Raises:
            ServerError: it broke off.
        """
        if not self.is_over:
            raise ServerError("The server closed the connection in the middle of a text.")


def _pieces_of(data: bytes) -> Iterator[ServedPiece]:
    try:
        event = _EVENT.decode(data)
    except msgspec.DecodeError as error:
        raise ServerError(UNKNOWN_REPLY.format(reason=error)) from None
    if event.error is not None:
        raise _FAULTS.get(event.error.code, ServerError)(error_message(data) or "The server failed.")
    for choice in event.choices:
        if choice.content or choice.finish_reason is not None:
            yield ServedPiece(choice.content, choice.finish_reason)

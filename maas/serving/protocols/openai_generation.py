"""What OpenAI's completions and chat completions share: settings, usage, and the frame of replies and events.

Every field of a request is done or refused. `top_k`, `min_p` and `repetition_penalty` are no fields of OpenAI's; other
servers have them by the same names.
Source: https://platform.openai.com/docs/api-reference/chat, https://platform.openai.com/docs/api-reference/completions
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from maas.errors import InputError
from maas.runtime.generation.settings import GenerationSettings, generation_settings
from maas.serving.call import GenerationCall, RowList, TextChunk
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.operations import JsonSchema, Request
from maas.serving.protocols.streaming import TextEvents
from maas.serving.repository import GeneratingDeployment, Snapshot

DONE = b"data: [DONE]\n\n"
LONGEST_BODY_BYTES = 2**20
"""Of a request: tokenizers keep the processor for a second with so much."""
MOST_STOPS = 16
LARGEST_BIAS = 100


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What a stream holds beside the texts; nothing is ever obfuscated."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class SamplingRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Fields of both requests; `user` is known and not needed."""

    model: str | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: float | None = None
    n: Annotated[int, Meta(ge=1)] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: Annotated[float, Meta(ge=0.1, le=10)] | None = None


class Wanted(NamedTuple):
    """What the two requests name differently.

    Args:
        prefix: of the reply's id.
        max_tokens: most new tokens; null for as many as the model's settings give.
        logprobs: number of the likeliest tokens to report; null reports none.
    """

    prefix: str
    max_tokens: int | None
    logprobs: int | None


class OpenAiCall(GenerationCall, frozen=True, kw_only=True):
    """A call for texts whose reply is in one of OpenAI's forms.

    Args:
        identity: id of the reply.
        created_s: when the request was read, in seconds since 1970.
        has_usage: whether a stream ends with the numbers of tokens.
    """

    identity: str
    created_s: int
    has_usage: bool = False


def sampling_settings(body: SamplingRequest, max_tokens: int | None, logprobs: int | None) -> GenerationSettings:
    """Returns the settings of a generation; the temperature is OpenAI's 1 unless one is set.

    Args:
        body: of the request.
        max_tokens: most new tokens; null for as many as the model's settings give.
        logprobs: number of the likeliest tokens to report; null reports none.

    Raises:
        InputError: one has no value that it may have.
    """
    given: dict[str, object] = {
        "max_tokens": max_tokens,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "top_p": body.top_p,
        "top_k": body.top_k,
        "min_p": body.min_p,
        "repetition_penalty": body.repetition_penalty,
        "presence_penalty": body.presence_penalty,
        "frequency_penalty": body.frequency_penalty,
        "seed": body.seed,
        "stop": _stops(body.stop),
        "logit_bias": _biases(body.logit_bias),
        "logprobs": logprobs,
    }
    return generation_settings({name: value for name, value in given.items() if value is not None})


def call_for_texts(
    request: Request, body: SamplingRequest, deployment: GeneratingDeployment, prompts: Sequence[object], wanted: Wanted
) -> OpenAiCall:
    """Returns a call for texts.

    Args:
        request: of the caller.
        body: of it.
        deployment: that generates.
        prompts: texts or conversations.
        wanted: what the two requests name differently.

    Raises:
        InputError: the body is too large, a setting has no value that it may have, or what only a stream has is wanted.
    """
    if len(request.body) > LONGEST_BODY_BYTES:
        raise InputError(f"The body has {len(request.body):,} bytes; prompts may have {LONGEST_BODY_BYTES:,}.")
    options = body.stream_options
    if options is not None and not body.stream:
        raise InputError("stream_options are for streams; set stream to true as well, or leave them out.")
    if options is not None and options.include_obfuscation:
        raise InputError("stream_options.include_obfuscation is not done here; leave it out.")
    return OpenAiCall(
        model=deployment.name,
        inputs=RowList(prompts),
        settings=sampling_settings(body, wanted.max_tokens, wanted.logprobs),
        size_bytes=len(request.body),
        copies=body.n or 1,
        stream=bool(body.stream),
        identity=f"{wanted.prefix}-{uuid.uuid4().hex}",
        created_s=int(time.time()),
        has_usage=bool(options is not None and options.include_usage),
    )


def chosen_generating(request: Request, snapshot: Snapshot, model: str | None) -> GeneratingDeployment:
    """Returns the deployment that a request names, or the first that generates; the request keeps its name.

    Raises:
        UnknownModelError: it is not served.
        InputError: it does not generate texts.
    """
    found = snapshot.find_generating(model)
    request.model = found.name
    return found


def refuse(values: Mapping[str, object], why: str) -> None:
    """Refuses fields that have a value.

    Args:
        values: by the name of the field.
        why: what to do.

    Raises:
        InputError: one has.
    """
    for name, value in values.items():
        if value not in (None, False, [], {}):
            raise InputError(f"The field {name} is not done here: {why}")


def reply_frame(kind: str, call: OpenAiCall, choices: Sequence[object]) -> dict[str, object]:
    """Returns a reply, or a chunk of one, without its usage."""
    return {
        "id": call.identity,
        "object": kind,
        "created": call.created_s,
        "model": call.model,
        "choices": choices,
    }


class TokenUsage:
    """Counts the tokens of a call: each prompt once, however many texts it has.

    Args:
        call: whose chunks are counted.
    """

    def __init__(self, call: GenerationCall) -> None:
        self._copies = call.copies
        self._prompts: dict[int, int] = {}
        self._generated = 0

    def add(self, chunk: TextChunk) -> None:
        """Counts a chunk."""
        self._prompts[chunk.index // self._copies] = chunk.prompt_tokens
        self._generated += chunk.tokens

    @property
    def shown(self) -> dict[str, int]:
        """The numbers as OpenAI writes them."""
        prompt = sum(self._prompts.values())
        return {
            "prompt_tokens": prompt,
            "completion_tokens": self._generated,
            "total_tokens": prompt + self._generated,
        }


def usage_of(call: GenerationCall, texts: Sequence[TextChunk]) -> dict[str, int]:
    """Returns the usage of a reply that is written whole."""
    usage = TokenUsage(call)
    for text in texts:
        usage.add(text)
    return usage.shown


class OpenAiEvents(TextEvents):
    """Events of one stream, in OpenAI's frame.

    Args:
        kind: what `object` says of a chunk.
        call: whose reply it is.
    """

    def __init__(self, kind: str, call: OpenAiCall) -> None:
        self._kind, self._call = kind, call
        self._usage = TokenUsage(call)

    def end(self) -> bytes:
        """Returns the usage where it is wanted, and what ends every stream."""
        if not self._call.has_usage:
            return DONE
        return _event(encode({**reply_frame(self._kind, self._call, []), "usage": self._usage.shown})) + DONE

    def fault(self, body: bytes) -> bytes:
        """Returns the error as an event."""
        return _event(body)

    def _choice(self, choice: Mapping[str, object]) -> bytes:
        """Returns an event of one choice; where usage is wanted, each says that it comes later."""
        frame = reply_frame(self._kind, self._call, [choice])
        return _event(encode({**frame, "usage": None} if self._call.has_usage else frame))


def request_schema(required: str, **own: JsonSchema) -> dict[str, object]:
    """Returns the schema of a request.

    Args:
        required: name of the field that may not be left out.
        own: schemas of the fields that the other request lacks.
    """
    number, count = {"type": ["number", "null"]}, {"type": ["integer", "null"], "minimum": 1}
    flag = {"type": ["boolean", "null"]}
    options = {"type": ["object", "null"], "properties": {"include_usage": flag}}
    properties = {
        **own,
        "model": {"type": ["string", "null"]},
        "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2, "default": 1},
        "top_p": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
        "top_k": {"type": ["integer", "null"], "minimum": 0},
        "min_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "n": count,
        "stop": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
        "seed": {"type": ["integer", "null"], "minimum": 0},
        "presence_penalty": number,
        "frequency_penalty": number,
        "repetition_penalty": number,
        "logit_bias": {"type": ["object", "null"], "additionalProperties": {"type": "number"}},
        "stream": flag,
        "stream_options": options,
        "user": {"type": ["string", "null"]},
    }
    return {"type": "object", "required": [required], "properties": properties, "additionalProperties": False}


def _stops(stop: str | list[str] | None) -> list[str]:
    stops = [stop] if isinstance(stop, str) else stop or []
    if len(stops) > MOST_STOPS:
        raise InputError(f"stop has {len(stops)} texts; at most {MOST_STOPS} may end a text.")
    return stops


def _biases(biases: Mapping[str, float] | None) -> dict[int, float]:
    for token, bias in (biases or {}).items():
        if not (token.isascii() and token.isdecimal()) or abs(bias) > LARGEST_BIAS:
            raise InputError(
                f"logit_bias has {bias:g} for {token[:20]!r}; it has ids of tokens, with a number from -{LARGEST_BIAS} "
                f"to {LARGEST_BIAS} for each."
            )
    return {int(token): bias for token, bias in (biases or {}).items()}


def _event(data: bytes) -> bytes:
    return b"data: %b\n\n" % data

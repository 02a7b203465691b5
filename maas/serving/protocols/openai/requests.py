"""What OpenAI's completions and chat completions share of their requests: fields, settings, and the call for texts.

Every field of a request is done or refused. `top_k`, `min_p`, `repetition_penalty`, `structured_outputs` and
`cache_salt` are no fields of OpenAI's; other servers have them by the same names.
Source: https://platform.openai.com/docs/api-reference/chat, https://platform.openai.com/docs/api-reference/completions
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from maas.errors import InputError
from maas.runtime.generation.settings import GenerationSettings, RepetitionPenalty, generation_settings
from maas.serving.call import GenerationCall, RowList
from maas.serving.examples import example_text
from maas.serving.faults import UnreadableError
from maas.serving.protocols.bodies import decode, require_prompts_size
from maas.serving.protocols.openai.forms import StructuredOutputs, TextForm
from maas.serving.protocols.openai.tools import ToolUse
from maas.serving.protocols.operations import Request
from maas.serving.repository import GeneratingDeployment, Snapshot

MOST_STOPS = 16
LARGEST_BIAS = 100


class GenerationRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Fields of all requests for texts; `user` is known and not needed."""

    model: str | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: float | None = None
    stream: bool | None = None
    user: str | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: RepetitionPenalty | None = None
    structured_outputs: StructuredOutputs | None = None
    cache_salt: str | None = None


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What a stream holds beside the texts; nothing is ever obfuscated."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class SamplingRequest(GenerationRequest, forbid_unknown_fields=True, kw_only=True):
    """Fields of completions and chat completions."""

    n: Annotated[int, Meta(ge=1)] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    stream_options: StreamOptions | None = None


Body = TypeVar("Body", bound=GenerationRequest)


class Wanted(NamedTuple):
    """What the two requests name differently.

    Args:
        prefix: of the reply's id.
        max_tokens: most new tokens; null for as many as the model's settings give.
        logprobs: number of the likeliest tokens to report; null reports none.
        form: that each text must have.
        tools: that texts may call; null where there are none.
    """

    prefix: str
    max_tokens: int | None
    logprobs: int | None
    form: TextForm
    tools: ToolUse | None = None


class OpenAiCall(GenerationCall, frozen=True, kw_only=True):
    """A call for texts whose reply is in one of OpenAI's forms.

    Args:
        identity: id of the reply.
        created_s: when the request was read, in seconds since 1970.
        has_usage: whether a stream ends with the numbers of tokens.
        tools: that texts may call; null where there are none.
    """

    identity: str
    created_s: int
    has_usage: bool = False
    tools: ToolUse | None = None


def read_generating(
    decoder: "msgspec.json.Decoder[Body]", request: Request, snapshot: Snapshot, example: object
) -> tuple[Body, GeneratingDeployment]:
    """Returns what a request for texts says, and the deployment that body or query name, or the first that generates.

    Args:
        decoder: of the body.
        request: of the caller; it keeps the model's name.
        snapshot: what is served.
        example: a body that works, for the message of one that does not.

    Raises:
        UnreadableError: it is not JSON, or not of that type.
        UnknownModelError: the model is not served.
        InputError: the body is too large, or the model does not generate texts.
    """
    require_prompts_size(request.body)
    try:
        body = decode(decoder, request.body)
    except UnreadableError as error:
        raise UnreadableError(f"{error} like {example_text(example)}") from None
    model = request.query.get("model") if body.model is None else body.model
    deployment = snapshot.find_generating(model, request.query.get("version"))
    request.model = deployment.name
    return body, deployment


def common_settings(body: GenerationRequest, max_tokens: int | None, logprobs: int | None) -> dict[str, object]:
    """Returns the settings that all requests have; the temperature is OpenAI's 1 unless one is set.

    Args:
        body: of the request.
        max_tokens: most new tokens; null for as many as the model's settings give.
        logprobs: number of the likeliest tokens to report; null reports none.
    """
    return {
        "max_tokens": max_tokens,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "top_p": body.top_p,
        "top_k": body.top_k,
        "min_p": body.min_p,
        "repetition_penalty": body.repetition_penalty,
        "logprobs": logprobs,
    }


def given_settings(given: Mapping[str, object]) -> GenerationSettings:
    """Returns settings of a generation; what is null stays as it is usual.

    Raises:
        InputError: one has no value that it may have.
    """
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
        InputError: a setting has no value that it may have, or what only a stream has is wanted.
    """
    options = body.stream_options
    if options is not None and not body.stream:
        raise InputError("stream_options are for streams; set stream to true as well, or leave them out.")
    if options is not None and options.include_obfuscation:
        raise InputError("stream_options.include_obfuscation is not done here; leave it out.")
    return OpenAiCall(
        model=deployment.name,
        version=deployment.version,
        inputs=RowList(prompts),
        settings=_sampling_settings(body, wanted),
        size_bytes=len(request.body),
        copies=body.n or 1,
        cache_salt=body.cache_salt or "",
        stream=bool(body.stream),
        identity=f"{wanted.prefix}-{uuid.uuid4().hex}",
        created_s=int(time.time()),
        has_usage=bool(options is not None and options.include_usage),
        tools=wanted.tools,
    )


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


def _sampling_settings(body: SamplingRequest, wanted: Wanted) -> GenerationSettings:
    own: dict[str, object] = {
        "presence_penalty": body.presence_penalty,
        "frequency_penalty": body.frequency_penalty,
        "seed": body.seed,
        "stop": _stops(body.stop),
        "logit_bias": _biases(body.logit_bias),
    }
    return given_settings({**common_settings(body, wanted.max_tokens, wanted.logprobs), **own, **wanted.form})


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

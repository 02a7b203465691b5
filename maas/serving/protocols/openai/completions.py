"""OpenAI's completions: texts that continue prompts, whole or streamed."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from maas.errors import InputError
from maas.serving.call import RowList, TextChunk
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.openai.forms import text_form
from maas.serving.protocols.openai.logprobs import completion_logprobs
from maas.serving.protocols.openai.operations import OpenAiOperation
from maas.serving.protocols.openai.replies import OpenAiEvents, TokenUsage, reply_frame
from maas.serving.protocols.openai.requests import (
    OpenAiCall,
    SamplingRequest,
    Wanted,
    call_for_texts,
    given_settings,
    read_generating,
    refuse,
)
from maas.serving.protocols.openai.schemas import sampling_schema
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Generating, Request
from maas.serving.protocols.parameters import MODEL_QUERY
from maas.serving.protocols.schemas import schema_like
from maas.serving.repository import GeneratingDeployment, Snapshot

KIND = "text_completion"
USUAL_TOKENS = 16
"""Most new tokens where a request sets none, as OpenAI has it."""
EXAMPLE_PROMPT = "In the beginning"


class CompletionsRequest(SamplingRequest, kw_only=True, forbid_unknown_fields=True):
    """The body of a request; what is not done here is named, to be refused with a reason."""

    prompt: str | list[object]
    max_tokens: int | None = None
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    echo: bool | None = None
    best_of: int | None = None
    suffix: str | None = None


_DECODER = msgspec.json.Decoder(CompletionsRequest)


def completions_operations(snapshot: Snapshot) -> list[AnyOperation]:
    """Returns the operation; documents show it where a model generates."""
    return [CompletionsOperation(is_documented=bool(snapshot.generating))]


class CompletionsOperation(OpenAiOperation, Generating[OpenAiCall]):
    """A text for each prompt."""

    call_type = OpenAiCall
    path = "/v1/completions"
    summary = "Continues texts as OpenAI's completions."

    def parse(self, request: Request, snapshot: Snapshot) -> OpenAiCall:
        """Returns a call with the prompts."""
        body, deployment = read_generating(_DECODER, request, snapshot, {"prompt": EXAMPLE_PROMPT, "max_tokens": 16})
        prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
        if prompts and isinstance(prompts[0], int | list):
            raise InputError("The prompt holds numbers of tokens; send texts.")
        refuse({"echo": body.echo, "suffix": body.suffix}, "leave it out.")
        if body.best_of not in (None, body.n or 1):
            raise InputError("best_of is not done here; leave it out, or set it to n.")
        max_tokens = USUAL_TOKENS if body.max_tokens is None else body.max_tokens
        wanted = Wanted("cmpl", max_tokens, body.logprobs, text_form(None, body.structured_outputs))
        return call_for_texts(request, body, deployment, prompts, wanted)

    def render(self, call: OpenAiCall, deployment: GeneratingDeployment, texts: Sequence[TextChunk]) -> bytes:
        """Returns a choice for each text, and the numbers of tokens."""
        choices = [_choice(call, deployment, text, 0) for text in texts]
        return encode({**reply_frame(KIND, call, choices), "usage": TokenUsage.of(call, texts).shown})

    def events(self, call: OpenAiCall, deployment: GeneratingDeployment) -> "CompletionEvents":
        """Returns what writes the events of a stream."""
        return CompletionEvents(call, deployment)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model that generates."""
        deployment = snapshot.find_generating(None)
        call = OpenAiCall(
            model=deployment.name, inputs=RowList([EXAMPLE_PROMPT]), size_bytes=0, identity="cmpl-1", created_s=0,
            settings=given_settings({}),
        )  # fmt: skip
        reply = msgspec.json.decode(self.render(call, deployment, [TextChunk(0, 4, " was", 1, (), "length")]))
        texts = {"type": "array", "minItems": 1, "items": {"type": "string"}}
        schema = sampling_schema(
            "prompt",
            prompt={"anyOf": [{"type": "string", "minLength": 1}, texts]},
            max_tokens={"type": ["integer", "null"], "minimum": 1, "default": USUAL_TOKENS},
            logprobs={"type": ["integer", "null"], "minimum": 0, "maximum": 5},
        )
        example = {"model": deployment.name, "prompt": EXAMPLE_PROMPT, "max_tokens": 16}
        return OperationDocument(Content(schema_like(reply), reply), Content(schema, example), query=MODEL_QUERY)


class CompletionEvents(OpenAiEvents):
    """Events of one stream of completions.

    Args:
        call: whose reply it is.
        deployment: that generates.
    """

    def __init__(self, call: OpenAiCall, deployment: GeneratingDeployment) -> None:
        super().__init__(KIND, call)
        self._deployment = deployment
        self._offsets: dict[int, int] = {}

    def written(self, chunk: TextChunk) -> bytes:
        """Returns an event of a choice; nothing where no character is whole yet."""
        self._usage.add(chunk)
        if not (chunk.text or chunk.chosen or chunk.finish_reason):
            return b""
        offset = self._offsets.get(chunk.index, 0)
        self._offsets[chunk.index] = offset + len(chunk.text)
        return self._choice(_choice(self._call, self._deployment, chunk, offset))


def _choice(call: OpenAiCall, deployment: GeneratingDeployment, text: TextChunk, offset: int) -> dict[str, object]:
    wanted = call.settings.logprobs is not None
    return {
        "index": text.index,
        "text": text.text,
        "logprobs": completion_logprobs(text.chosen, deployment, offset) if wanted else None,
        "finish_reason": text.finish_reason,
    }

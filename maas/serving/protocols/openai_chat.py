"""OpenAI's chat completions: answers to conversations, whole or streamed. The model's own template makes the prompt."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from maas.errors import InputError
from maas.serving.call import RowList, TextChunk
from maas.serving.faults import UnreadableError
from maas.serving.protocols.bodies import decode, encode
from maas.serving.protocols.openai import openai_fault
from maas.serving.protocols.openai_generation import (
    OpenAiCall,
    OpenAiEvents,
    SamplingRequest,
    Wanted,
    call_for_texts,
    chosen_generating,
    refuse,
    reply_frame,
    request_schema,
    sampling_settings,
    usage_of,
)
from maas.serving.protocols.openai_logprobs import chat_logprobs
from maas.serving.protocols.operations import Content, Generating, OperationDocument, Request
from maas.serving.protocols.schemas import schema_like
from maas.serving.repository import GeneratingDeployment, Snapshot

KIND, CHUNK_KIND = "chat.completion", "chat.completion.chunk"
EXAMPLE_MESSAGES = [{"role": "user", "content": "What is a bundle?"}]


class TextPart(msgspec.Struct, forbid_unknown_fields=True):
    """A part of a message that is text."""

    type: Literal["text"]
    text: str


class GivenMessage(msgspec.Struct, forbid_unknown_fields=True):
    """One message. What a reply has beside its content may be sent back as long as it is empty."""

    role: str
    content: str | list[TextPart]
    name: str | None = None
    refusal: None = None
    annotations: Annotated[list[object], Meta(max_length=0)] | None = None
    audio: None = None
    function_call: None = None
    tool_calls: Annotated[list[object], Meta(max_length=0)] | None = None

    @property
    def as_template_reads(self) -> dict[str, str]:
        """Role, content as one text, and the name where there is one."""
        content = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        message = {"role": self.role, "content": content}
        return message if self.name is None else {**message, "name": self.name}


class ChatRequest(SamplingRequest, kw_only=True, forbid_unknown_fields=True):
    """The body of a request; what is not done here is named, to be refused with a reason."""

    messages: Annotated[list[GivenMessage], Meta(min_length=1)]
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    response_format: dict[str, object] | None = None
    modalities: list[str] | None = None
    tools: list[object] | None = None
    tool_choice: object = None
    parallel_tool_calls: bool | None = None
    functions: list[object] | None = None
    store: bool | None = None
    metadata: dict[str, object] | None = None
    reasoning_effort: str | None = None


_DECODER = msgspec.json.Decoder(ChatRequest)


class ChatOperation(Generating[OpenAiCall]):
    """An answer to a conversation.

    Args:
        is_documented: whether documents show it.
    """

    protocol = "openai"
    call_type = OpenAiCall
    path = "/v1/chat/completions"
    summary = "Answers conversations as OpenAI's chat completions."

    def __init__(self, *, is_documented: bool = True) -> None:
        self.is_documented = is_documented

    def fault(self, kind: str, message: str) -> Mapping[str, object]:
        """Returns OpenAI's object of an error."""
        return openai_fault(kind, message)

    def parse(self, request: Request, snapshot: Snapshot) -> OpenAiCall:
        """Returns a call with the conversation."""
        try:
            body = decode(_DECODER, request.body)
        except UnreadableError as error:
            raise UnreadableError(f'{error} like {{"messages": {encode(EXAMPLE_MESSAGES).decode()}}}') from None
        deployment = chosen_generating(request, snapshot, body.model)
        _refuse_undone(body)
        messages = [message.as_template_reads for message in body.messages]
        return call_for_texts(
            request, body, deployment, [messages], Wanted("chatcmpl", _max_tokens(body), _logprobs(body))
        )

    def render(self, call: OpenAiCall, deployment: GeneratingDeployment, texts: Sequence[TextChunk]) -> bytes:
        """Returns a choice for each text, and the numbers of tokens."""
        choices = [
            {
                "index": text.index,
                "message": {"role": "assistant", "content": text.text, "refusal": None},
                "logprobs": _shown_logprobs(call, deployment, text),
                "finish_reason": text.finish_reason,
            }
            for text in texts
        ]
        return encode({**reply_frame(KIND, call, choices), "usage": usage_of(call, texts)})

    def events(self, call: OpenAiCall, deployment: GeneratingDeployment) -> "ChatEvents":
        """Returns what writes the events of a stream."""
        return ChatEvents(call, deployment)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model that generates."""
        deployment = snapshot.find_generating(None)
        call = OpenAiCall(
            model=deployment.name, inputs=RowList([EXAMPLE_MESSAGES]), size_bytes=0, identity="chatcmpl-1", created_s=0,
            settings=sampling_settings(SamplingRequest(), None, None),
        )  # fmt: skip
        reply = msgspec.json.decode(self.render(call, deployment, [TextChunk(0, 9, "A folder.", 3, (), "stop")]))
        text, count = {"type": "string"}, {"type": ["integer", "null"], "minimum": 1}
        parts = {"type": "array", "items": {"type": "object", "required": ["type", "text"]}}
        message = {
            "type": "object",
            "required": ["role", "content"],
            "properties": {"role": text, "content": {"anyOf": [text, parts]}, "name": {"type": ["string", "null"]}},
        }
        schema = request_schema(
            "messages",
            messages={"type": "array", "minItems": 1, "items": message},
            max_completion_tokens=count,
            max_tokens=count,
            logprobs={"type": ["boolean", "null"]},
            top_logprobs={"type": ["integer", "null"], "minimum": 0, "maximum": 20},
        )
        example = {"model": deployment.name, "messages": EXAMPLE_MESSAGES, "max_completion_tokens": 32}
        return OperationDocument(Content(schema_like(reply), reply), Content(schema, example))


class ChatEvents(OpenAiEvents):
    """Events of one stream of an answer.

    Args:
        call: whose reply it is.
        deployment: that generates.
    """

    def __init__(self, call: OpenAiCall, deployment: GeneratingDeployment) -> None:
        super().__init__(CHUNK_KIND, call)
        self._deployment = deployment
        self._begun: set[int] = set()

    def written(self, chunk: TextChunk) -> bytes:
        """Returns events of a choice: its role the first time, what it gained, and why it ended."""
        self._usage.add(chunk)
        events = b""
        if chunk.index not in self._begun:
            self._begun.add(chunk.index)
            events += self._delta(chunk.index, {"role": "assistant", "content": ""})
        if chunk.text or chunk.chosen:
            logprobs = _shown_logprobs(self._call, self._deployment, chunk)
            events += self._delta(chunk.index, {"content": chunk.text}, logprobs)
        if chunk.finish_reason is not None:
            events += self._delta(chunk.index, {}, finish_reason=chunk.finish_reason)
        return events

    def _delta(
        self, index: int, delta: Mapping[str, str], logprobs: object = None, finish_reason: str | None = None
    ) -> bytes:
        return self._choice({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason})


def _refuse_undone(body: ChatRequest) -> None:
    """Refuses what no model here does.

    Raises:
        InputError: the body wants it.
    """
    refuse({"tools": body.tools, "functions": body.functions}, "models here call no tools; leave it out.")
    undone = {"store": body.store, "metadata": body.metadata, "reasoning_effort": body.reasoning_effort}
    refuse(undone, "leave it out.")
    if body.tool_choice not in (None, "none", "auto"):
        raise InputError("The field tool_choice is not done here: models here call no tools; leave it out.")
    if body.response_format not in (None, {"type": "text"}):
        raise InputError('The response_format is not done here; leave it out, or write {"type": "text"}.')
    if body.modalities not in (None, ["text"]):
        raise InputError('The modalities are not done here; leave them out, or write ["text"].')


def _max_tokens(body: ChatRequest) -> int | None:
    if body.max_tokens is not None and body.max_completion_tokens not in (None, body.max_tokens):
        raise InputError("max_tokens and max_completion_tokens are two names of one thing; set the second alone.")
    return body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens


def _logprobs(body: ChatRequest) -> int | None:
    """Returns how many of the likeliest tokens are reported beside each; none where nothing is."""
    if body.top_logprobs is not None and not body.logprobs:
        raise InputError("top_logprobs are reported with logprobs; set logprobs to true as well.")
    return (body.top_logprobs or 0) if body.logprobs else None


def _shown_logprobs(call: OpenAiCall, deployment: GeneratingDeployment, text: TextChunk) -> dict[str, object] | None:
    return None if call.settings.logprobs is None else chat_logprobs(text.chosen, deployment)

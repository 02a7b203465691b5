"""OpenAI's chat completions: answers to conversations, whole or streamed. The model's own template makes the prompt."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from maas.errors import InputError
from maas.serving.call import RowList, TextChunk
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.openai.chat_documents import EXAMPLE_MESSAGES, chat_schema
from maas.serving.protocols.openai.chat_replies import KIND, ChatEvents, chat_choice
from maas.serving.protocols.openai.forms import ChatFormat, text_form
from maas.serving.protocols.openai.messages import GivenMessage, conversation_of
from maas.serving.protocols.openai.operations import OpenAiOperation
from maas.serving.protocols.openai.replies import TokenUsage, reply_frame
from maas.serving.protocols.openai.requests import (
    OpenAiCall,
    SamplingRequest,
    Wanted,
    call_for_texts,
    given_settings,
    read_generating,
    refuse,
)
from maas.serving.protocols.openai.tools import FunctionTool, ToolChoice, ToolUse, tool_use
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Generating, Request
from maas.serving.protocols.parameters import MODEL_QUERY
from maas.serving.protocols.schemas import schema_like
from maas.serving.repository import GeneratingDeployment, Snapshot


class ChatRequest(SamplingRequest, kw_only=True, forbid_unknown_fields=True):
    """The body of a request; what is not done here is named, to be refused with a reason."""

    messages: Annotated[list[GivenMessage], Meta(min_length=1)]
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    response_format: ChatFormat | None = None
    modalities: list[str] | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    functions: list[object] | None = None
    store: bool | None = None
    metadata: dict[str, object] | None = None
    reasoning_effort: str | None = None


_DECODER = msgspec.json.Decoder(ChatRequest)


def chat_operations(snapshot: Snapshot) -> list[AnyOperation]:
    """Returns the operation; documents show it where a model generates."""
    return [ChatOperation(is_documented=bool(snapshot.generating))]


class ChatOperation(OpenAiOperation, Generating[OpenAiCall]):
    """An answer to a conversation."""

    call_type = OpenAiCall
    path = "/v1/chat/completions"
    summary = "Answers conversations as OpenAI's chat completions."

    def parse(self, request: Request, snapshot: Snapshot) -> OpenAiCall:
        """Returns a call with the conversation."""
        body, deployment = read_generating(_DECODER, request, snapshot, {"messages": EXAMPLE_MESSAGES})
        _refuse_undone(body)
        reads_tools = deployment.generator.reads_tools
        use = tool_use(
            body.tools, body.tool_choice, is_parallel=body.parallel_tool_calls is not False, reads_tools=reads_tools
        )
        conversation = conversation_of(body.messages, use, reads_tools=reads_tools)
        wanted = Wanted("chatcmpl", _max_tokens(body), _logprobs(body), _form(body, use), use)
        return call_for_texts(request, body, deployment, [conversation], wanted)

    def render(self, call: OpenAiCall, deployment: GeneratingDeployment, texts: Sequence[TextChunk]) -> bytes:
        """Returns a choice for each text, and the numbers of tokens."""
        choices = [chat_choice(call, deployment, text) for text in texts]
        return encode({**reply_frame(KIND, call, choices), "usage": TokenUsage.of(call, texts).shown})

    def events(self, call: OpenAiCall, deployment: GeneratingDeployment) -> ChatEvents:
        """Returns what writes the events of a stream."""
        return ChatEvents(call, deployment)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model that generates."""
        deployment = snapshot.find_generating(None)
        call = OpenAiCall(
            model=deployment.name, inputs=RowList([EXAMPLE_MESSAGES]), size_bytes=0, identity="chatcmpl-1", created_s=0,
            settings=given_settings({}),
        )  # fmt: skip
        reply = msgspec.json.decode(self.render(call, deployment, [TextChunk(0, 9, "A folder.", 3, (), "stop")]))
        example = {"model": deployment.name, "messages": EXAMPLE_MESSAGES, "max_completion_tokens": 32}
        return OperationDocument(Content(schema_like(reply), reply), Content(chat_schema(), example), query=MODEL_QUERY)


def _refuse_undone(body: ChatRequest) -> None:
    """Refuses what no model here does.

    Raises:
        InputError: the body wants it.
    """
    undone = {"store": body.store, "metadata": body.metadata, "reasoning_effort": body.reasoning_effort}
    refuse(undone, "leave it out.")
    refuse({"functions": body.functions}, "it is replaced by tools.")
    if body.modalities not in (None, ["text"]):
        raise InputError('The modalities are not done here; leave them out, or write ["text"].')
    if body.tools and body.logprobs:
        raise InputError("logprobs are not reported beside tools; leave one of them out.")


def _form(body: ChatRequest, use: ToolUse | None) -> Mapping[str, object]:
    """Returns the form of each text, of the response or of a call.

    Raises:
        InputError: both are wanted.
    """
    form = text_form(body.response_format, body.structured_outputs)
    if use is None:
        return form
    if form:
        raise InputError(
            "A text is a call of a tool or has the response's format; set tool_choice to none for the latter."
        )
    return use.form


def _max_tokens(body: ChatRequest) -> int | None:
    if body.max_tokens is not None and body.max_completion_tokens not in (None, body.max_tokens):
        raise InputError("max_tokens and max_completion_tokens are two names of one thing; set the second alone.")
    return body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens


def _logprobs(body: ChatRequest) -> int | None:
    """Returns how many of the likeliest tokens are reported beside each; none where nothing is."""
    if body.top_logprobs is not None and not body.logprobs:
        raise InputError("top_logprobs are reported with logprobs; set logprobs to true as well.")
    return (body.top_logprobs or 0) if body.logprobs else None

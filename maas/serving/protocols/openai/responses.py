"""OpenAI's responses: text in, text out, whole or streamed. No conversation is kept, so that none can be continued.

Every field of a request is done or refused.
Source: https://platform.openai.com/docs/api-reference/responses
"""

import time
import uuid
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from maas.errors import InputError
from maas.runtime.generation.chat_prompt import ChatMessage, ChatPrompt
from maas.serving.call import RowList, TextChunk
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.openai.forms import AnyText, ResponsesFormat, text_form
from maas.serving.protocols.openai.messages import template_role
from maas.serving.protocols.openai.operations import OpenAiOperation
from maas.serving.protocols.openai.requests import (
    GenerationRequest,
    common_settings,
    given_settings,
    read_generating,
    refuse,
)
from maas.serving.protocols.openai.response_events import ResponseEvents, ResponsesCall, whole_response
from maas.serving.protocols.openai.schemas import COUNT, MAYBE_STRING, STRING, generation_schema
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Generating, Request
from maas.serving.protocols.parameters import MODEL_QUERY
from maas.serving.protocols.schemas import schema_like
from maas.serving.repository import GeneratingDeployment, Snapshot

EXAMPLE_INPUT = "What is a bundle?"


class InputText(msgspec.Struct, tag="input_text", tag_field="type", forbid_unknown_fields=True):
    """A text of a message."""

    text: str


class OutputText(msgspec.Struct, tag="output_text", tag_field="type", forbid_unknown_fields=True):
    """A text of a reply that is sent back."""

    text: str
    annotations: Annotated[list[object], Meta(max_length=0)] = []
    logprobs: list[object] | None = None


class InputMessage(msgspec.Struct, forbid_unknown_fields=True):
    """One message, or one that a reply held."""

    role: str
    content: str | list[InputText | OutputText]
    type: Literal["message"] = "message"
    id: str | None = None
    status: str | None = None
    phase: str | None = None

    @property
    def as_template_reads(self) -> ChatMessage:
        """Role, and content as one text."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": template_role(self.role), "content": text}


class TextSettings(msgspec.Struct, forbid_unknown_fields=True):
    """What the text is like."""

    format: ResponsesFormat | None = None
    verbosity: str | None = None


class ResponsesRequest(GenerationRequest, kw_only=True, forbid_unknown_fields=True):
    """The body of a request; what is not done here is named, to be refused with a reason."""

    input: str | Annotated[list[InputMessage], Meta(min_length=1)]
    instructions: str | None = None
    max_output_tokens: int | None = None
    text: TextSettings | None = None
    truncation: Literal["auto", "disabled"] | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    conversation: object = None
    background: bool | None = None
    include: list[str] | None = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: bool | None = None
    prompt: object = None
    reasoning: object = None
    tool_choice: object = None
    tools: list[object] | None = None
    top_logprobs: int | None = None


_DECODER = msgspec.json.Decoder(ResponsesRequest)


def responses_operations(snapshot: Snapshot) -> list[AnyOperation]:
    """Returns the operation; documents show it where a model generates."""
    return [ResponsesOperation(is_documented=bool(snapshot.generating))]


class ResponsesOperation(OpenAiOperation, Generating[ResponsesCall]):
    """An answer to a text or a conversation."""

    call_type = ResponsesCall
    path = "/v1/responses"
    summary = "Answers as OpenAI's responses."

    def parse(self, request: Request, snapshot: Snapshot) -> ResponsesCall:
        """Returns a call with the conversation."""
        body, deployment = read_generating(_DECODER, request, snapshot, {"input": EXAMPLE_INPUT})
        _refuse_undone(body)
        text = body.text or TextSettings()
        settings = {
            **common_settings(body, body.max_output_tokens, None),
            **text_form(text.format, body.structured_outputs),
            "overflow": "cut" if body.truncation == "auto" else None,
        }
        return ResponsesCall(
            model=deployment.name,
            version=deployment.version,
            inputs=RowList([_conversation(body)]),
            settings=given_settings(settings),
            size_bytes=len(request.body),
            cache_salt=body.cache_salt or "",
            stream=bool(body.stream),
            identity=uuid.uuid4().hex,
            created_s=int(time.time()),
            repeated=_repeated(body, text),
        )

    def render(self, call: ResponsesCall, deployment: GeneratingDeployment, texts: Sequence[TextChunk]) -> bytes:
        """Returns a message with the text, and the numbers of tokens."""
        return encode(whole_response(call, texts[0]))

    def events(self, call: ResponsesCall, deployment: GeneratingDeployment) -> ResponseEvents:
        """Returns what writes the events of a stream."""
        return ResponseEvents(call)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model that generates."""
        deployment = snapshot.find_generating(None)
        body = ResponsesRequest(input=EXAMPLE_INPUT)
        call = ResponsesCall(
            model=deployment.name, inputs=RowList([_conversation(body)]), settings=given_settings({}), size_bytes=0,
            identity="1", created_s=0, repeated=_repeated(body, TextSettings()),
        )  # fmt: skip
        reply = msgspec.json.decode(self.render(call, deployment, [TextChunk(0, 9, "A folder.", 3, (), "stop")]))
        parts = {"type": "array", "items": {"type": "object", "required": ["type", "text"]}}
        message = {
            "type": "object",
            "required": ["role", "content"],
            "properties": {"role": STRING, "content": {"anyOf": [STRING, parts]}},
        }
        schema = generation_schema(
            "input",
            input={"anyOf": [STRING, {"type": "array", "minItems": 1, "items": message}]},
            instructions=MAYBE_STRING,
            max_output_tokens=COUNT,
            text={"type": ["object", "null"], "properties": {"format": {"type": ["object", "null"]}}},
            truncation={"type": ["string", "null"], "enum": ["auto", "disabled", None]},
        )
        example = {"model": deployment.name, "input": EXAMPLE_INPUT, "max_output_tokens": 32}
        return OperationDocument(Content(schema_like(reply), reply), Content(schema, example), query=MODEL_QUERY)


def _conversation(body: ResponsesRequest) -> ChatPrompt:
    said = [InputMessage("user", body.input)] if isinstance(body.input, str) else body.input
    system = [] if body.instructions is None else [InputMessage("system", body.instructions)]
    return ChatPrompt([message.as_template_reads for message in (*system, *said)])


def _repeated(body: ResponsesRequest, text: TextSettings) -> dict[str, object]:
    """Returns the fields of a request that its reply repeats."""
    return {
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "text": {"format": msgspec.to_builtins(text.format or AnyText())},
        "truncation": body.truncation or "disabled",
        "user": body.user,
    }


def _refuse_undone(body: ResponsesRequest) -> None:
    """Refuses what no model here does.

    Raises:
        InputError: the body wants it.
    """
    kept = {"store": body.store, "previous_response_id": body.previous_response_id, "conversation": body.conversation}
    refuse(kept, "nothing is kept; leave it out, and send the messages so far as input.")
    refuse({"tools": body.tools}, "use /v1/chat/completions, or leave it out.")
    undone = {
        "background": body.background, "include": body.include, "metadata": body.metadata, "prompt": body.prompt,
        "reasoning": body.reasoning, "top_logprobs": body.top_logprobs,
        "text.verbosity": body.text.verbosity if body.text else None,
    }  # fmt: skip
    refuse(undone, "leave it out.")
    if body.tool_choice not in (None, "none", "auto"):
        raise InputError("tool_choice wants a call, and there are no tools here; leave it out.")

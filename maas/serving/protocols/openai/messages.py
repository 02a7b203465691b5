"""Messages of OpenAI's conversations, and how a chat template reads them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from maas.errors import InputError
from maas.runtime.generation.chat_prompt import ChatPrompt
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.openai.tools import ToolUse


class TextPart(msgspec.Struct, forbid_unknown_fields=True):
    """A part of a message that is text."""

    type: Literal["text"]
    text: str


class CalledFunction(msgspec.Struct, forbid_unknown_fields=True):
    """A function that a model has called; the arguments are JSON."""

    name: str
    arguments: str

    @property
    def values(self) -> object:
        """The arguments as values; as they are written where that is no JSON."""
        try:
            return msgspec.json.decode(self.arguments)
        except (msgspec.DecodeError, RecursionError):
            return self.arguments


class GivenCall(msgspec.Struct, forbid_unknown_fields=True):
    """A call that a model has made."""

    id: str
    function: CalledFunction
    type: Literal["function"] = "function"


class GivenMessage(msgspec.Struct, forbid_unknown_fields=True):
    """One message. What a reply has beside content and calls may be sent back as long as it is empty."""

    role: str
    content: str | list[TextPart] | None = None
    name: str | None = None
    refusal: None = None
    annotations: Annotated[list[object], Meta(max_length=0)] | None = None
    audio: None = None
    function_call: None = None
    tool_calls: list[GivenCall] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The content as one text."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""

    def as_template_reads(self, *, reads_tools: bool) -> dict[str, object]:
        """Returns role, content as one text, and name and calls where there are some.

        Args:
            reads_tools: whether the template reads calls; others read them as JSON in the content.
        """
        message: dict[str, object] = {"role": template_role(self.role), "content": self.text}
        if self.name is not None:
            message["name"] = self.name
        if not reads_tools:
            calls = [encode({"name": one.function.name, "arguments": one.function.values}) for one in self._calls]
            return {**message, "content": "\n".join([*filter(None, [self.text]), *(call.decode() for call in calls)])}
        if self.tool_call_id is not None:
            message["tool_call_id"] = self.tool_call_id
        if self._calls:
            message["tool_calls"] = [_call_as_template_reads(call) for call in self._calls]
        return message

    @property
    def _calls(self) -> Sequence[GivenCall]:
        return self.tool_calls or ()


def template_role(role: str) -> str:
    """Returns the role that chat templates know a message by; OpenAI calls the system `developer` today."""
    return "system" if role == "developer" else role


def conversation_of(messages: Sequence[GivenMessage], tools: ToolUse | None, *, reads_tools: bool) -> ChatPrompt:
    """Returns a conversation as the model's chat template reads it.

    Args:
        messages: of a request.
        tools: that the model may call; null where there are none.
        reads_tools: whether the template reads them; the first message says what they are where it does not.

    Raises:
        InputError: a message has neither content nor calls.
    """
    for index, message in enumerate(messages):
        if message.content is None and not message.tool_calls:
            raise InputError(f"Message {index} has no content; give it a text.")
    shown = [message.as_template_reads(reads_tools=reads_tools) for message in messages]
    if tools is None:
        return ChatPrompt(shown)
    if reads_tools:
        return ChatPrompt(shown, tools.as_template_reads)
    return ChatPrompt(_instructed(shown, tools.instruction))


def _call_as_template_reads(call: GivenCall) -> dict[str, object]:
    function = {"name": call.function.name, "arguments": call.function.values}
    return {"id": call.id, "type": call.type, "function": function}


def _instructed(messages: Sequence[Mapping[str, object]], instruction: str) -> list[Mapping[str, object]]:
    """Returns messages whose system message ends with an instruction; it is the first one."""
    first = messages[0]
    if first["role"] != "system":
        return [{"role": "system", "content": instruction}, *messages]
    return [{**first, "content": f"{first['content']}\n\n{instruction}"}, *messages[1:]]

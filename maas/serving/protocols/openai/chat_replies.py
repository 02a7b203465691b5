"""Replies of OpenAI's chat completions: choices with content or calls of tools, and their events."""

import uuid
from collections.abc import Mapping, Sequence

from maas.serving.call import TextChunk
from maas.serving.protocols.openai.logprobs import chat_logprobs
from maas.serving.protocols.openai.replies import OpenAiEvents
from maas.serving.protocols.openai.requests import OpenAiCall
from maas.serving.protocols.openai.tool_calls import CallReader, ReplyPart, reader_for, reply_parts
from maas.serving.protocols.openai.tools import ToolUse
from maas.serving.repository import GeneratingDeployment

KIND, CHUNK_KIND = "chat.completion", "chat.completion.chunk"


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
        self._readers: dict[int, CallReader] = {}
        self._calling: set[int] = set()

    def written(self, chunk: TextChunk) -> bytes:
        """Returns events of a choice: its role the first time, what it gained, and why it ended."""
        self._usage.add(chunk)
        events = b""
        if chunk.index not in self._begun:
            self._begun.add(chunk.index)
            events += self._delta(chunk.index, {"role": "assistant", "content": None if self._call.tools else ""})
        if self._call.tools is not None:
            events += self._parts(chunk, self._call.tools)
        elif chunk.text or chunk.chosen:
            logprobs = _shown_logprobs(self._call, self._deployment, chunk)
            events += self._delta(chunk.index, {"content": chunk.text}, logprobs)
        if chunk.finish_reason is not None:
            reason = _reason(self._call.tools, chunk, is_call=chunk.index in self._calling)
            events += self._delta(chunk.index, {}, finish_reason=reason)
        return events

    def _parts(self, chunk: TextChunk, use: ToolUse) -> bytes:
        """Returns events of a text that may call tools."""
        reader = self._readers.setdefault(chunk.index, reader_for(use))
        parts = reader.feed(chunk.text)
        if chunk.finish_reason is not None:
            parts += reader.end(is_whole=chunk.finish_reason == "stop")
        self._calling |= {chunk.index for part in parts if part.call is not None}
        return b"".join(self._delta(chunk.index, _delta_of(part)) for part in parts)

    def _delta(
        self, index: int, delta: Mapping[str, object], logprobs: object = None, finish_reason: str | None = None
    ) -> bytes:
        return self._choice({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason})


def chat_choice(call: OpenAiCall, deployment: GeneratingDeployment, text: TextChunk) -> dict[str, object]:
    """Returns a whole text as a choice."""
    message: dict[str, object] = {"role": "assistant", "content": text.text, "refusal": None}
    is_call = False
    if call.tools is not None:
        parts = reply_parts(text.text, call.tools, is_whole=text.finish_reason == "stop")
        content = "".join(part.text for part in parts if part.call is None)
        message["content"] = content or None
        if calls := _whole_calls(parts):
            is_call, message["tool_calls"] = True, calls
    return {
        "index": text.index,
        "message": message,
        "logprobs": _shown_logprobs(call, deployment, text),
        "finish_reason": _reason(call.tools, text, is_call=is_call),
    }


def _whole_calls(parts: Sequence[ReplyPart]) -> list[dict[str, object]]:
    arguments: dict[int, tuple[str, str]] = {}
    for part in parts:
        if part.call is not None:
            name, before = arguments.get(part.call, (part.name, ""))
            arguments[part.call] = (name, before + part.text)
    return [_tool_call(name, text) for name, text in arguments.values()]


def _delta_of(part: ReplyPart) -> dict[str, object]:
    if part.call is None:
        return {"content": part.text}
    gained = _tool_call(part.name, part.text) if part.name else {"function": {"arguments": part.text}}
    return {"tool_calls": [{"index": part.call, **gained}]}


def _tool_call(name: str, arguments: str) -> dict[str, object]:
    function = {"name": name, "arguments": arguments}
    return {"id": f"call_{uuid.uuid4().hex}", "type": "function", "function": function}


def _reason(use: ToolUse | None, text: TextChunk, *, is_call: bool) -> str | None:
    """Returns why a text ended: a call that the model named itself has a reason of its own."""
    return "tool_calls" if use and is_call and not use.named and text.finish_reason == "stop" else text.finish_reason


def _shown_logprobs(call: OpenAiCall, deployment: GeneratingDeployment, text: TextChunk) -> dict[str, object] | None:
    return None if call.settings.logprobs is None else chat_logprobs(text.chosen, deployment)

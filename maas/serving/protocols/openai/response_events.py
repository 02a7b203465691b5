"""Replies of OpenAI's responses: one object, or the events in which it comes.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from collections.abc import Mapping

import msgspec

from maas.serving.call import GenerationCall, TextChunk
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.openai.replies import TokenUsage
from maas.serving.protocols.streaming import TextEvents


class ResponsesCall(GenerationCall, frozen=True, kw_only=True):
    """A call for a text whose reply is a response.

    Args:
        identity: what the ids of response and message end with.
        created_s: when the request was read, in seconds since 1970.
        repeated: fields of the request that the reply repeats.
    """

    identity: str
    created_s: int
    repeated: Mapping[str, object]

    @property
    def message_id(self) -> str:
        """Id of the message."""
        return f"msg_{self.identity}"


def whole_response(call: ResponsesCall, text: TextChunk) -> dict[str, object]:
    """Returns the reply with its whole text; it is incomplete where the text was cut at the most tokens."""
    is_whole = text.finish_reason == "stop"
    usage = TokenUsage.of(call, [text])
    return {
        **_response(call, "completed" if is_whole else "incomplete"),
        "incomplete_details": None if is_whole else {"reason": "max_output_tokens"},
        "output": [_message(call, text.text, "completed" if is_whole else "incomplete")],
        "usage": {
            "input_tokens": usage.read,
            "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
            "output_tokens": usage.generated,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.read + usage.generated,
        },
    }


class ResponseEvents(TextEvents):
    """Events of one stream, numbered, each with its type.

    Args:
        call: whose reply it is.
    """

    def __init__(self, call: ResponsesCall) -> None:
        self._call = call
        self._number = 0
        self._text = ""
        self._tokens = 0

    def written(self, chunk: TextChunk) -> bytes:
        """Returns what begins the reply the first time, what the text gained, and what ends the reply."""
        events = b"" if self._number else self._begin()
        self._text += chunk.text
        self._tokens += chunk.tokens
        if chunk.text:
            events += self._of_text("response.output_text.delta", delta=chunk.text, logprobs=[])
        if chunk.finish_reason is not None:
            whole = msgspec.structs.replace(chunk, text=self._text, tokens=self._tokens)
            events += self._finish(whole_response(self._call, whole))
        return events

    def end(self) -> bytes:
        """Returns nothing: the last event says that it is the last."""
        return b""

    def fault(self, body: bytes) -> bytes:
        """Returns the error as an event."""
        error = msgspec.json.decode(body)["error"]
        return self._event("error", code=error["code"], message=error["message"], param=error["param"])

    def _begin(self) -> bytes:
        response = _response(self._call, "in_progress")
        item = {**_message(self._call, "", "in_progress"), "content": []}
        return b"".join(
            [
                self._event("response.created", response=response),
                self._event("response.in_progress", response=response),
                self._event("response.output_item.added", output_index=0, item=item),
                self._of_text("response.content_part.added", part=_part("")),
            ]
        )

    def _finish(self, response: Mapping[str, object]) -> bytes:
        status = response["status"]
        item = _message(self._call, self._text, str(status))
        return b"".join(
            [
                self._of_text("response.output_text.done", text=self._text, logprobs=[]),
                self._of_text("response.content_part.done", part=_part(self._text)),
                self._event("response.output_item.done", output_index=0, item=item),
                self._event(f"response.{status}", response=response),
            ]
        )

    def _of_text(self, kind: str, **fields: object) -> bytes:
        """Returns an event of the only text of the only message."""
        return self._event(kind, item_id=self._call.message_id, output_index=0, content_index=0, **fields)

    def _event(self, kind: str, **fields: object) -> bytes:
        number, self._number = self._number, self._number + 1
        return b"event: %b\ndata: %b\n\n" % (
            kind.encode(),
            encode({"type": kind, "sequence_number": number, **fields}),
        )


def _response(call: ResponsesCall, status: str) -> dict[str, object]:
    """Returns a reply without its text."""
    return {
        "id": f"resp_{call.identity}",
        "object": "response",
        "created_at": call.created_s,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": call.model,
        "output": [],
        "parallel_tool_calls": False,
        "previous_response_id": None,
        "store": False,
        "tool_choice": "none",
        "tools": [],
        "metadata": {},
        **call.repeated,
        "usage": None,
    }


def _message(call: ResponsesCall, text: str, status: str) -> dict[str, object]:
    return {
        "id": call.message_id,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [_part(text)],
    }


def _part(text: str) -> dict[str, object]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

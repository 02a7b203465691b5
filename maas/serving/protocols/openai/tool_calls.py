"""Calls of tools in the texts of a model, found while they come.

A required call is `{"name": …, "arguments": …}`, whose arguments are passed on as they are generated. A model that is
free to call writes JSON of that form (Llama's has `parameters`), alone or between the marks that Hermes and Qwen have;
such a text is held back until its end, and is a text like any other where it is no call.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from maas.runtime.generation.stops import overlap
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.openai.tools import ToolUse

MARK, END_MARK = "<tool_call>", "</tool_call>"
_MARKED = re.compile(rf"{MARK}(.*?)(?:{END_MARK}|\Z)", re.DOTALL)
_BEGIN = re.compile(r'\{"name": ?"([^"]+)", ?"arguments":')


class ReplyPart(NamedTuple):
    """What a reply gains.

    Args:
        text: characters of the content, or of the arguments of a call.
        call: number of the call; None for content.
        name: function of a call that begins here; empty elsewhere.
    """

    text: str
    call: int | None = None
    name: str = ""


class CallReader(ABC):
    """Reads one text as it comes."""

    @abstractmethod
    def feed(self, text: str) -> list[ReplyPart]:
        """Returns what the reply gains by some more characters."""

    def end(self, *, is_whole: bool) -> list[ReplyPart]:
        """Returns what it gains at the text's end.

        Args:
            is_whole: whether the text has come to its own end.
        """
        return []


class ArgumentsReader(CallReader):
    """Reads the arguments of one function.

    Args:
        name: of the function.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def feed(self, text: str) -> list[ReplyPart]:
        """Returns the characters."""
        name, self._name = self._name, ""
        return [ReplyPart(text, 0, name)] if text or name else []


class RequiredCallReader(CallReader):
    """Reads one call, whose last brace is none of its arguments'."""

    def __init__(self) -> None:
        self._held = ""
        self._has_begun = self._has_arguments = False

    def feed(self, text: str) -> list[ReplyPart]:
        """Returns the name once it is there, and arguments as they come."""
        self._held += text
        name = ""
        if not self._has_begun:
            found = _BEGIN.match(self._held)
            if found is None:
                return []
            self._has_begun, name, self._held = True, found[1], self._held[found.end() :]
        if not self._has_arguments:
            self._held = self._held.lstrip()
        kept = len(self._held) - self._held.endswith("}")
        arguments, self._held = self._held[:kept], self._held[kept:]
        self._has_arguments = self._has_arguments or bool(arguments)
        return [ReplyPart(arguments, 0, name)] if arguments or name else []

    def end(self, *, is_whole: bool) -> list[ReplyPart]:
        """Returns a brace that belongs to the arguments after all, or what is not even a name, as content."""
        if is_whole or not self._held:
            return []
        return [ReplyPart(self._held, 0 if self._has_begun else None)]


class FreeReader(CallReader):
    """Reads a text that may hold calls.

    Args:
        use: tools that may be called.
    """

    def __init__(self, use: ToolUse) -> None:
        self._use = use
        self._held = ""
        self._has_content = False

    def feed(self, text: str) -> list[ReplyPart]:
        """Returns the characters that cannot belong to a call."""
        self._held += text
        if not self._has_content and self._held.lstrip()[:1] in ("", "{", "["):
            return []
        mark = self._held.find(MARK)
        end = mark if mark >= 0 else len(self._held) - overlap(self._held, MARK)
        if not self._has_content and not self._held[:end].strip():
            return []
        self._has_content = True
        sure, self._held = self._held[:end], self._held[end:]
        return [ReplyPart(sure)] if sure else []

    def end(self, *, is_whole: bool) -> list[ReplyPart]:
        """Returns the calls, or the text that was held back and is none."""
        calls = list(calls_in(self._held, self._use.names))[: 1 if self._use.has_one_call else None]
        if calls:
            return [ReplyPart(arguments, number, name) for number, (name, arguments) in enumerate(calls)]
        return [ReplyPart(self._held)] if self._held else []


def reader_for(use: ToolUse) -> CallReader:
    """Returns what reads a text of a call that uses tools."""
    if use.named:
        return ArgumentsReader(use.named)
    return RequiredCallReader() if use.is_required else FreeReader(use)


def reply_parts(text: str, use: ToolUse, *, is_whole: bool) -> list[ReplyPart]:
    """Returns all that a text gives a reply."""
    reader = reader_for(use)
    return [*reader.feed(text), *reader.end(is_whole=is_whole)]


def calls_in(text: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields function and arguments of each call in a text, unless a part of it is no call of these functions.

    Args:
        text: that a model wrote.
        names: of the functions.
    """
    written = _MARKED.findall(text) or [text]
    try:
        decoded = [msgspec.json.decode(one.strip()) for one in written]
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return
    calls = [call for one in decoded for call in (one if isinstance(one, list) else [one])]
    found = [_call(call, names) for call in calls]
    if None not in found:
        yield from (call for call in found if call is not None)


def _call(written: object, names: Sequence[str]) -> tuple[str, str] | None:
    if not isinstance(written, dict) or written.get("name") not in names:
        return None
    arguments = written.get("arguments", written.get("parameters"))
    if isinstance(arguments, dict):
        return written["name"], encode(arguments).decode()
    return (written["name"], arguments) if isinstance(arguments, str) else None

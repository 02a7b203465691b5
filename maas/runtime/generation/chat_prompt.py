"""What a model that answers is given: messages, and the tools that it may call. It renders nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from maas.errors import InputError

ChatMessage: TypeAlias = Mapping[str, Any]
"""`role` and `content`, and whatever else a template reads."""


@dataclass(frozen=True)
class ChatPrompt:
    """Messages, and the tools that their reader may call.

    Args:
        messages: conversation so far.
        tools: as chat templates take them: `{"type": "function", "function": {"name": …, "parameters": …}}` each.
    """

    messages: Sequence[ChatMessage]
    tools: Sequence[object] = ()

    @classmethod
    def of(cls, prompt: object) -> "ChatPrompt":
        """Returns a conversation, or one that messages make.

        Raises:
            InputError: it is none, or a message lacks role or content.
        """
        if isinstance(prompt, ChatPrompt):
            return prompt
        if not isinstance(prompt, Sequence) or isinstance(prompt, bytes) or not prompt:
            raise InputError(
                f"The prompt is of type {type(prompt).__name__}; give a text, or a list of one or more messages."
            )
        for index, message in enumerate(prompt):
            if not isinstance(message, Mapping) or not isinstance(message.get("role"), str) or "content" not in message:
                raise InputError(
                    f'Message {index} lacks role or content; write {{"role": "user", "content": "…"}} for each.'
                )
        return cls(prompt)

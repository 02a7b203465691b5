"""Prompts and conversations as parts, and how likely a text is after what is left of them."""

import html
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from maas.errors import InputError
from maas.explaining.colours import printable
from maas.explaining.parts.base import InputParts, Parts, RowPart
from maas.explaining.sampling import Mask, ValuesOfParts
from maas.explaining.words import Words, words_in
from maas.runtime.generation.chat_prompt import ChatPrompt
from maas.runtime.generation.scoring import continuation_logprobs
from maas.runtime.generation.settings import GenerationSettings

if TYPE_CHECKING:  # only a bundle that generates needs jinja2, and only pictures need Pillow
    from PIL.Image import Image

    from maas.runtime.generation.chat_prompt import ChatMessage
    from maas.runtime.generation.generator import Prompt, TextGenerator

CONTINUATION_TOKENS = 32
"""Most tokens of the text that is explained, where it is the model's own."""
TOKENS_AT_ONCE = 2048
"""Of all prompts and texts that are read together: bounds the memory of their keys and values."""
SHOWN_CHARACTERS = 60


class PromptWords(Words):
    """Words of a text that a model continues, or of one message.

    Args:
        text: with a word or more.
        name: name of the input.
        most: the most parts; None for 64.
    """

    def __init__(self, text: str, name: str, most: int | None) -> None:
        self.input_name = name
        self.cut_(text, words_in(text), text, most)


class ConversationWords(Parts):
    """Words of all messages of a conversation; a message whose words are all left out is empty, and stays.

    Args:
        messages: of the conversation.
        most: the most parts of a message; None for 64.
    """

    part_kind: ClassVar = "words"

    def __init__(self, messages: "Sequence[ChatMessage]", most: int | None) -> None:
        self.input_name = "messages"
        self._messages = messages
        self._views = {
            index: PromptWords(message["content"], str(message["role"]), most)
            for index, message in enumerate(messages)
            if words_in(message["content"])
        }
        ends = np.cumsum([len(view.parts) for view in self._views.values()]).tolist()
        sizes = (len(view.parts) for view in self._views.values())
        self._ranges = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
        self.parts: tuple[RowPart, ...] = tuple(
            RowPart(f"{view.input_name}: {part.name}", part.place)
            for view in self._views.values()
            for part in view.parts
        )

    def row(self, kept: Mask) -> "list[ChatMessage]":
        """Returns the conversation without some words."""
        contents = {
            index: view.row(kept[own]) if kept[own].any() else ""
            for (index, view), own in zip(self._views.items(), self._ranges, strict=True)
        }
        return [
            {**message, "content": contents.get(index, message["content"])}
            for index, message in enumerate(self._messages)
        ]

    def by_input(self) -> list[InputParts]:
        """Returns the words of each message."""
        shown = zip(self._views.values(), self._ranges, strict=True)
        return [InputParts(view.input_name, view, own) for view, own in shown]

    def text(self, attributions: ValuesOfParts) -> str:
        """Returns each message under its role."""
        return "\n".join(f"{printable(one.name)}:\n{one.view.text(attributions[one.range])}" for one in self.by_input())

    def html(self, attributions: ValuesOfParts) -> str:
        """Returns each message under its role."""
        return "".join(
            f"<div><p>{html.escape(printable(one.name))}</p>{one.view.html(attributions[one.range])}</div>"
            for one in self.by_input()
        )

    def picture(self, attributions: ValuesOfParts, title: str) -> "Image":
        """Raises InputError: words are shown as text."""
        return next(iter(self._views.values())).picture(attributions, title)


class ContinuedPrompt:
    """A prompt with a text after it.

    Args:
        generator: the model.
        prompt: text or conversation.
        text: that is explained; None for the likeliest one by the model, of at most 32 tokens.
        most: the most parts of the prompt, or of each message; None for 64.
        before_run: is called before prompts are read, some at a time; what it raises ends the work.

    Raises:
        InputError: the prompt or the text cannot be understood, or both exceed the context.
        GenerationError: the model fails.
    """

    quantity: ClassVar[str] = "log-probability"

    def __init__(
        self,
        generator: "TextGenerator",
        prompt: "Prompt",
        text: str | None,
        most: int | None,
        *,
        before_run: Callable[[], object] = lambda: None,
    ) -> None:
        self._generator, self._before_run = generator, before_run
        if text is None:
            room = max(1, generator.context_length - len(generator.encode(prompt)))
            (found,) = generator.generate([prompt], GenerationSettings(max_tokens=min(CONTINUATION_TOKENS, room)))
            text, self._tokens = found.text, found.tokens
        else:
            self._tokens = generator.tokenizer.encode(text, add_special_tokens=False).ids
        if not self._tokens:
            raise InputError("label is an empty text; give the text whose likelihood is explained.")
        self._settings = GenerationSettings(max_tokens=len(self._tokens))
        begun = generator.begin(prompt, self._settings)  # refuses what exceeds the context
        self.tokens_of_a_run = len(begun.prompt) + len(self._tokens)
        """Of the prompt and its text: what is read where nothing is left out."""
        self.view = _view_of(prompt, most)
        self.label = _shown(text)

    def values(self, masks: Mask) -> ValuesOfParts:
        """Returns the log probability of the text after what is left of the prompt, (M,), for masks (M, P)."""
        rows: list[Any] = [self.view.row(mask) for mask in masks]
        prompts = [self._generator.begin(row, self._settings).prompt for row in rows]
        together = max(1, min(self._generator.batch_size, TOKENS_AT_ONCE // self.tokens_of_a_run))
        logprobs = continuation_logprobs(
            self._generator.decoder, prompts, self._tokens, together, before_run=self._before_run
        )
        return np.asarray(logprobs.sum(axis=1))


def _view_of(prompt: "Prompt", most: int | None) -> Parts:
    """Returns the words of a prompt.

    Raises:
        InputError: there are none, or a message is no text.
    """
    if isinstance(prompt, str):
        if not words_in(prompt):
            raise InputError("The prompt has no word that could be left out.")
        return PromptWords(prompt, "prompt", most)
    messages = ChatPrompt.of(prompt).messages
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping) or not isinstance(message["content"], str):
            raise InputError(f"Message {index} is no text, and cannot be explained.")
    view = ConversationWords(messages, most)
    if not view.parts:
        raise InputError("The conversation has no word that could be left out.")
    return view


def _shown(text: str) -> str:
    """Returns a text as part of a line."""
    line = " ".join(text.split())
    return repr(line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…")

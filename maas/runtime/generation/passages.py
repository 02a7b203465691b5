"""Whole texts and conversations as a model learns them: their tokens, and which of these it is to predict.

A prompt becomes the tokens that `TextGenerator` makes of it, so that answers are learnt after what they will follow.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from maas.errors import InputError
from maas.runtime.generation.chat import ChatTemplate
from maas.runtime.generation.chat_prompt import ChatMessage, ChatPrompt

TextRow: TypeAlias = str | Sequence[ChatMessage]
"""A text, or a conversation with answers."""
ASSISTANT = "assistant"
"""The role whose messages are answers."""


class Passage(NamedTuple):
    """A whole text or conversation.

    Args:
        tokens: int64 (T,).
        is_predicted: bool (T,), whether a token is to be predicted from those before it.
    """

    tokens: NDArray[np.int64]
    is_predicted: NDArray[np.bool_]

    @property
    def is_text(self) -> bool:
        """Whether all tokens are to be predicted but the first, which has none before it."""
        return bool(self.is_predicted[1:].all())


class Exercise(NamedTuple):
    """A conversation, and the answer that should follow."""

    prompt: Sequence[ChatMessage]
    response: str


class PassageReader:
    """Reads rows: of a text all tokens are to be predicted, of a conversation those of the answers.

    An answer ends with the first end token that the template writes after it; a text, or an answer without one, gets
    the first of the end tokens.

    Args:
        tokenizer: tokenizer of the model.
        chat: its template; None for a model without, where a conversation is its contents one after the other.
        end_tokens: ids of the tokens that end a text.
    """

    def __init__(self, tokenizer: Tokenizer, chat: ChatTemplate | None, end_tokens: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._chat = chat
        self._end_tokens = tuple(end_tokens)

    def read(self, row: TextRow) -> Passage:
        """Returns the tokens of a row.

        Raises:
            InputError: a conversation has no answer, or the template does not write it from its beginning to its end.
        """
        if isinstance(row, str):
            return text_passage([*self._encoded(row, is_beginning=True), *self._end_tokens[:1]])
        parts = list(self._parts(ChatPrompt.of(row).messages))
        if not parts:
            raise InputError(f"The conversation has no answer; give it a message of the role {ASSISTANT}.")
        tokens = np.concatenate([part.tokens for part in parts])
        is_predicted = np.concatenate([part.is_predicted for part in parts])
        is_predicted[:1] = False
        return Passage(tokens, is_predicted)

    def _parts(self, messages: Sequence[ChatMessage]) -> Iterator[Passage]:
        """Yields what stands before each answer, and the answer.

        Raises:
            InputError: the template writes the beginning of a conversation otherwise once more follows.
        """
        read = ""
        for index, message in enumerate(messages):
            if message["role"] != ASSISTANT:
                continue
            prompt, answered = self._written(messages[:index]), self._written(messages[: index + 1], is_answered=True)
            if not (prompt.startswith(read) and answered.startswith(prompt)):
                raise InputError(
                    "The model's chat template does not write an answer after its prompt, so it cannot be learnt. Give "
                    "conversations of one answer, or another template."
                )
            tokens = self._encoded(prompt[len(read) :], is_beginning=self._chat is None and not read)
            yield Passage(np.array(tokens, np.int64), np.zeros(len(tokens), np.bool_))
            yield self._response(answered[len(prompt) :])
            read = answered

    def _response(self, text: str) -> Passage:
        """Returns an answer, and what the template writes after it, which is not predicted."""
        tokens = np.array(self._encoded(text), np.int64)
        ends = np.flatnonzero(np.isin(tokens, self._end_tokens))
        if not ends.size:
            tokens = np.append(tokens, self._end_tokens[:1]).astype(np.int64)
        last = int(ends[0]) if ends.size else len(tokens) - 1
        return Passage(tokens, np.arange(len(tokens)) <= last)

    def _written(self, messages: Sequence[ChatMessage], *, is_answered: bool = False) -> str:
        if self._chat is None:
            return "".join(str(message["content"]) for message in messages)
        return self._chat.render(ChatPrompt(messages), is_answered=is_answered)

    def _encoded(self, text: str, *, is_beginning: bool = False) -> list[int]:
        """Returns token ids, and where a text begins the tokens that its tokenizer puts there."""
        found: list[int] = self._tokenizer.encode(text, add_special_tokens=is_beginning).ids
        return found


def text_passage(tokens: Sequence[int] | NDArray[np.int64]) -> Passage:
    """Returns tokens of which all are to be predicted but the first."""
    return Passage(np.array(tokens, np.int64), np.arange(len(tokens)) > 0)


def predicted_text(row: TextRow) -> str:
    """Returns what of a row is to be predicted: a text itself, or the answers of a conversation."""
    if isinstance(row, str):
        return row
    return "".join(str(message["content"]) for message in row if message["role"] == ASSISTANT)


def exercise_of(row: TextRow) -> Exercise | None:
    """Returns a conversation up to its last answer, and that answer; None for a text, or where it does not end so."""
    if isinstance(row, str) or row[-1]["role"] != ASSISTANT:
        return None
    return Exercise(row[:-1], str(row[-1]["content"]))

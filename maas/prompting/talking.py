"""A talk with a model in a terminal: it remembers what was said, as far as its context reaches."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import msgspec

from maas.errors import GenerationError, InputError
from maas.prompting.records import opening_messages
from maas.prompting.screen import Screen
from maas.runtime.generation.chat_prompt import ChatMessage
from maas.runtime.generation.generator import TextGenerator
from maas.runtime.generation.settings import USUAL_MAX_TOKENS, GenerationSettings
from maas.runtime.generation.text import Piece

with suppress(ImportError):  # there is none on Windows
    import readline  # noqa: F401  `input` lets lines be edited with it

READY = "> "


class Conversation:
    """Messages so far, and a reply to the next one.

    Where they leave no room for a reply of `max_tokens`, the oldest message and its reply are forgotten, and so on.

    Args:
        generator: the model.
        settings: of each reply; unless they set `max_tokens`, it is 256, or half of the context.
        system: what the model is to be; None for nothing.
    """

    def __init__(self, generator: TextGenerator, settings: GenerationSettings, system: str | None = None) -> None:
        usual = min(USUAL_MAX_TOKENS, max(1, generator.context_length // 2))
        self._generator = generator
        self._settings = msgspec.structs.replace(settings, max_tokens=settings.max_tokens or usual)
        self._room = generator.context_length - (settings.max_tokens or usual)
        self._system = system
        self.exchanges: list[tuple[str, str]] = []

    def reply(self, message: str) -> Iterator[str]:
        """Yields the pieces of the reply to a message; what has come stays in the conversation if nobody reads on.

        Raises:
            InputError: the message alone exceeds the context, or the chat template refuses it.
            GenerationError: the model fails.
        """
        fitting = self._fitting(message)
        pieces = self._generator.stream(self._messages(fitting, message), self._settings)
        self.exchanges = fitting
        return self._remembered(message, pieces)

    def _remembered(self, message: str, pieces: Iterator[Piece]) -> Iterator[str]:
        said = ""
        try:
            for piece in pieces:
                said += piece.text
                yield piece.text
        finally:
            self.exchanges.append((message, said))

    def _fitting(self, message: str) -> list[tuple[str, str]]:
        """Returns the exchanges that a message leaves room for."""
        kept = list(self.exchanges)
        while kept and len(self._generator.encode(self._messages(kept, message))) > self._room:
            del kept[0]
        return kept

    def _messages(self, exchanges: Sequence[tuple[str, str]], message: str) -> list[ChatMessage]:
        messages = opening_messages(self._system)
        for said, replied in exchanges:
            messages += [{"role": "user", "content": said}, {"role": "assistant", "content": replied}]
        return [*messages, {"role": "user", "content": message}]


def talk(conversation: Conversation, screen: Screen, read: Callable[[str], str] = input) -> None:
    """Replies to what somebody types until Ctrl-D; Ctrl-C ends a reply.

    Args:
        conversation: begins or goes on.
        screen: where replies appear.
        read: shows a mark and returns a line.
    """
    while True:
        try:
            message = read(READY)
            if message.strip():
                _show_reply(conversation, message, screen)
        except EOFError:
            screen.write("\n")
            return
        except KeyboardInterrupt:  # of a line that is not wanted, or of a reply
            screen.write("\n")


def _show_reply(conversation: Conversation, message: str, screen: Screen) -> None:
    try:
        for text in conversation.reply(message):
            screen.write(text)
    except (InputError, GenerationError) as error:
        sys.stderr.write(f"{error}\n")
        return
    screen.write("\n")

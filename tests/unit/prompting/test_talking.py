"""Talks: what was said is remembered, forgotten where the context ends, and a reply may be cut short."""

import io

import pytest

from maas.errors import InputError
from maas.prompting.screen import Screen
from maas.prompting.talking import Conversation, talk
from maas.runtime.generation.settings import generation_settings


def settings_of(**settings):
    return generation_settings({"max_tokens": 8, **settings})


def said(*exchanges: tuple[str, str], system: str | None = None) -> list[dict[str, str]]:
    messages = [] if system is None else [{"role": "system", "content": system}]
    for message, reply in exchanges:
        messages += [{"role": "user", "content": message}, {"role": "assistant", "content": reply}]
    return messages


def test_replies_are_those_to_the_whole_conversation(bundle):
    conversation = Conversation(bundle.generator, settings_of(), "on")
    first = "".join(conversation.reply("a"))
    second = "".join(conversation.reply("b"))
    before = said(system="on")
    assert first == bundle.generate([*before, {"role": "user", "content": "a"}], max_tokens=8).text
    before = said(("a", first), system="on")
    assert second == bundle.generate([*before, {"role": "user", "content": "b"}], max_tokens=8).text
    assert conversation.exchanges == [("a", first), ("b", second)]


def test_oldest_exchange_is_forgotten_when_the_context_ends(bundle):
    conversation = Conversation(bundle.generator, settings_of(ignore_end=True))
    for number in range(6):
        message = f"{number}" * 20
        reply = "".join(conversation.reply(message))
        assert conversation.exchanges[-1] == (message, reply)
        kept = [*said(*conversation.exchanges[:-1]), {"role": "user", "content": message}]
        assert len(bundle.generator.encode(kept)) <= 120
        assert reply == bundle.generate(kept, max_tokens=8, ignore_end=True).text
    assert len(conversation.exchanges) < 6


def test_message_is_refused_and_not_kept_when_it_exceeds_the_context_alone(bundle):
    conversation = Conversation(bundle.generator, settings_of())
    with pytest.raises(InputError, match="at most 128"):
        conversation.reply("x" * 130)
    assert conversation.exchanges == []


def test_reply_is_half_of_a_short_context_when_no_length_is_set(bundle):
    conversation = Conversation(bundle.generator, generation_settings({"ignore_end": True}))
    text = "".join(conversation.reply("a"))
    assert text == bundle.generate([{"role": "user", "content": "a"}], max_tokens=64, ignore_end=True).text


def test_pieces_so_far_are_kept_when_the_reply_is_interrupted(bundle):
    conversation = Conversation(bundle.generator, settings_of(ignore_end=True))
    pieces = conversation.reply("a")
    begun = next(pieces) + next(pieces)
    pieces.close()
    assert conversation.exchanges == [("a", begun)]


class Interrupting(io.StringIO):
    """A stream whose reader presses Ctrl-C at the second piece of each reply."""

    pieces = 0

    def write(self, text: str) -> int:
        self.pieces += 1
        if self.pieces == 2:
            raise KeyboardInterrupt
        return super().write(text)


def test_talk_goes_on_after_an_interrupted_reply_and_a_fault_and_ends_at_the_end_of_input(bundle, capsys):
    typed = iter(["a", "  ", KeyboardInterrupt, "x" * 130, EOFError])

    def read(mark: str) -> str:
        assert mark == "> "
        word = next(typed)
        if isinstance(word, str):
            return word
        raise word

    conversation, stream = Conversation(bundle.generator, settings_of(ignore_end=True)), Interrupting()
    talk(conversation, Screen(stream), read)
    assert next(typed, None) is None
    (exchange,) = conversation.exchanges
    assert exchange[0] == "a"
    assert "at most 128" in capsys.readouterr().err

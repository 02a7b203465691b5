"""Texts join and leave between steps, and none of them notices."""

import pytest

from maas.runtime.generation.batch import DecodingBatch
from maas.runtime.generation.settings import generation_settings


def begun(generator, prompts, max_tokens):
    settings = [generation_settings({"max_tokens": most, "ignore_end": True}) for most in max_tokens]
    return [generator.begin(prompt, one) for prompt, one in zip(prompts, settings, strict=True)]


def test_texts_equal_those_alone_when_others_join_and_leave(generator):
    prompts, sizes = ["the", "a longer prompt", "这是", "1 2 3"], [20, 5, 12, 9]
    alone = [
        generator.generate([prompt], generation_settings({"max_tokens": size, "ignore_end": True}))[0].tokens
        for prompt, size in zip(prompts, sizes, strict=True)
    ]
    texts = begun(generator, prompts, sizes)
    batch = DecodingBatch(generator.decoder, slots=3, length=64)
    pieces = batch.join(texts[:2])
    for number in range(30):
        if number == 2:
            pieces += batch.join(texts[2:3])
        if number == 6:  # the second has ended
            pieces += batch.join(texts[3:])
        if not batch.is_empty:
            pieces += batch.step()
    for text, tokens in zip(texts, alone, strict=True):
        assert [piece.chosen.token for owner, piece in pieces if owner is text] == tokens
    assert (batch.is_empty, batch.free_slots) == (True, 3)


def test_others_continue_when_a_text_is_taken_out(generator):
    texts = begun(generator, ["the", "a prompt", "1 2"], [12, 12, 12])
    expected = generator.generate(["1 2"], generation_settings({"max_tokens": 12, "ignore_end": True}))[0].tokens
    batch = DecodingBatch(generator.decoder, slots=3, length=64)
    pieces = batch.join(texts)
    batch.leave(texts[0])
    batch.leave(texts[0])
    assert batch.free_slots == 1
    while not batch.is_empty:
        pieces += batch.step()
    assert [piece.chosen.token for owner, piece in pieces if owner is texts[2]] == expected
    assert sum(owner is texts[0] for owner, _ in pieces) == 1


def test_texts_are_refused_when_there_are_no_slots_for_them(generator):
    batch = DecodingBatch(generator.decoder, slots=1, length=64)
    with pytest.raises(ValueError, match="2 texts do not fit into 1 free slots"):
        batch.join(begun(generator, ["a", "b"], [2, 2]))

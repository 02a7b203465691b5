"""Logits that are not finite: the text ends with an error, and those beside and after it are what they would be."""

import numpy as np
import pytest

from maas.errors import GenerationError
from maas.runtime.generation.generator import Generated
from maas.runtime.generation.settings import generation_settings

LENGTH = {"max_tokens": 24, "ignore_end": True}


def message_after(tokens: int) -> str:
    return f"The model's logits after {tokens} tokens of the text are not finite numbers, so that no token follows."


@pytest.mark.parametrize("sampling", [{}, {"temperature": 1e-6, "top_p": 0.5}, {"repetition_penalty": 1.0}], ids=str)
def test_other_texts_go_on_when_the_logits_of_one_are_not_finite(failing, tiny_llama, sampling):
    settings = generation_settings({**LENGTH, **sampling})
    prompts = [failing.prompt, *tiny_llama.PROMPTS, *tiny_llama.PROMPTS]  # more than slots, so that one follows it
    found = failing.generator.outcomes(prompts, settings)
    for prompt, outcome, expected in zip(prompts, found, failing.whole.generate(prompts, settings), strict=True):
        if prompt == failing.prompt:
            assert isinstance(outcome, GenerationError)
            assert str(outcome).startswith(message_after(failing.tokens))
        else:
            assert isinstance(outcome, Generated)
            assert outcome.tokens == expected.tokens


def test_error_is_raised_when_a_text_is_wanted(failing):
    with pytest.raises(GenerationError, match="are not finite numbers"):
        failing.generator.generate([failing.prompt, "the"], generation_settings(LENGTH))


def test_pieces_end_with_the_error_when_a_text_is_streamed(failing):
    pieces = []
    with pytest.raises(GenerationError, match=message_after(failing.tokens)):
        pieces.extend(failing.generator.stream(failing.prompt, generation_settings(LENGTH)))
    text = failing.whole.generate([failing.prompt], generation_settings({**LENGTH, "max_tokens": failing.tokens}))[0]
    assert [piece.chosen.token for piece in pieces] == text.tokens


def test_prompt_is_named_when_its_own_logits_are_not_finite(failing, monkeypatch):
    token = failing.whole.generate([failing.prompt], generation_settings(LENGTH))[0].tokens[failing.tokens - 1]
    monkeypatch.setattr(failing.generator, "encode", lambda prompt: np.array([token], np.int64))
    with pytest.raises(GenerationError, match="The model's logits after the prompt are not finite numbers"):
        failing.generator.generate(["a"], generation_settings({"max_tokens": 1}))


def test_each_prompt_has_its_outcome_when_some_are_refused(failing):
    settings = generation_settings(LENGTH)
    empty, text, failed, long = failing.generator.outcomes(["", "1 2 3", failing.prompt, "x" * 400], settings)
    assert str(empty).startswith("The prompt is empty")
    assert text == failing.whole.generate(["1 2 3"], settings)[0]
    assert isinstance(failed, GenerationError)
    assert "both together must be at most 128" in str(long)
    assert failing.generator.outcomes([], generation_settings(LENGTH)) == []

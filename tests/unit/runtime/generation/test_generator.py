"""Prompts to texts: transformers' greedy generation, batches, seeds, what ends a text, and what is refused."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders

from maas.errors import InputError
from maas.runtime.generation.settings import generation_settings

MESSAGES = [{"role": "user", "content": "write"}]


def generate(generator, prompts, **settings):
    return generator.generate(prompts, generation_settings(settings))


def torch_tokens(llama, ids, new_tokens: int) -> list[int]:
    """Returns the greedy continuation by transformers' own `generate`, end tokens ignored."""
    prompt = torch.tensor([list(ids)])
    found = llama.model.generate(
        prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=new_tokens, eos_token_id=None,
        pad_token_id=0,
    )  # fmt: skip
    return found[0, prompt.shape[1] :].tolist()


def test_greedy_texts_equal_transformers_when_seven_prompts_take_turns_in_four_slots(generator, llama, tiny_llama):
    prompts = [*tiny_llama.PROMPTS, MESSAGES, "so"]
    found = generate(generator, prompts, max_tokens=24, ignore_end=True)
    for prompt, text in zip(prompts, found, strict=True):
        ids = generator.encode(prompt)
        assert text.tokens == torch_tokens(llama, ids, 24)
        assert text.text == generator.tokenizer.decode(text.tokens)
        assert (text.finish_reason, text.prompt_tokens) == ("length", len(ids))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_texts_equal_those_alone_when_prompts_share_a_batch(generator, tiny_llama, seed):
    settings = {"max_tokens": 20, "temperature": 0.9, "top_p": 0.95, "seed": seed}
    together = generate(generator, tiny_llama.PROMPTS, **settings)
    alone = [generate(generator, [prompt], **settings)[0] for prompt in tiny_llama.PROMPTS]
    assert [one.tokens for one in together] == [one.tokens for one in alone]


def test_text_is_another_when_the_seed_is_another(generator):
    texts = {generate(generator, ["the"], max_tokens=20, temperature=1.0, seed=seed)[0].text for seed in (1, 1, 2, 3)}
    assert len(texts) == 3


def test_pieces_join_to_the_text_when_it_is_streamed(generator):
    settings = {"max_tokens": 30, "temperature": 1.0, "seed": 5, "logprobs": 2}
    (text,) = generate(generator, ["这是"], **settings)
    pieces = list(generator.stream("这是", generation_settings(settings)))
    assert "".join(piece.text for piece in pieces) == text.text
    assert tuple(piece.chosen for piece in pieces) == text.chosen
    assert [piece.finish_reason for piece in pieces] == [None] * (len(pieces) - 1) + [text.finish_reason]


def test_first_blank_stays_when_a_text_is_continued_and_not_when_it_is_an_answer(generator, monkeypatch):
    plain = generator.tokenizer
    stripping = Tokenizer.from_str(plain.to_str())
    stripping.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])  # as of SentencePiece
    monkeypatch.setattr(generator, "tokenizer", stripping)
    blank = next(token for name, token in plain.get_vocab().items() if name.startswith("Ġ") and len(name) > 2)
    word = plain.decode([blank])
    assert word.startswith(" ")
    continued, answered = generate(generator, ["the", MESSAGES], max_tokens=2, logit_bias={blank: 1e6})
    assert (continued.text, answered.text) == (2 * word, (2 * word)[1:])


def test_text_ends_before_a_stop_when_one_comes(generator):
    (whole,) = generate(generator, ["the"], max_tokens=40, ignore_end=True)
    stop = whole.text[5:9]
    (cut,) = generate(generator, ["the"], max_tokens=40, ignore_end=True, stop=stop)
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop"
    assert len(cut.tokens) < len(whole.tokens)
    (later,) = generate(generator, ["the"], max_tokens=40, ignore_end=True, stop=["no such text"])
    assert later.text == whole.text


def test_text_ends_when_a_token_ends_it(generator):
    (whole,) = generate(generator, ["the"], max_tokens=10, ignore_end=True)
    place = next(index for index in range(1, 10) if whole.tokens[index] not in whole.tokens[:index])
    (cut,) = generate(generator, ["the"], max_tokens=10, stop_tokens=[whole.tokens[place]])
    assert cut.tokens == whole.tokens[: place + 1]
    assert cut.text == generator.tokenizer.decode(whole.tokens[:place])
    (ended,) = generate(generator, ["the"], max_tokens=10, logit_bias={0: 1e4})
    assert (ended.text, ended.tokens, ended.finish_reason) == ("", [0], "stop")


def test_log_probabilities_are_those_of_torch_when_they_are_requested(generator, llama):
    (text,) = generate(generator, ["the"], max_tokens=8, logprobs=1, ignore_end=True)
    ids = generator.encode("the").tolist()
    with torch.inference_mode():
        logs = torch.log_softmax(llama.model(torch.tensor([ids + text.tokens])).logits[0], dim=-1).numpy()
    for position, chosen in enumerate(text.chosen, start=len(ids) - 1):
        assert chosen.logprob == pytest.approx(logs[position, chosen.token], abs=1e-4)
        assert chosen.likeliest == ((chosen.token, chosen.logprob),)


def test_conversation_is_answered_by_the_template_when_messages_are_given(generator):
    rendered = "<|start|>user\nwrite<|end|>\n<|start|>assistant\n"
    expected = generator.tokenizer.encode(rendered, add_special_tokens=False).ids
    assert generator.encode(MESSAGES).tolist() == expected
    assert expected[:1] == [1]


def test_prompt_is_refused_when_it_exceeds_the_context(generator):
    with pytest.raises(InputError) as caught:
        generate(generator, ["x" * 120], max_tokens=20)
    assert str(caught.value) == (
        "The prompt has 120 tokens and max_tokens is 20; both together must be at most 128, the model's context. "
        "Shorten the prompt, lower max_tokens, or set overflow='cut' to leave out the prompt's beginning."
    )


def test_beginning_of_the_prompt_is_left_out_when_the_caller_wants_it_cut(generator, llama):
    prompt = "".join(np.random.default_rng(0).choice(list("abcdefgh"), 200))
    (text,) = generate(generator, [prompt], max_tokens=20, overflow="cut", ignore_end=True)
    assert text.prompt_tokens == 108
    assert text.tokens == torch_tokens(llama, generator.encode(prompt)[-108:], 20)


def test_text_fills_the_context_when_no_length_is_set(generator):
    (text,) = generate(generator, ["x" * 100], ignore_end=True)
    assert len(text.tokens) == 28


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("", "The prompt is empty; the model continues texts of one token or more."),
        ("\ud800", "The prompt holds half of a surrogate pair"),
        ([], "The prompt is of type list; give a text, or a list of one or more messages."),
        (7, "The prompt is of type int"),
        (None, "The prompt is of type NoneType"),
        (["text"], "Message 0 lacks role or content"),
    ],
)
def test_prompt_is_refused_when_it_is_no_text_or_conversation(generator, prompt, message):
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        generate(generator, [prompt])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_tokens": 0}, "Expected `int` >= 1 - at `$.max_tokens`"),
        ({"temperature": -1}, "Expected `float` >= 0.0 - at `$.temperature`"),
        ({"top_p": 0.0}, "at `$.top_p`"),
        ({"temprature": 1}, "temprature is no setting of texts. Did you mean temperature?"),
        ({"stop": [""]}, "stop holds an empty text; each must have a character."),
        ({"stop": 3}, "at `$.stop`"),
        ({"overflow": "ignore"}, "at `$.overflow`"),
        ({"logit_bias": {999: 1.0}}, "logit_bias names token 999; the model has tokens 0 to 319."),
    ],
    ids=str,
)
def test_settings_are_refused_when_they_cannot_be(generator, settings, message):
    with pytest.raises(InputError) as caught:
        generate(generator, ["the"], **settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_is_generated_when_there_is_no_prompt(generator):
    assert generate(generator, []) == []

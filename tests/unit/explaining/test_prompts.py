"""Which words of a prompt moved the text after it: what each costs that is left out, by torch's own likelihoods."""

import numpy as np
import pytest
import torch

import maas
from maas.errors import InputError
from maas.explaining.words import NOTHING
from maas.runtime.bundle import Bundle

PROMPT = "the model reads 这是 a prompt"
WORDS = ["the", "model", "reads", "这", "是", "a", "prompt"]
MESSAGES = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "write a text"}]


@pytest.fixture(scope="module")
def bundle(serving_bundles, tmp_path_factory):
    return Bundle.open(serving_bundles.generating_bundle(tmp_path_factory.mktemp("bundles") / "generating"))


@pytest.fixture
def logprob(bundle, llama):
    """Returns the log probability of tokens after a prompt by torch."""

    def of(prompt, tokens) -> float:
        ids = bundle.generator.encode(prompt).tolist()
        with torch.inference_mode():
            logits = llama.model(torch.tensor([ids + list(tokens)])).logits[0, len(ids) - 1 : -1]
        return float(torch.log_softmax(logits.double(), dim=-1)[range(len(tokens)), list(tokens)].sum())

    return of


def test_words_have_what_leaving_them_out_costs_when_the_models_own_text_is_explained(bundle, logprob):
    found = maas.explain(bundle, PROMPT)
    tokens = bundle.generate(PROMPT, max_tokens=32).tokens
    assert [part.name for part in found.parts] == WORDS
    assert (found.quantity, found.baseline) == ("log-probability", pytest.approx(logprob(NOTHING, tokens), abs=1e-3))
    whole = logprob(PROMPT, tokens)
    assert found.value == pytest.approx(whole, abs=1e-3)
    without = ["model reads 这是 a prompt", "the reads 这是 a prompt", "the model 这是 a prompt",
               "the model reads 是 a prompt", "the model reads 这a prompt", "the model reads 这是 prompt",
               "the model reads 这是 a"]  # fmt: skip
    expected = [whole - logprob(prompt, tokens) for prompt in without]
    np.testing.assert_allclose(found.attributions, expected, atol=1e-3)


def test_text_of_the_callers_is_explained_when_it_is_given(bundle, logprob):
    found = maas.explain(bundle, PROMPT, label=" and writes\na text")
    tokens = bundle.generator.tokenizer.encode(" and writes\na text", add_special_tokens=False).ids
    assert found.value == pytest.approx(logprob(PROMPT, tokens), abs=1e-3)
    assert found.title.startswith("log-probability of 'and writes a text': ")
    assert str(found).count("\n") == 1


def test_attributions_add_up_when_shapley_values_are_wanted(bundle):
    found = maas.explain(bundle, PROMPT, label=" text", method="shapley", orders=2, parts=4)
    assert len(found.parts) == 4
    assert found.attributions.sum() == pytest.approx(found.value - found.baseline)


def test_words_of_each_message_are_parts_when_a_conversation_is_explained(bundle, logprob):
    found = maas.explain(bundle, MESSAGES, label="so")
    assert [part.name for part in found.parts] == [
        "system: be",
        "system: brief",
        "user: write",
        "user: a",
        "user: text",
    ]
    tokens = bundle.generator.tokenizer.encode("so", add_special_tokens=False).ids
    shorter = [MESSAGES[0], {"role": "user", "content": "write text"}]
    assert found.attributions[3] == pytest.approx(logprob(MESSAGES, tokens) - logprob(shorter, tokens), abs=1e-3)
    empty = [{**message, "content": ""} for message in MESSAGES]
    assert found.baseline == pytest.approx(logprob(empty, tokens), abs=1e-3)
    record = found.record()
    assert [one["name"] for one in record["inputs"]] == ["system", "user"]
    assert [len(one["parts"]) for one in record["inputs"]] == [2, 3]
    assert str(found).splitlines()[1::2] == ["system:", "user:"]
    assert "<p>system</p>" in found.html()


def test_conversation_of_empty_messages_beside_others_is_explained(bundle):
    found = maas.explain(bundle, [{"role": "system", "content": ""}, {"role": "<b>", "content": "on"}], label="so")
    assert [part.name for part in found.parts] == ["<b>: on"]
    assert "<p>&lt;b&gt;</p>" in found.html()
    with pytest.raises(InputError, match="Words are shown as text"):
        found.picture()


@pytest.mark.parametrize(
    ("prompt", "more", "message"),
    [
        ("", {}, "The prompt is empty"),
        (" \n", {}, "The prompt has no word that could be left out"),
        ([{"role": "user", "content": " "}], {}, "The conversation has no word that could be left out"),
        ([], {}, "give a text, or a list of one or more messages"),
        ([{"role": "user", "content": ["x"]}], {}, "Message 0 is no text, and cannot be explained"),
        (7, {}, "The prompt is of type int"),
        (PROMPT, {"label": ""}, "label is an empty text"),
        (PROMPT, {"label": "x" * 200}, "both together must be at most 128"),
        ("x" * 200, {}, "both together must be at most 128"),
        (PROMPT, {"baseline": "a"}, "what is left out of a prompt is cut out. Leave baseline out."),
        (PROMPT, {"method": "chance"}, "method is 'chance'; it must be 'shapley' or 'occlusion'."),
        (PROMPT, {"parts": 0}, "parts is 0; it must be 1 or more."),
    ],
    ids=str,
)
def test_prompt_is_refused_when_it_cannot_be_explained(bundle, prompt, more, message):
    with pytest.raises(InputError) as caught:
        maas.explain(bundle, prompt, **more)
    assert message in str(caught.value)

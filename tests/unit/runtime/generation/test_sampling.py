"""Which token is next, against transformers' own processors of logits and closed forms."""

import numpy as np
import pytest
import torch
from transformers import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from maas.errors import InputError
from maas.runtime.generation.sampling import Sampler, log_softmax
from maas.runtime.generation.settings import GenerationSettings, generation_settings

LOGITS = np.random.default_rng(3).normal(scale=3, size=200).astype(np.float32)
PROMPT = [5, 9, 9]
WARPERS = {
    "temperature": TemperatureLogitsWarper,
    "top_k": TopKLogitsWarper,
    "top_p": TopPLogitsWarper,
    "min_p": MinPLogitsWarper,
    "repetition_penalty": RepetitionPenaltyLogitsProcessor,
}


def sampler(prompt=PROMPT, **settings) -> Sampler:
    return Sampler(GenerationSettings(**{"temperature": 1.0, **settings}), prompt, len(LOGITS))


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.3},
        {"top_k": 7},
        {"top_k": 500},
        {"top_p": 0.8},
        {"top_p": 0.01},
        {"min_p": 0.2},
        {"repetition_penalty": 1.7},
        {"repetition_penalty": 1.3, "temperature": 2.5, "top_k": 40, "top_p": 0.9, "min_p": 0.05},
    ],
    ids=str,
)
def test_probabilities_equal_transformers_when_settings_apply(settings):
    scores, ids = torch.from_numpy(LOGITS)[None], torch.tensor([PROMPT])
    for name in ("repetition_penalty", "temperature", "top_k", "top_p", "min_p"):
        if name in settings:
            scores = WARPERS[name](settings[name])(ids, scores)
    expected = torch.softmax(scores.double(), dim=-1)[0].numpy()
    found = sampler(**settings).probabilities(LOGITS)
    np.testing.assert_allclose(found / found.sum(), expected, atol=1e-7)


def test_likeliest_token_is_taken_when_temperature_is_zero():
    assert sampler(temperature=0.0).choose(LOGITS).token == LOGITS.argmax()


def test_likeliest_token_is_drawn_when_the_temperature_is_tiny():
    assert sampler(temperature=1e-300).choose(LOGITS).token == int(np.argmax(LOGITS))


@pytest.mark.parametrize("mass", [0.05, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("scale", [0.01, 1, 5])
def test_kept_tokens_are_those_of_a_whole_sort_when_the_vocabulary_is_large(mass, scale):
    logits = np.random.default_rng(1).normal(scale=scale, size=20_000).round(2).astype(np.float32)  # with equal ones
    settings = GenerationSettings(temperature=1.0, top_p=mass)
    found = Sampler(settings, [], len(logits)).probabilities(logits)
    weights = np.exp(logits.astype(np.float64) - logits.max())
    order = np.argsort(-weights, kind="stable")
    count = 1 + int(np.searchsorted(np.cumsum(weights[order]), mass * weights.sum(), side="left"))
    np.testing.assert_array_equal(np.flatnonzero(found), np.sort(order[:count]))


def test_likeliest_tokens_come_in_their_order_when_some_are_equal():
    logits = np.array([1, 3, 2, 3, 2, 0], np.float32)
    chooser = Sampler(GenerationSettings(logprobs=4), [], len(logits))
    assert [token for token, _ in chooser.choose(logits).likeliest] == [1, 3, 2, 4]


def test_penalties_subtract_when_the_text_holds_a_token():
    chooser = sampler(temperature=0.0, presence_penalty=1.5, frequency_penalty=0.5)
    logits = np.zeros(len(LOGITS), np.float32)
    logits[:3] = 4.0, 2.4, 1.0
    # 4, 2.4, 1 → 0 falls to 2; then 1 falls to 0.4; then 0 falls by another half a time, each time that it is taken
    assert [chooser.choose(logits).token for _ in range(5)] == [0, 1, 0, 0, 0]
    assert chooser.choose(logits).token == 2  # 4 − 1.5 − 4 · 0.5 = 0.5; 0.4; 1
    assert sampler([0, 0], temperature=0.0, presence_penalty=2.0).choose(logits).token == 0, "the prompt is no text"


def test_bias_is_added_when_a_token_has_one():
    assert sampler(temperature=0.0, logit_bias={17: 100.0}).choose(LOGITS).token == 17
    assert sampler(logit_bias={17: -1e9}).probabilities(LOGITS)[17] == 0
    assert LOGITS[17] != -1e9, "the caller's logits stay"


def test_draws_have_the_frequencies_of_the_probabilities_when_there_are_many():
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    chooser = Sampler(GenerationSettings(temperature=1.0, seed=11), [], 4)
    counts = np.bincount([chooser.choose(logits).token for _ in range(4000)], minlength=4)
    np.testing.assert_allclose(counts / 4000, [0.5, 0.3, 0.15, 0.05], atol=0.025)  # 3 deviations


def test_draws_repeat_when_the_seed_is_the_same():
    first, again, other = (
        [chooser.choose(LOGITS).token for _ in range(20)]
        for chooser in (sampler(seed=1), sampler(seed=1), sampler(seed=2))
    )
    assert first == again != other


def test_log_probabilities_are_of_the_model_when_settings_change_the_draw():
    chosen = sampler(temperature=0.1, top_k=1, repetition_penalty=3.0, logprobs=3).choose(LOGITS)
    expected = torch.log_softmax(torch.from_numpy(LOGITS).double(), dim=-1).numpy()
    assert chosen.logprob == pytest.approx(expected[chosen.token])
    assert [token for token, _ in chosen.likeliest] == np.argsort(-LOGITS)[:3].tolist()
    assert [value for _, value in chosen.likeliest] == pytest.approx(np.sort(expected)[::-1][:3].tolist())
    np.testing.assert_allclose(log_softmax(LOGITS), expected)


@pytest.mark.parametrize(
    "settings",
    [
        *({"repetition_penalty": value} for value in (1e-40, 0.0999, 10.001, 1e39)),
        *({"logit_bias": {3: value}} for value in (1.1e30, -1.1e30, 1e39, -1e39)),
    ],
    ids=str,
)
def test_setting_is_refused_when_float32_may_not_hold_what_it_makes_of_logits(settings):
    with pytest.raises(InputError, match="The model cannot generate with"):
        generation_settings(settings)


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4, 1e30])
@pytest.mark.parametrize("temperature", [5e-324, 1e-6, 1.0, 1e308])
def test_a_token_can_be_drawn_whatever_the_settings_are(scale, temperature):
    logits = np.float32([-1, -0.5, 0, 0.5, 1]) * np.float32(scale)
    for penalty in (0.1, 1.0, 10.0):
        for bias in (-1e30, 1e30):
            for more in ({}, {"top_k": 2, "top_p": 1e-300, "min_p": 1.0}):
                settings = {"repetition_penalty": penalty, "logit_bias": {0: bias, 4: bias}, "seed": 1, **more}
                drawing = Sampler(
                    generation_settings({**settings, "temperature": temperature, "presence_penalty": -2.0}), [0, 4], 5
                )
                for _ in range(3):
                    assert 0 <= drawing.choose(logits).token < 5

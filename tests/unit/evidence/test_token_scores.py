"""What a graph gives to tokens, read by steps together, against torch, which reads each text at once."""

from itertools import pairwise

import numpy as np
import pytest

from maas.evidence.text_metrics import perplexity_ratio, text_metrics
from maas.evidence.token_scores import token_scores, token_windows, window_likelihoods

TEXTS = [np.arange(5, 40), np.array([7, 9]), np.arange(100, 112), np.array([3, 3, 3, 250])]


@pytest.mark.parametrize("together", [1, 3, 32])
def test_scores_are_torchs_when_texts_of_unequal_length_are_read(generator, llama, together):
    found = token_scores(generator.decoder, TEXTS, together)
    assert found.tokens.tolist() == [34, 1, 11, 3]
    for text, nats, likeliest in zip(TEXTS, found.nats, found.likeliest, strict=True):
        logits = llama.logits(text)[:-1].astype(np.float64)
        expected = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), text[1:]]
        np.testing.assert_allclose(nats, expected, atol=1e-4)
        np.testing.assert_array_equal(likeliest, logits.argmax(axis=1))
    np.testing.assert_allclose(found.sums, [one.sum() for one in found.nats])


def test_perplexity_is_that_of_all_tokens_together_when_texts_are_scored(generator):
    scores = token_scores(generator.decoder, TEXTS)
    found = text_metrics(window_likelihoods(scores, TEXTS, generator.tokenizer))
    nats = np.concatenate(scores.nats)
    assert found["perplexity"].value == pytest.approx(np.exp(nats.mean()))
    right = np.concatenate([one == text[1:] for one, text in zip(scores.likeliest, TEXTS, strict=True)])
    assert found["token_accuracy"].value == pytest.approx(right.mean())


def test_every_token_but_a_texts_first_is_counted_once_when_windows_follow_each_other(generator):
    texts = ["the model reads a prompt and writes a text " * 5, "这是", "1"]
    windows = token_windows(texts, generator.tokenizer, 16, 10_000)
    encoded = [one.ids for one in generator.tokenizer.encode_batch_fast(texts)]
    assert [token for one in windows for token in one[1:]] == [token for ids in encoded for token in ids[1:]]
    assert max(map(len, windows)) == 16
    assert all(one[-1] == other[0] for one, other in pairwise(windows[:4]))


def test_windows_are_spread_over_all_texts_when_there_are_more_than_wanted(generator):
    texts = [f"{index} the model reads a prompt" * 4 for index in range(50)]
    windows = token_windows(texts, generator.tokenizer, 8, 100)
    assert sum(len(one) - 1 for one in windows) == pytest.approx(100, abs=10)
    every = token_windows(texts, generator.tokenizer, 8, 10**6)
    np.testing.assert_array_equal(windows[0], every[0])
    np.testing.assert_array_equal(windows[-1], every[-1])


def test_ratio_is_exact_and_without_width_when_each_token_costs_the_same_more():
    tokens = np.array([10, 20, 30, 5])
    parent = np.array([20.0, 50.0, 55.0, 9.0])
    found = perplexity_ratio(parent, parent + 0.02 * tokens, tokens)
    assert (found.low, found.value, found.high) == pytest.approx((np.exp(0.02),) * 3)


def test_interval_is_paired_when_texts_differ_more_than_models():
    random = np.random.default_rng(0)
    tokens = np.full(200, 100)
    parent = random.normal(300, 80, 200)
    child = parent + random.normal(0.5, 1, 200)
    found = perplexity_ratio(parent, child, tokens)
    mean, error = (child - parent).mean() / 100, (child - parent).std() / 100 / np.sqrt(200)
    assert found.value == pytest.approx(np.exp(mean))
    assert found.low == pytest.approx(np.exp(mean - 1.96 * error), abs=3e-4)
    assert found.high == pytest.approx(np.exp(mean + 1.96 * error), abs=3e-4)

"""What a graph gives to tokens, read by steps together, against torch, which reads each text at once."""

from itertools import pairwise

import numpy as np
import pytest

from maas.evidence.text_metrics import perplexity_ratio, text_metrics
from maas.evidence.token_scores import pieces_read, token_scores, token_windows, window_likelihoods
from maas.runtime.generation.passages import text_passage

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
    found = text_metrics(window_likelihoods(scores, list(map(text_passage, TEXTS)), generator.tokenizer))
    nats = np.concatenate(scores.nats)
    assert found["perplexity"].value == pytest.approx(np.exp(nats.mean()))
    right = np.concatenate([one == text[1:] for one, text in zip(scores.likeliest, TEXTS, strict=True)])
    assert found["token_accuracy"].value == pytest.approx(right.mean())


def test_every_token_but_a_texts_first_is_counted_once_when_windows_follow_each_other(generator):
    texts = ["the model reads a prompt and writes a text " * 5, "这是", "1"]
    windows = token_windows(pieces_read(texts, generator.tokenizer), 16, 10_000)
    encoded = [one.ids for one in generator.tokenizer.encode_batch_fast(texts)]
    counted = np.concatenate([window.tokens[window.is_predicted] for window in windows])
    assert counted.tolist() == [token for ids in encoded for token in ids[1:]]
    assert max(len(one.tokens) for one in windows) == 16
    assert all(one.tokens[-1] == other.tokens[0] for one, other in pairwise(windows[:4]))


def test_answers_alone_are_counted_once_when_windows_are_of_conversations(generator):
    rows = [
        [{"role": "user", "content": "the"}, {"role": "assistant", "content": "a text that is longer than a window"}],
        [{"role": "user", "content": "a question that is longer than a window"}, {"role": "assistant", "content": "1"}],
    ]
    passages = [generator.passage(row) for row in rows]
    windows = token_windows(passages, 12, 10_000)
    wanted = np.concatenate([passage.tokens[passage.is_predicted] for passage in passages])
    counted = np.concatenate([window.tokens[window.is_predicted] for window in windows])
    np.testing.assert_array_equal(counted, wanted)
    scores = token_scores(generator.decoder, [window.tokens for window in windows]).predicted(windows)
    assert scores.tokens.tolist() == [int(window.is_predicted.sum()) for window in windows]
    found = window_likelihoods(scores, windows, generator.tokenizer)
    assert found.characters.sum() == len(generator.tokenizer.decode(wanted.tolist(), skip_special_tokens=False))


def test_windows_are_spread_over_all_texts_when_there_are_more_than_wanted(generator):
    texts = [f"{index} the model reads a prompt" * 4 for index in range(50)]
    passages = pieces_read(texts, generator.tokenizer)
    windows = token_windows(passages, 8, 100)
    assert sum(int(one.is_predicted.sum()) for one in windows) == pytest.approx(100, abs=10)
    every = token_windows(passages, 8, 10**6)
    np.testing.assert_array_equal(windows[0].tokens, every[0].tokens)
    np.testing.assert_array_equal(windows[-1].tokens, every[-1].tokens)


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

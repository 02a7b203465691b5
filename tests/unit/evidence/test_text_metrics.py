"""Perplexity and bits per character and byte, beside closed forms and numpy."""

import math
from dataclasses import replace

import numpy as np
import pytest

from maas.evidence.text_metrics import TextLikelihoods, perplexity_gain, text_metrics


def likelihoods(texts: int, seed: int = 0) -> TextLikelihoods:
    random = np.random.default_rng(seed)
    tokens = random.integers(5, 400, texts)
    characters = tokens * random.integers(2, 5, texts)
    return TextLikelihoods(
        nats=tokens * random.uniform(2, 3, texts),
        right=random.integers(0, tokens),
        tokens=tokens,
        characters=characters,
        bytes=characters + random.integers(0, 9, texts),
    )


def test_metrics_are_the_closed_form_when_tokens_are_characters_and_equally_likely():
    counts = np.array([10, 1, 33])
    found = text_metrics(TextLikelihoods(counts * math.log(32), np.array([1, 0, 3]), counts, counts, 2 * counts))
    assert {name: one.value for name, one in found.items()} == pytest.approx(
        {
            "log_likelihood": -math.log(32),
            "token_accuracy": 4 / 44,
            "perplexity": 32,
            "bits_per_character": 5,
            "bits_per_byte": 2.5,
        }
    )
    for name in ("log_likelihood", "perplexity", "bits_per_character", "bits_per_byte"):  # the same of each text
        assert found[name].low == pytest.approx(found[name].high)


def test_metrics_are_of_all_texts_together_when_texts_differ():
    given = likelihoods(50)
    found = text_metrics(given)
    bits = np.sum(given.nats) / np.log(2)
    assert found["bits_per_character"].value == pytest.approx(bits / np.sum(given.characters), rel=1e-12)
    assert found["bits_per_byte"].value == pytest.approx(bits / np.sum(given.bytes), rel=1e-12)
    assert found["perplexity"].value == pytest.approx(2 ** (bits / np.sum(given.tokens)), rel=1e-12)
    assert found["log_likelihood"].value == pytest.approx(-math.log(found["perplexity"].value), rel=1e-12)
    assert all(one.low < one.value < one.high for one in found.values())


def test_interval_covers_as_often_as_it_says_when_texts_are_drawn_again():
    population = likelihoods(4000, seed=1)
    truth = text_metrics(population)["bits_per_character"].value
    random, covered = np.random.default_rng(2), 0
    for _ in range(100):
        drawn = random.integers(0, 4000, 60)
        few = TextLikelihoods(*(getattr(population, name)[drawn] for name in population.__dataclass_fields__))
        interval = text_metrics(few)["bits_per_character"]
        covered += interval.low <= truth <= interval.high
    assert 85 <= covered <= 100


def test_interval_is_finite_when_there_is_one_text():
    assert all(np.isfinite([one.low, one.high]).all() for one in text_metrics(likelihoods(1)).values())


def test_gain_is_the_percentage_of_the_perplexity_when_two_models_read_the_same_tokens():
    old = likelihoods(50)
    new = replace(old, nats=0.9 * old.nats)
    perplexities = [text_metrics(one)["perplexity"].value for one in (new, old)]
    found = perplexity_gain(new, old)
    assert found.value == pytest.approx(100 * (1 - perplexities[0] / perplexities[1]), rel=1e-12)
    assert found.low < found.value < found.high
    assert perplexity_gain(old, new).value < 0
    alike = perplexity_gain(old, old)
    assert (alike.low, alike.value, alike.high) == (0, 0, 0)


def test_interval_is_paired_when_one_model_is_better_by_the_same_on_every_text():
    old = likelihoods(50)
    found = perplexity_gain(replace(old, nats=old.nats - 0.1 * old.tokens), old)
    assert found.low == pytest.approx(found.high) == pytest.approx(100 * (1 - math.exp(-0.1)))


def test_sizes_are_those_of_the_answers_when_a_row_is_a_conversation():
    row = [{"role": "user", "content": "long question"}, {"role": "assistant", "content": "好 a"}]
    found = TextLikelihoods.of([row, "xy"], np.ones(2), np.ones(2), np.ones(2))
    assert (found.characters.tolist(), found.bytes.tolist()) == ([3, 2], [5, 2])

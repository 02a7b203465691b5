"""Likelihoods of whole texts, beside closed forms and a loop over single tokens."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from maas.models.gpt import GPT
from maas.runtime.processors.generative_text import GenerativeTextProcessor
from maas.training.text_likelihoods import token_sums

TEXTS = ["In the beginning", "x", "And the earth was without form, and void; and darkness was upon the face", "好"]
LENGTH = 8


@pytest.fixture
def processor() -> GenerativeTextProcessor:
    return GenerativeTextProcessor("characters", vocabulary_size=300, max_tokens=LENGTH).fit(TEXTS)


class Fixed(nn.Module):
    """Gives every token the same logits, whatever came before it."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(*tokens.shape, -1)


def test_likelihood_is_uniform_when_no_token_is_preferred(processor):
    sums = token_sums(Fixed(torch.zeros(processor.tokens)), processor, TEXTS)
    counts = np.array([len(document) for document in processor.documents(TEXTS)])
    np.testing.assert_array_equal(sums.tokens, counts)  # the first token is given, and the end is predicted
    np.testing.assert_allclose(sums.nats, counts * math.log(processor.tokens), rtol=1e-6)


def test_right_tokens_are_the_ends_when_these_are_the_likeliest(processor):
    logits = torch.zeros(processor.tokens)
    logits[processor.end] = 3.0
    sums = token_sums(Fixed(logits), processor, TEXTS)
    assert sums.right.tolist() == [1] * len(TEXTS)


def test_sums_are_those_of_single_tokens_when_each_is_predicted_from_what_it_sees(processor):
    torch.manual_seed(0)
    net = GPT(processor.tokens, width=32, layers=2, heads=2, feed_forward=48).eval()
    with torch.no_grad():
        for one in net.parameters():
            one.add_(0.2 * torch.randn_like(one))
    sums = token_sums(net, processor, TEXTS)
    for number, document in enumerate(processor.documents(TEXTS)):
        stream = [*document.tolist(), processor.end]
        nats = right = 0.0
        for place in range(1, len(stream)):
            first = 0 if place <= LENGTH else ((place - LENGTH - 1) // (LENGTH // 2) + 1) * (LENGTH // 2)
            with torch.no_grad():
                scores = net(torch.tensor([stream[first:place]]))[0, -1].double().log_softmax(0)
            nats -= float(scores[stream[place]])
            right += int(scores.argmax()) == stream[place]
        assert sums.nats[number] == pytest.approx(nats, rel=1e-5)
        assert sums.right[number] == right
        assert sums.tokens[number] == len(stream) - 1


@pytest.mark.parametrize("text", ["1234567", "12345678", "123456789", "12345678901", "123456789012"])
def test_every_token_is_counted_once_when_a_text_ends_near_a_window(processor, text):
    assert token_sums(Fixed(torch.zeros(processor.tokens)), processor, [text]).tokens.tolist() == [
        len(processor.documents([text])[0])
    ]

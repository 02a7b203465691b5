"""A bundle's likelihoods are its net's; answers are right where they are the greedy text."""

import numpy as np
import pytest
import torch

from maas.exporting import generation_metrics
from maas.exporting.generation_metrics import bundle_likelihoods, exact_match, net_likelihoods
from maas.importing.decoders.conversing import conversation_processor
from maas.importing.decoders.net import DecoderNet
from maas.runtime.generation.settings import GenerationSettings

LENGTH = 24
ROWS = [
    "the model reads a prompt and writes a text, and a longer one than a window holds: 这是 1 2 3 naïve cafés",
    [{"role": "user", "content": "the"}, {"role": "assistant", "content": "a text 🙂"}],
    "x",
    [
        {"role": "user", "content": "1"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "3"},
        {"role": "assistant", "content": "这是一个很棒的文本, and then some more of it"},
    ],
    "1 2 3",
]


def test_likelihoods_are_those_of_the_net_when_the_graph_reads_the_same_windows(llama_folder, generator):
    net, processor = DecoderNet(str(llama_folder)).eval(), conversation_processor(str(llama_folder), LENGTH)
    expected, found = net_likelihoods(net, processor, ROWS), bundle_likelihoods(generator, ROWS, LENGTH)
    np.testing.assert_allclose(found.nats, expected.nats, rtol=1e-5)
    for name in ("right", "tokens", "characters", "bytes"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.characters.tolist()[1:3] == [8, 1]


def test_every_predicted_token_is_counted_once_when_rows_are_longer_than_windows(generator):
    found = bundle_likelihoods(generator, ROWS, LENGTH)
    assert found.tokens.tolist() == [int(generator.passage(row).is_predicted.sum()) for row in ROWS]


def test_likelihood_of_an_answer_is_the_sum_of_its_tokens_when_it_fits_a_window(llama, generator):
    passage = generator.passage(ROWS[1])
    logs = torch.from_numpy(llama.logits(passage.tokens)).double().log_softmax(1)
    wanted = np.flatnonzero(passage.is_predicted)
    expected = -sum(float(logs[place - 1, passage.tokens[place]]) for place in wanted)
    assert bundle_likelihoods(generator, [ROWS[1]], 64).nats[0] == pytest.approx(expected, rel=1e-5)


def test_answers_match_exactly_when_they_are_the_greedy_texts(generator, monkeypatch):
    asked = [[{"role": "user", "content": prompt}] for prompt in ("the", "这是", "1 2 3")]
    texts = generator.generate(asked, GenerationSettings(max_tokens=12))
    rows = [[*one, {"role": "assistant", "content": text.text}] for one, text in zip(asked, texts, strict=True)]
    monkeypatch.setattr(generation_metrics, "GenerationSettings", lambda **_: GenerationSettings(max_tokens=12))
    assert exact_match(generator, rows).value == 1
    other = [*asked[0], {"role": "assistant", "content": texts[0].text + "!"}]
    assert exact_match(generator, [*rows, other, "a text"]).value == 3 / 4


def test_nothing_is_matched_when_no_row_is_a_conversation(generator):
    assert exact_match(generator, ["a text", "another"]) is None


def test_room_is_left_for_the_longest_answer_when_answers_are_generated(generator, monkeypatch):
    seen = []
    monkeypatch.setattr(
        generation_metrics, "GenerationSettings", lambda **given: seen.append(given) or GenerationSettings(**given)
    )
    exact_match(generator, [ROWS[1], ROWS[3]])
    longest = len(generator.tokenizer.encode(ROWS[3][-1]["content"]).ids)
    assert seen == [{"max_tokens": longest + 1, "overflow": "cut"}]

"""What a net makes of texts, beside a loop over single rows, and a net that learns to turn texts round."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch.nn import functional

from maas.config import compose
from maas.data.datamodule import BatchesByLength, PairedDataset
from maas.data.packing import NO_TARGET
from maas.data.splits import Split, Splits
from maas.models.seq2seq import Seq2Seq
from maas.records.evidence import DataRecord
from maas.runtime.processors.translated_text import TranslatedTextProcessor
from maas.training.fitting import fit_net
from maas.training.heads import task_head_of
from maas.training.losses import NextToken
from maas.training.recipe import TrainingRecipe
from maas.training.translating import pair_sums, translations_of

TEXTS = ["ab", "好的 yes", "a longer one, with more of it", "x", "1984"]
WANTED = ["ba", "yes", "short", "a longer one", "4891"]


@pytest.fixture
def processor():
    return TranslatedTextProcessor("characters", vocabulary_size=300, max_tokens=40, pad_multiple=4).fit(TEXTS + WANTED)


@pytest.fixture
def net(processor):
    torch.manual_seed(0)
    made = Seq2Seq(processor.tokens, width=32, heads=2, feed_forward=48, dropout=0.0).eval()
    with torch.no_grad():
        for one in made.parameters():
            one.add_(0.2 * torch.randn_like(one))
    return made


def alone(net, processor, text):
    """Returns what a net makes of one text, by the likeliest token of the whole row at each step."""
    source = torch.from_numpy(processor.arrays([text])[0])[None]
    written = [processor.end]
    while len(written) <= processor.max_tokens:
        with torch.no_grad():
            newest = int(net(source, torch.tensor([written]))[0, -1].argmax())
        written.append(newest)
        if newest == processor.end:
            break
    return processor.text_of(written)


def test_texts_are_those_of_each_alone_when_they_share_batches(net, processor):
    with torch.no_grad():  # a net whose texts end, at other places each
        net.embedding.weight[processor.end] += 0.6 * net.embedding.weight[1:].mean(0)
    assert translations_of(net, processor, TEXTS) == [alone(net, processor, text) for text in TEXTS]


def test_sums_are_those_of_single_tokens_when_pairs_are_read(net, processor):
    sums = pair_sums(net, processor, TEXTS, WANTED)
    for number, (text, wanted) in enumerate(zip(TEXTS, WANTED, strict=True)):
        source = torch.from_numpy(processor.arrays([text])[0])[None]
        tokens = [*processor.arrays([wanted])[0].tolist(), processor.end]
        nats = right = 0.0
        for place in range(1, len(tokens)):
            with torch.no_grad():
                scores = net(source, torch.tensor([tokens[:place]]))[0, -1].double().log_softmax(0)
            nats -= float(scores[tokens[place]])
            right += int(scores.argmax()) == tokens[place]
        assert sums.nats[number] == pytest.approx(nats, rel=1e-5)
        assert (sums.right[number], sums.tokens[number]) == (right, len(tokens) - 1)


def test_net_turns_texts_round_when_it_has_learnt_to():
    random = np.random.default_rng(0)
    texts = ["".join(random.choice(list("abcdef"), random.integers(1, 6))) for _ in range(600)]
    wanted = [text[::-1] for text in texts]
    processor = TranslatedTextProcessor("characters", vocabulary_size=263, max_tokens=8, pad_multiple=4).fit(texts)
    rows = PairedDataset(Split(texts, np.array(wanted, dtype=object)), processor)
    torch.manual_seed(0)
    net = Seq2Seq(processor.tokens, width=32, encoder_layers=1, decoder_layers=1, heads=4, feed_forward=64, dropout=0.0)
    optimizer, head = torch.optim.AdamW(net.parameters(), lr=5e-3), task_head_of("translation", ())
    for _ in range(300):
        batch = rows[random.integers(0, 600, 64).tolist()]
        loss = NextToken()(*head.prepared(net(**batch.inputs), batch.targets))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    unseen = ["fade", "abcde", "cab", "f", "deed", "bead", "acef", "ee"]
    right = [
        found == text[::-1] for found, text in zip(translations_of(net.eval(), processor, unseen), unseen, strict=True)
    ]
    assert sum(right) >= 7


def test_likelihoods_are_those_of_the_loss_when_pairs_are_read(net, processor):
    rows = PairedDataset(Split(TEXTS, np.array(WANTED, dtype=object)), processor)
    batch = rows[list(range(5))]
    with torch.no_grad():
        loss = functional.cross_entropy(net(**batch.inputs).flatten(0, 1), batch.targets.flatten(), ignore_index=-100)
    sums = pair_sums(net, processor, TEXTS, WANTED)
    assert sums.nats.sum() / sums.tokens.sum() == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("accumulated", [1, 3])
def test_step_minimises_one_mean_when_batches_of_other_lengths_are_accumulated(processor, net, tmp_path, accumulated):
    """Each step is one of gradient descent on all tokens of its batches, however long the texts of each are."""
    split = Split(TEXTS * 4, np.array(WANTED * 4, dtype=object))
    splits, start = Splits(split, split, split, (), DataRecord("", {}, {})), deepcopy(net)
    recipe = TrainingRecipe.of(compose(
        "digits_mlp", "task=translation", "metric=log_likelihood", "objective=next_token", "objective.l2=0",
        "optimizer=gd", "optimizer.lr=0.05", "schedule=constant", "trainer.max_epochs=1", "callbacks=[]",
        "+trainer.precision=64-true", "batch_size=3", f"+trainer.accumulate_grad_batches={accumulated}",
    ))  # fmt: skip
    fit_net(recipe, net.train(), splits, processor, tmp_path)
    rows, expected = PairedDataset(split, processor), start.double()
    batches = BatchesByLength(rows.keys, 3, seed=recipe.seed).together()
    for first in range(0, len(batches), accumulated):
        seen = rows[np.concatenate(batches[first : first + accumulated])]
        loss = functional.cross_entropy(
            expected(**seen.inputs).flatten(0, 1), seen.targets.flatten(), ignore_index=NO_TARGET
        )
        expected.zero_grad()
        loss.backward()
        with torch.no_grad():
            for one in expected.parameters():
                one.sub_(0.05 * one.grad)
    for one, other in zip(net.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-6, atol=1e-6)

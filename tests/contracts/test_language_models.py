"""What every language model in models/ keeps: logits (N, T, V), no look ahead, documents and rows that do not mix."""

import inspect

import numpy as np
import pytest
import torch

from maas.config.schema import FILLED, METRICS
from maas.data.packing import NO_TARGET
from maas.evidence.text_metrics import TextLikelihoods, text_metrics
from maas.training.heads import task_head_of
from tests.contracts.test_heads import GENERATIVE
from tests.contracts.test_models import FILES, TOLERANCE, other_nets_of

NETS = [
    net
    for name in FILES
    for net in other_nets_of(name, "tokens")
    if "source" not in inspect.signature(net.forward).parameters
]
"""Those that continue a text; tests/unit/models/test_seq2seq.py is of those that make one of another."""
V = 40


@pytest.fixture(params=NETS)
def net(request):
    torch.manual_seed(0)
    made = request.param(V).eval()
    with torch.no_grad():
        for one in made.parameters():
            one.add_(0.05 * torch.randn_like(one))
    return made


def tokens_of(rows, tokens):
    return torch.randint(0, V, (rows, tokens), generator=torch.Generator().manual_seed(rows * 1000 + tokens))


def test_language_models_are_found_when_files_are_listed():
    assert NETS


@pytest.mark.parametrize("kind", NETS)
def test_arguments_have_defaults_when_the_processor_does_not_tell_them(kind):
    parameters = inspect.signature(kind).parameters.values()
    assert {one.name for one in parameters if one.default is one.empty} == {"vocabulary_size"} <= FILLED


@torch.no_grad()
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("tokens", [1, 9])
def test_logits_are_of_each_token_when_rows_are_given(net, rows, tokens):
    logits = net(tokens_of(rows, tokens))
    assert logits.shape == (rows, tokens, V)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@torch.no_grad()
def test_logits_are_the_same_when_later_tokens_and_other_rows_are_left_out(net):
    tokens = tokens_of(4, 12)
    together = net(tokens)
    torch.testing.assert_close(net(tokens[2:3, :5]), together[2:3, :5], **TOLERANCE)


@torch.no_grad()
def test_logits_are_the_same_when_documents_share_a_row(net):
    tokens = tokens_of(2, 12)
    together = net(tokens, (torch.arange(12) >= 5).long().expand(2, 12))
    torch.testing.assert_close(together, torch.cat([net(tokens[:, :5]), net(tokens[:, 5:])], dim=1), **TOLERANCE)


def test_net_learns_when_a_gradient_step_is_taken(net):
    tokens = tokens_of(2, 9)
    logits = net.train()(tokens[:, :-1])
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in net.parameters())


@pytest.fixture(params=GENERATIVE)
def task_head(request):
    return task_head_of(request.param, ())


@pytest.fixture
def batch():
    """Logits (5, 8, V) and targets (5, 8), a quarter of which are none."""
    chance = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(5, 8, V, generator=chance)
    targets = torch.randint(0, V, (5, 8), generator=chance)
    return logits, targets.masked_fill(torch.rand(5, 8, generator=chance) < 0.25, NO_TARGET)


def test_task_head_names_no_postprocessor_when_it_is_generatives(task_head):
    assert task_head.postprocessor == ""
    assert task_head.postprocessor_record(V) == {}


def test_validation_metrics_are_those_of_evidence_when_both_see_the_same_tokens(task_head, batch):
    logits, targets = batch
    watched = task_head.metrics()
    for rows in (slice(0, 2), slice(2, 5)):  # two batches of other sizes
        watched.update(task_head.predicted(logits[rows]), targets[rows])
    scores, is_counted = logits.double().log_softmax(2), targets != NO_TARGET
    nats = -scores.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0].where(is_counted, 0.0).sum(1)
    right, tokens = (logits.argmax(2) == targets).sum(1), is_counted.sum(1)
    sums = TextLikelihoods(*(one.numpy() for one in (nats, right, tokens)), np.ones(5), np.ones(5))
    evidence = text_metrics(sums)
    assert {"log_likelihood", *METRICS[task_head.task]} <= set(watched.keys()) <= set(evidence)
    for name, value in watched.compute().items():
        assert float(value) == pytest.approx(evidence[name].value, rel=1e-6)


def test_loss_is_minus_the_log_likelihood_when_logits_are_prepared(task_head, batch):
    logits, targets = batch
    watched = task_head.metrics()
    watched.update(task_head.predicted(logits), targets)
    prepared = task_head.prepared(logits, targets)
    assert prepared[0].shape == (40, V)
    loss = torch.nn.CrossEntropyLoss()(*prepared)
    assert float(watched.compute()["log_likelihood"]) == pytest.approx(-loss.item(), rel=1e-6)

"""Losses against their formulas and against scikit-learn's weights."""

import math
from itertools import groupby, product

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from maas.data.packing import NO_TARGET
from maas.data.symbols import UNKNOWN
from maas.errors import ConfigError
from maas.training.losses import BinaryCrossEntropy, ConnectionistTemporal, CrossEntropy, NextToken, SquaredError
from maas.training.objectives import Objective

TARGETS = torch.tensor([0, 2, 2, 1, 2, 0, 2])
LOGITS = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_squared_error_is_that_of_scikit_learn_when_it_is_over_n_and_half_of_it_over_2n():
    found, targets = LOGITS[:, 0], LOGITS[:, 1]
    expected = mean_squared_error(targets, found)
    assert SquaredError()(found, targets).item() == pytest.approx(expected, abs=1e-12)
    assert SquaredError("1/2n")(found, targets).item() == pytest.approx(expected / 2, abs=1e-12)


def test_gradient_is_the_mean_residual_when_the_squared_error_is_over_2n():
    found = LOGITS[:, 0].clone().requires_grad_()
    SquaredError("1/2n")(found, LOGITS[:, 1]).backward()
    torch.testing.assert_close(found.grad, (LOGITS[:, 0] - LOGITS[:, 1]) / 7, rtol=0, atol=1e-15)


def test_cross_entropy_is_that_of_scikit_learn_when_nothing_is_smoothed():
    expected = log_loss(TARGETS, LOGITS.softmax(dim=1))
    assert CrossEntropy()(LOGITS, TARGETS).item() == pytest.approx(expected, abs=1e-12)


def test_cross_entropy_is_the_formula_when_labels_are_smoothed():
    smoothing = 0.1
    shares = np.full((7, 3), smoothing / 3)
    shares[np.arange(7), TARGETS] += 1 - smoothing
    expected = -(shares * LOGITS.log_softmax(dim=1).numpy()).sum(axis=1).mean()
    assert CrossEntropy(smoothing)(LOGITS, TARGETS).item() == pytest.approx(expected, abs=1e-12)


def smoothed_and_weighted(logits: np.ndarray, targets: np.ndarray, smoothing: float, weights: np.ndarray) -> float:
    """Returns −Σ_i Σ_k w_k q_ik log p_ik / Σ_i w_{y_i}, in float64."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = np.full(logits.shape, smoothing / logits.shape[1])
    shares[np.arange(len(targets)), targets] += 1 - smoothing
    losses = -(shares * np.log(powers / powers.sum(axis=1, keepdims=True)) * weights).sum(axis=1)
    return losses.sum() / weights[targets].sum()


def test_cross_entropy_is_torchs_and_the_formula_when_smoothed_rows_are_weighted():
    torch.manual_seed(0)
    logits, targets = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 0])
    loss = CrossEntropy(0.1, [1, 2, 10])
    loss.fit(targets.numpy())
    assert loss(logits, targets).item() == pytest.approx(2.0499, abs=5e-5)
    for smoothing, weights in ((0.1, [1, 2, 10]), (0.3, [0.5, 4, 1]), (1.0, [3, 1, 2])):
        loss = CrossEntropy(smoothing, weights)
        loss.fit(targets.numpy())
        wanted = smoothed_and_weighted(logits.double().numpy(), targets.numpy(), smoothing, np.array(weights))
        assert loss(logits.double(), targets).item() == pytest.approx(wanted, rel=1e-12)
        assert loss.total_weight(targets) == np.array(weights)[targets].sum()


@pytest.mark.parametrize("weights", ["balanced", [1.0, 2.0, 0.5]])
def test_cross_entropy_is_that_of_scikit_learn_when_classes_are_weighted(weights):
    loss = CrossEntropy(class_weights=weights)
    loss.fit(TARGETS.numpy())
    weighting = weights if weights == "balanced" else dict(enumerate(weights))
    rows = compute_sample_weight(weighting, TARGETS)
    expected = log_loss(TARGETS, LOGITS.softmax(dim=1), sample_weight=rows)
    assert loss(LOGITS, TARGETS).item() == pytest.approx(expected, abs=1e-6)  # the weights are held in float32


def test_balanced_weights_are_those_of_scikit_learn():
    loss = CrossEntropy(class_weights="balanced")
    loss.fit(TARGETS.numpy())
    expected = compute_class_weight("balanced", classes=np.arange(3), y=TARGETS.numpy())
    np.testing.assert_allclose(loss.weights, expected, rtol=1e-6)


def test_weights_are_refused_when_there_are_not_as_many_as_labels():
    with pytest.raises(ConfigError, match="holds 2 numbers and the data has 3 labels; give one a label"):
        CrossEntropy(class_weights=[1.0, 2.0]).fit(TARGETS.numpy())


def test_binary_loss_is_that_of_two_logits_when_one_of_them_is_0():
    logits, targets = LOGITS[:, 0], (TARGETS == 2).double()
    for smoothing in (0.0, 0.2):
        two = torch.stack([torch.zeros(7), logits], dim=1)
        expected = CrossEntropy(smoothing)(two, targets.long()).item()
        assert BinaryCrossEntropy(smoothing)(logits, targets).item() == pytest.approx(expected, abs=1e-12)


def test_binary_loss_weighs_the_rare_label_as_much_as_the_other_when_balanced():
    targets = torch.tensor([1.0, 0, 0, 0])
    loss = BinaryCrossEntropy(positive_weight="balanced")
    loss.fit(targets.numpy())
    assert loss(torch.zeros(4), targets).item() == pytest.approx((3 + 3) * math.log(2) / 4)


@pytest.mark.parametrize("absent", ["a", "c"])
def test_balanced_weights_are_refused_when_a_label_has_no_row(absent):
    targets = TARGETS.numpy()[TARGETS.numpy() != "abc".index(absent)]
    with pytest.raises(ConfigError) as caught:
        CrossEntropy(class_weights="balanced").fit(targets, ("a", "b", "c"))
    assert str(caught.value) == (
        f"objective.loss.class_weights is balanced, and no training row is {absent}; each of the 3 labels needs one. "
        "Add rows of it, leave it out of data.labels, or write weights as numbers."
    )


def test_weights_are_one_a_label_when_the_last_label_has_no_row():
    weights, two = [1.0, 2.0, 0.5], TARGETS[TARGETS != 2]
    loss = Objective(CrossEntropy(class_weights=weights))
    loss.fit(two.numpy(), ("a", "b", "c"))
    logits = LOGITS[TARGETS != 2]
    rows = compute_sample_weight(dict(enumerate(weights)), two)
    expected = log_loss(two, logits.softmax(dim=1), sample_weight=rows, labels=[0, 1, 2])
    assert loss.loss(logits, two).item() == pytest.approx(expected, abs=1e-6)


def test_loss_of_ones_own_is_given_targets_alone_when_it_asks_for_no_labels():
    class Own(torch.nn.Module):
        def fit(self, targets):
            self.given = targets

    loss = Own()
    Objective(loss).fit([1, 2], ("a", "b", "c"))
    assert loss.given == [1, 2]


@pytest.mark.parametrize(("targets", "absent"), [([0, 0, 0], "yes"), ([1, 1], "no")])
def test_positive_weight_is_refused_when_one_of_the_labels_has_no_row(targets, absent):
    with pytest.raises(
        ConfigError, match=f"positive_weight is balanced, and no training row is {absent}; each of the 2"
    ):
        BinaryCrossEntropy(positive_weight="balanced").fit(np.array(targets), ("no", "yes"))


def test_next_token_loss_is_the_mean_over_targets_when_some_positions_have_none():
    logits = torch.randn(6, 11, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([3, NO_TARGET, 0, 10, NO_TARGET, 3])
    counted = targets != NO_TARGET
    expected = -logits.double().log_softmax(1)[counted, targets[counted]].mean()
    loss = NextToken()
    assert loss(logits, targets).item() == pytest.approx(expected.item(), rel=1e-6)
    assert loss.total_weight(targets) == 4
    assert loss.total_weight(targets.view(2, 3)) == 4


def test_next_token_loss_is_smoothed_as_its_formula_when_a_fraction_is_given():
    logits = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)).double()
    targets = torch.tensor([3, 0, NO_TARGET, 6, 3])
    rows, scores = targets != NO_TARGET, logits.log_softmax(1)
    expected = -(0.9 * scores[rows, targets[rows]] + 0.1 * scores[rows].mean(1)).mean()
    assert NextToken(label_smoothing=0.1)(logits, targets).item() == pytest.approx(expected.item(), rel=1e-12)


def by_all_paths(logits: np.ndarray, target: list[int]) -> float:
    """Returns −ln of the summed probabilities of all paths that are read as the target, each read by the definition."""
    frames, symbols = logits.shape
    weights = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    total = 0.0
    for path in product(range(symbols), repeat=frames):
        if [symbol for symbol, _ in groupby(path) if symbol] == target:
            total += np.prod(weights[np.arange(frames), list(path)])
    return -math.log(total)


TRANSCRIPTS = [[1, 2], [2, 2], [1], [2, 1, 2]]


def transcripts() -> tuple[torch.Tensor, torch.Tensor]:
    logits = torch.randn(4, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    rows = [[*target, *[NO_TARGET] * (3 - len(target))] for target in TRANSCRIPTS]
    return logits, torch.tensor(rows)


def test_ctc_is_the_sum_over_all_paths_when_each_is_read_by_the_definition():
    logits, targets = transcripts()
    expected = sum(map(by_all_paths, logits.numpy(), TRANSCRIPTS)) / sum(map(len, TRANSCRIPTS))
    assert ConnectionistTemporal()(logits, targets).item() == pytest.approx(expected, abs=1e-12)
    assert ConnectionistTemporal().total_weight(targets) == 8


def test_ctc_gradient_is_that_of_finite_differences():
    logits, targets = transcripts()
    loss = ConnectionistTemporal()
    assert torch.autograd.gradcheck(lambda one: loss(one, targets), logits.requires_grad_())


def test_ctc_is_the_same_when_certain_blanks_follow():
    logits, targets = transcripts()
    ends = torch.full((4, 6, 3), -100.0, dtype=torch.float64)
    ends[..., 0] = 0
    longer = ConnectionistTemporal()(torch.cat([logits, ends], dim=1), targets)
    assert longer.item() == pytest.approx(ConnectionistTemporal()(logits, targets).item(), abs=1e-12)


def test_ctc_leaves_unknown_characters_out_when_training_texts_lack_them():
    logits, targets = transcripts()
    unknown = torch.cat([torch.full((4, 1), UNKNOWN), targets], dim=1)
    assert ConnectionistTemporal()(logits, unknown).item() == ConnectionistTemporal()(logits, targets).item()


def test_ctc_is_finite_when_frames_are_too_few_or_a_text_is_unknown():
    logits, targets = transcripts()
    loss = ConnectionistTemporal()(logits[:, :1].requires_grad_(), targets)
    loss.backward()
    assert loss.isfinite()
    alone = torch.full((1, 3), UNKNOWN)
    assert ConnectionistTemporal()(logits[:1], alone).item() == pytest.approx(
        by_all_paths(logits[0].detach().numpy(), [])
    )


def test_ctc_of_a_step_is_one_mean_when_batches_are_weighted_by_their_characters():
    logits, targets = transcripts()
    loss = ConnectionistTemporal()
    halves = [
        loss(logits[part], targets[part]).item() * loss.total_weight(targets[part]) for part in (slice(3), slice(3, 4))
    ]
    assert loss(logits, targets).item() == pytest.approx(sum(halves) / loss.total_weight(targets), abs=1e-12)

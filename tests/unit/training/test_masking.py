"""How tokens are hidden."""

import pytest
import torch

from maas.training.masking import masked

VOCABULARY = 1000


@pytest.fixture
def ids() -> torch.Tensor:
    """200 rows of 50 tokens, each followed by 14 of padding."""
    torch.manual_seed(0)
    return torch.nn.functional.pad(torch.randint(2, VOCABULARY, (200, 50)), (0, 14))


@pytest.mark.parametrize("span", [1, 2, 4])
@pytest.mark.parametrize("share", [0.15, 0.4])
def test_share_is_kept_when_runs_of_any_length_are_hidden(ids, share, span):
    is_guessed = masked(ids, share, span, VOCABULARY).is_guessed
    assert is_guessed[:, :50].float().mean() == pytest.approx(share, abs=0.02)
    for edge in (is_guessed[:, 0], is_guessed[:, 49]):  # the first and the last token are asked for as often as others
        assert edge.float().mean() == pytest.approx(share, abs=0.1)


def test_padding_is_never_asked_for_when_rows_are_padded(ids):
    shown, is_guessed = masked(ids, 0.5, 2, VOCABULARY)
    assert not is_guessed[:, 50:].any()
    assert (shown[:, 50:] == 0).all()


def test_four_fifths_are_hidden_and_a_tenth_replaced_when_tokens_are_asked_for(ids):
    shown, is_guessed = masked(ids, 0.4, 1, VOCABULARY)
    asked = shown[is_guessed]
    assert (asked == 1).float().mean() == pytest.approx(0.8, abs=0.02)
    assert (asked == ids[is_guessed]).float().mean() == pytest.approx(0.1, abs=0.02)
    assert torch.equal(shown[~is_guessed], ids[~is_guessed])
    assert asked.min() == 1
    assert asked.max() < VOCABULARY


def test_runs_are_as_long_as_asked_for_when_few_are_drawn():
    ids = torch.full((400, 200), 5)
    is_guessed = masked(ids, 0.02, 3, VOCABULARY).is_guessed
    begins = is_guessed[:, 1:] & ~is_guessed[:, :-1]
    assert is_guessed[:, 1:].sum() / begins.sum() == pytest.approx(3, abs=0.3)  # even from 1 to 5; few touch


def test_masks_differ_when_a_batch_comes_again_and_are_equal_when_the_seed_is(ids):
    torch.manual_seed(1)
    one, other = masked(ids, 0.15, 2, VOCABULARY), masked(ids, 0.15, 2, VOCABULARY)
    torch.manual_seed(1)
    again = masked(ids, 0.15, 2, VOCABULARY)
    assert not torch.equal(one.is_guessed, other.is_guessed)
    assert torch.equal(one.is_guessed, again.is_guessed)
    assert torch.equal(one.input_ids, again.input_ids)

"""Hiding tokens for a net to guess, as BERT does: single tokens or short runs of them."""

from typing import NamedTuple

import torch
from torch import Tensor

from maas.models.text_cnn import PADDING, UNKNOWN

HIDDEN_FRACTION, REPLACED_FRACTION = 0.8, 0.1  # of the tokens to guess; the rest stand as they are
FIRST_TOKEN = 2  # after padding and unknown


class Masked(NamedTuple):
    """A batch with tokens to guess.

    Args:
        input_ids: int64 (N, T), what the net is shown.
        is_guessed: bool (N, T), true where a token is to be guessed.
    """

    input_ids: Tensor
    is_guessed: Tensor


def masked(input_ids: Tensor, fraction: float, span: int, vocabulary_size: int) -> Masked:
    """Chooses tokens to guess; of these, 80 % are hidden, 10 % replaced by any token and 10 % shown as they are.

    The unknown token stands for a hidden one. Draws from torch's own generator.

    Args:
        input_ids: int64 (N, T), padded with 0.
        fraction: of the real tokens that are to be guessed, on average.
        span: the mean length of a run, in tokens; lengths are even between 1 and 2 · span − 1.
        vocabulary_size: V.

    Source:
        Devlin et al., BERT, arXiv:1810.04805, §3.1; Joshi et al., SpanBERT, arXiv:1907.10529, §3.1.
    """
    is_guessed = _runs(input_ids.shape, fraction, span).to(input_ids.device) & (input_ids != PADDING)
    fate = torch.rand(input_ids.shape).to(input_ids.device)
    anything = torch.randint(min(FIRST_TOKEN, vocabulary_size - 1), vocabulary_size, input_ids.shape)
    shown = input_ids.masked_fill(is_guessed & (fate < HIDDEN_FRACTION), UNKNOWN)
    is_replaced = is_guessed & (fate >= HIDDEN_FRACTION) & (fate < HIDDEN_FRACTION + REPLACED_FRACTION)
    return Masked(torch.where(is_replaced, anything.to(input_ids.device), shown), is_guessed)


def _runs(shape: torch.Size, fraction: float, span: int) -> Tensor:
    """Returns bool (N, T): runs that begin anywhere and may overlap, and cover `fraction` of the places."""
    longest = 2 * span - 1
    starts = torch.rand(shape[0], shape[1] + longest - 1) < _starting_fraction(fraction, longest)
    lengths = torch.randint(1, longest + 1, starts.shape)
    covered = torch.zeros(shape, dtype=torch.bool)
    for offset in range(longest):  # a run that begins `offset` places to the left, outside the text too, reaches here
        first = longest - 1 - offset
        window = slice(first, first + shape[1])
        covered |= starts[:, window] & (lengths[:, window] > offset)
    return covered


def _starting_fraction(fraction: float, longest: int) -> float:
    """Returns p of 1 − Π (1 − p · P(length > offset)) = fraction, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        free = 1.0
        for offset in range(longest):
            free *= 1 - middle * (longest - offset) / longest
        low, high = (middle, high) if 1 - free < fraction else (low, middle)
    return low

"""What a net gives to whole texts, however long: windows slide over them, so that no token is without context."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from maas.data.packing import NO_TARGET, Tokenising, inputs_and_targets, padded, passages_of
from maas.runtime.generation.passages import Passage
from maas.runtime.processors import Array

WINDOWS_AT_ONCE = 16
LOGITS_AT_ONCE = 2**26
"""Fewer windows are read together where there are more, for memory."""
TOKENS_SEEN = 0.5
"""Fraction of a window that is context alone, as far as its text has so much."""


class TextWindow(NamedTuple):
    """A piece of a row.

    Args:
        text: number of the row.
        tokens: int64 (T,) at most.
        targets: int64, the token after each one; `NO_TARGET` where an earlier window has counted it.
    """

    text: int
    tokens: Array
    targets: Array


class TokenSums(NamedTuple):
    """Sums over the predicted tokens of each of N rows, (N,) each: nats, how many are right, how many there are."""

    nats: NDArray[np.float64]
    right: NDArray[np.int64]
    tokens: NDArray[np.int64]


def token_sums(net: nn.Module, processor: Tokenising, rows: Sequence[Any]) -> TokenSums:
    """Returns −Σ ln p of the tokens of rows that are to be predicted, those of the texts' ends among them.

    Every token is counted once. It sees half a window before it, or all of its row where that is less.

    Args:
        net: tokens (N, T) to logits (N, T, V), in evaluation mode, on the CPU.
        processor: fitted; `max_tokens` is the length of a window.
        rows: N raw rows, read piece by piece.
    """
    sums = no_sums(len(rows))
    at_once = max(1, min(WINDOWS_AT_ONCE, LOGITS_AT_ONCE // (processor.max_tokens * processor.tokens)))
    windows = windows_of(passages_of(processor, rows), processor.max_tokens)
    while together := list(islice(windows, at_once)):
        _add(sums, net, together)
    return sums


def no_sums(count: int) -> TokenSums:
    """Returns sums of so many rows, to be added to in place."""
    return TokenSums(np.zeros(count), np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64))


def windows_of(passages: Iterable[Passage], length: int) -> Iterator[TextWindow]:
    """Yields the windows of passages that have something to predict, one passage after the other.

    Args:
        passages: texts and conversations.
        length: most tokens of a window.
    """
    stride = max(1, round(length * (1 - TOKENS_SEEN)))
    for number, passage in enumerate(passages):
        tokens, targets = inputs_and_targets(passage)
        counted = 0
        for start in range(0, max(1, len(tokens) - length + stride), stride):
            taken = slice(start, start + length)
            wanted = targets[taken].copy()
            wanted[: counted - start] = NO_TARGET
            counted = min(start + length, len(tokens))
            if (wanted != NO_TARGET).any():
                yield TextWindow(number, tokens[taken], wanted)


def tokens_and_targets(windows: Sequence[TextWindow]) -> tuple[Array, Array]:
    """Returns the tokens of windows and what follows each, int64 (N, T) both, padded at the end without targets."""
    return padded([window.tokens for window in windows], 0), padded([window.targets for window in windows], NO_TARGET)


def _add(sums: TokenSums, net: nn.Module, windows: list[TextWindow]) -> None:
    """Adds what windows give to their texts."""
    tokens, targets = map(torch.from_numpy, tokens_and_targets(windows))
    with torch.inference_mode():
        logits = net(tokens).float()
        nats = functional.cross_entropy(logits.transpose(1, 2), targets, ignore_index=NO_TARGET, reduction="none")
        is_right = logits.argmax(2) == targets
    texts = [window.text for window in windows]
    np.add.at(sums.nats, texts, nats.double().sum(1).numpy())
    np.add.at(sums.right, texts, is_right.sum(1).numpy())
    np.add.at(sums.tokens, texts, (targets != NO_TARGET).sum(1).numpy())

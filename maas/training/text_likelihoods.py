"""What a net gives to whole texts, however long: windows slide over them, so that no token is without context."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from maas.data.packing import NO_TARGET, Tokenising, padded
from maas.runtime.processors import Array
from maas.runtime.processors.base import in_pieces

WINDOWS_AT_ONCE = 16
TOKENS_SEEN = 0.5
"""Fraction of a window that is context alone, as far as its text has so much."""


class TextWindow(NamedTuple):
    """A piece of a text.

    Args:
        text: number of the text.
        tokens: int64 (T,) at most.
        targets: int64, the token after each one; `NO_TARGET` where an earlier window has counted it.
    """

    text: int
    tokens: Array
    targets: Array


class TokenSums(NamedTuple):
    """Sums over the tokens of each of N texts, (N,) each: nats, how many tokens are right, and how many there are."""

    nats: NDArray[np.float64]
    right: NDArray[np.int64]
    tokens: NDArray[np.int64]


def token_sums(net: nn.Module, processor: Tokenising, texts: Sequence[Any]) -> TokenSums:
    """Returns −Σ ln p of all tokens of texts, those of the texts' ends among them.

    Every token is counted once. It sees half a window before it, or all of its text where that is less.

    Args:
        net: tokens (N, T) to logits (N, T, V), in evaluation mode, on the CPU.
        processor: fitted; `max_tokens` is the length of a window.
        texts: N raw texts, read piece by piece.
    """
    count = len(texts)
    sums = TokenSums(np.zeros(count), np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64))
    waiting: list[TextWindow] = []
    for window in windows_of(processor, texts):
        waiting.append(window)
        if len(waiting) == WINDOWS_AT_ONCE:
            _add(sums, net, waiting)
            waiting = []
    if waiting:
        _add(sums, net, waiting)
    return sums


def windows_of(processor: Tokenising, texts: Sequence[Any]) -> Iterator[TextWindow]:
    """Yields the windows of texts, one text after the other."""
    length = processor.max_tokens
    stride = max(1, round(length * (1 - TOKENS_SEEN)))
    number = 0
    for piece in in_pieces(texts):
        for tokens in processor.documents(piece):
            targets = np.append(tokens[1:], processor.end)
            counted = 0
            for start in range(0, max(1, len(tokens) - length + stride), stride):
                taken = slice(start, start + length)
                wanted = targets[taken].copy()
                wanted[: counted - start] = NO_TARGET
                counted = min(start + length, len(tokens))
                yield TextWindow(number, tokens[taken], wanted)
            number += 1


def _add(sums: TokenSums, net: nn.Module, windows: list[TextWindow]) -> None:
    """Adds what windows give to their texts."""
    tokens = torch.from_numpy(padded([window.tokens for window in windows], 0))
    targets = torch.from_numpy(padded([window.targets for window in windows], NO_TARGET))
    with torch.inference_mode():
        logits = net(tokens).float()
        nats = functional.cross_entropy(logits.transpose(1, 2), targets, ignore_index=NO_TARGET, reduction="none")
        is_right = logits.argmax(2) == targets
    texts = [window.text for window in windows]
    np.add.at(sums.nats, texts, nats.double().sum(1).numpy())
    np.add.at(sums.right, texts, is_right.sum(1).numpy())
    np.add.at(sums.tokens, texts, (targets != NO_TARGET).sum(1).numpy())

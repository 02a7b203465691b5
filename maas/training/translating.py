"""What a net makes of whole texts: the likeliest token at each step, and how likely texts are that are given."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from maas.data.packing import NO_TARGET
from maas.data.pairing import PairedTexts, require_translating
from maas.runtime.model import batches_of
from maas.runtime.processors import Processor, preprocessed_pieces
from maas.training.text_likelihoods import TokenSums

PAIRS_AT_ONCE = 32


def translations_of(net: nn.Module, processor: Processor, texts: Sequence[Any]) -> list[str]:
    """Returns what a net makes of each of some texts: the likeliest token at each step, to the end.

    Args:
        net: source (N, S) and what is written so far (N, T) to logits (N, T, V), in evaluation mode, on the CPU.
        processor: that it was trained with; what is made of a text has `max_tokens` at most, the end among them.
        texts: raw texts.

    Raises:
        InputError: a text is none, or too long.
    """
    reading = require_translating(processor)
    found: list[str] = []
    for features in preprocessed_pieces(processor, texts):
        made = [""] * len(features)
        for batch in batches_of(processor, features, PAIRS_AT_ONCE):
            source = torch.from_numpy(processor.batch([features[index] for index in batch])["source"])
            for index, tokens in zip(batch, greedy_tokens(net, source, reading.max_tokens, reading.end), strict=True):
                made[index] = reading.text_of(tokens)
        found += made
    return found


@torch.inference_mode()
def greedy_tokens(net: nn.Module, source: Tensor, most: int, end: int) -> list[list[int]]:
    """Returns the tokens that a net writes for each row, the end among them where it comes.

    Args:
        net: as of `translations_of`.
        source: int64 (N, S).
        most: largest number of tokens of a row.
        end: token that begins a text and ends it.
    """
    found: list[list[int]] = [[] for _ in source]
    rows, tokens = torch.arange(len(source)), source.new_full((len(source), 1), end)
    for _ in range(most):
        newest = net(source, tokens)[:, -1].argmax(dim=1)
        for row, token in zip(rows.tolist(), newest.tolist(), strict=True):
            found[row].append(token)
        is_open = newest != end
        if not is_open.any():
            break
        tokens = torch.cat([tokens, newest[:, None]], dim=1)[is_open]
        rows, source = rows[is_open], source[is_open]
    return found


def pair_sums(net: nn.Module, processor: Processor, texts: Sequence[Any], wanted: Sequence[Any]) -> TokenSums:
    """Returns −Σ ln p of all tokens of the wanted texts, those of their ends among them.

    Args:
        net: as of `translations_of`.
        processor: that it was trained with.
        texts: N raw texts.
        wanted: what the net should make of each.
    """
    pairs = PairedTexts(processor, texts, wanted)
    parts = list(_summed(net, pairs))
    return TokenSums(*(np.concatenate(part) for part in zip(*parts, strict=True)))


@torch.inference_mode()
def _summed(net: nn.Module, pairs: PairedTexts) -> Iterator[TokenSums]:
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        numbers = range(start, min(start + PAIRS_AT_ONCE, len(pairs)))
        source, tokens, targets = map(torch.from_numpy, pairs.take(numbers))
        logits = net(source, tokens).float()
        nats = functional.cross_entropy(logits.transpose(1, 2), targets, ignore_index=NO_TARGET, reduction="none")
        right = (logits.argmax(2) == targets).sum(1)
        yield TokenSums(nats.double().sum(1).numpy(), right.numpy(), (targets != NO_TARGET).sum(1).numpy())

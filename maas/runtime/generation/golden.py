"""Golden texts: on a machine that may serve a bundle, its tokens are as likely as they were when it was made.

Texts generated again are not compared: where two tokens are almost equally likely, another machine's rounding may take
the other one, and all that follows is then another text.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.runtime.generation.decoder import Decoder, TokenIds
from maas.runtime.generation.sampling import log_softmax

GOLDEN_TOLERANCE = 0.01
"""Largest difference of a log probability in fp32."""
ROUNDED_TOLERANCE = 1.0
"""Likewise where activations are rounded: another kernel's last digit rounds some of them to another whole number."""


class GoldenText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a bundle generated when it was made.

    Args:
        prompt: token ids of the prompt.
        tokens: token ids of the text, the likeliest one each.
        logprobs: log probability of each.
    """

    prompt: list[int]
    tokens: list[int]
    logprobs: list[float]


def greedy_texts(decoder: Decoder, prompts: Sequence[TokenIds], count: int) -> list[list[int]]:
    """Returns the likeliest tokens after each prompt, one by one, all texts together.

    Args:
        decoder: graph.
        prompts: token ids of N prompts.
        count: number of tokens of each text.
    """
    cache = decoder.new_cache(len(prompts), max(map(len, prompts)) + count)
    tokens = [decoder.prefill(cache, 0, prompts).argmax(axis=1)]
    while len(tokens) < count:
        tokens.append(decoder.step(cache, tokens[-1].tolist()).argmax(axis=1))
    found: list[list[int]] = np.stack(tokens, axis=1).tolist()
    return found


def largest_difference(decoder: Decoder, golden: Sequence[GoldenText]) -> float:
    """Returns the largest difference of a golden token's log probability, by the same tokens read again."""
    return max((_difference(decoder, one) for one in golden), default=0.0)


def _difference(decoder: Decoder, golden: GoldenText) -> float:
    found = forced_logprobs(decoder, np.array(golden.prompt, np.int64), golden.tokens)
    return float(np.nan_to_num(np.abs(np.array(found) - golden.logprobs), nan=np.inf).max())


def forced_logprobs(decoder: Decoder, prompt: TokenIds, tokens: Sequence[int]) -> list[float]:
    """Returns the log probability of each token of a given text after a prompt."""
    (logits,) = forced_logits(decoder, [prompt], [tokens])
    return [float(row[token]) for row, token in zip(log_softmax(logits), tokens, strict=True)]


def forced_logits(decoder: Decoder, prompts: Sequence[TokenIds], texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """Returns the logits before each token of given texts, read step by step, all of them together.

    Args:
        decoder: graph.
        prompts: token ids of N prompts.
        texts: token ids of the text after each, T of all.

    Returns:
        (N, T, vocabulary)
    """
    cache = decoder.new_cache(len(prompts), max(map(len, prompts)) + len(texts[0]))
    found = [decoder.prefill(cache, 0, prompts)]
    found += [decoder.step(cache, tokens) for tokens in list(zip(*texts, strict=True))[:-1]]
    return np.stack(found, axis=1)

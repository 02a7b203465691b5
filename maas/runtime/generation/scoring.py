"""How likely a given text is after each of many prompts."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from maas.errors import GenerationError
from maas.runtime.generation.decoder import Decoder, TokenIds
from maas.runtime.generation.sampling import Floats, log_softmax


def continuation_logprobs(
    decoder: Decoder,
    prompts: Sequence[TokenIds],
    tokens: Sequence[int],
    batch_size: int,
    *,
    before_run: Callable[[], object] = lambda: None,
) -> Floats:
    """Returns log p(token t | prompt n, tokens before t), (N, T).

    Args:
        decoder: graph.
        prompts: token ids of N prompts.
        tokens: ids of the text's T tokens.
        batch_size: most prompts at a time; those of similar length go together.
        before_run: is called before some are read; what it raises ends the work.

    Raises:
        GenerationError: the model gives no finite logits.
    """
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    found = np.empty((len(prompts), len(tokens)))
    for start in range(0, len(order), batch_size):
        before_run()
        rows = order[start : start + batch_size]
        found[rows] = _read_together(decoder, [prompts[row] for row in rows], tokens)
    return found


def _read_together(decoder: Decoder, prompts: Sequence[TokenIds], tokens: Sequence[int]) -> Floats:
    cache = decoder.new_cache(len(prompts), max(map(len, prompts)) + len(tokens))
    logits = decoder.prefill(cache, 0, prompts)
    found = [_of_token(logits, tokens[0])]
    for before, token in pairwise(tokens):
        found.append(_of_token(decoder.step(cache, [before] * len(prompts)), token))
    return np.stack(found, axis=1)


def _of_token(logits: NDArray[np.float32], token: int) -> Floats:
    """Returns the log probability of a token after each row of logits, (N,).

    Raises:
        GenerationError: one is not finite.
    """
    if not np.isfinite(logits).all():
        raise GenerationError("The model's logits for a text are not finite numbers; use another version of the model.")
    logs: Floats = log_softmax(logits)[:, token]
    return logs

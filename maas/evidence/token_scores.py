"""What a graph gives to each token of given texts, read as it would generate them: by steps of its cache, together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from maas.evidence.text_metrics import TextLikelihoods
from maas.runtime.generation.decoder import Decoder, TokenIds
from maas.runtime.generation.passages import Passage, text_passage
from maas.runtime.generation.sampling import log_softmax

READ_TOGETHER = 32
"""Texts that share a step."""


@dataclass(frozen=True)
class TokenScores:
    """What a model gives to tokens of N texts: to those after the first of each, T − 1 of a text of T, or to some.

    Args:
        nats: −ln p of each token, (T − 1,) for each text.
        likeliest: the token that is likeliest in its place, (T − 1,) for each text.
    """

    nats: tuple[NDArray[np.float64], ...]
    likeliest: tuple[NDArray[np.int64], ...]

    @property
    def sums(self) -> NDArray[np.float64]:
        """−Σ ln p of each text, (N,)."""
        return np.array([one.sum() for one in self.nats])

    @property
    def tokens(self) -> NDArray[np.int64]:
        """Number of tokens of each text, (N,)."""
        return np.array([len(one) for one in self.nats])

    def predicted(self, windows: Sequence[Passage]) -> "TokenScores":
        """Returns what is given to the tokens that are to be predicted.

        Args:
            windows: the N texts, whose tokens after the first these scores are of.
        """
        masks = [window.is_predicted[1:] for window in windows]
        return TokenScores(
            tuple(one[mask] for one, mask in zip(self.nats, masks, strict=True)),
            tuple(one[mask] for one, mask in zip(self.likeliest, masks, strict=True)),
        )


def pieces_read(texts: Sequence[str], tokenizer: Tokenizer) -> list[Passage]:
    """Returns pieces of texts as prompts are read: with the tokens that the tokenizer adds, and with no end.

    Args:
        texts: pieces.
        tokenizer: tokenizer of the model.
    """
    return [text_passage(one.ids) for one in tokenizer.encode_batch_fast(list(texts), add_special_tokens=True)]


def token_windows(passages: Iterable[Passage], length: int, most_tokens: int) -> list[Passage]:
    """Returns windows of passages, one after the other, each of which begins with the last token of the one before.

    Those without a token to predict are left out.

    Args:
        passages: texts and conversations.
        length: most tokens of a window.
        most_tokens: about how many tokens there are to predict at most; of more windows, as many are taken, evenly
            spread.
    """
    windows = [window for passage in passages for window in _windows(passage, length)]
    counted = sum(int(window.is_predicted.sum()) for window in windows)
    if counted <= most_tokens:
        return windows
    count = max(1, round(len(windows) * most_tokens / counted))
    return [windows[index] for index in np.linspace(0, len(windows) - 1, count).astype(int)]


def token_scores(decoder: Decoder, texts: Sequence[TokenIds], together: int = READ_TOGETHER) -> TokenScores:
    """Reads texts.

    Args:
        decoder: graph.
        texts: N texts of two tokens or more.
        together: most texts that share a step.
    """
    order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
    found: dict[int, tuple[NDArray[np.float64], NDArray[np.int64]]] = {}
    for start in range(0, len(order), together):
        chunk = order[start : start + together]
        found |= zip(chunk, _read(decoder, [texts[index] for index in chunk]), strict=True)
    nats, likeliest = zip(*(found[index] for index in range(len(texts))), strict=True)
    return TokenScores(nats, likeliest)


def window_likelihoods(scores: TokenScores, windows: Sequence[Passage], tokenizer: Tokenizer) -> TextLikelihoods:
    """Returns what a model gives to windows as a whole, which are as large as their predicted tokens are decoded.

    Args:
        scores: of the tokens that are to be predicted.
        windows: texts and conversations.
        tokenizer: that made them.
    """
    wanted = [window.tokens[window.is_predicted] for window in windows]
    decoded = [tokenizer.decode(tokens.tolist(), skip_special_tokens=False) for tokens in wanted]
    return TextLikelihoods(
        nats=scores.sums,
        right=np.array([(one == tokens).sum() for one, tokens in zip(scores.likeliest, wanted, strict=True)]),
        tokens=scores.tokens,
        characters=np.array([len(one) for one in decoded]),
        bytes=np.array([len(one.encode()) for one in decoded]),
    )


def _windows(passage: Passage, length: int) -> Iterator[Passage]:
    """Yields the windows of a passage that have a token to predict; the first of each is counted in the one before."""
    for start in range(0, len(passage.tokens) - 1, length - 1):
        tokens, is_predicted = passage.tokens[start : start + length], passage.is_predicted[start : start + length]
        if is_predicted[1:].any():
            yield Passage(tokens, is_predicted & (np.arange(len(tokens)) > 0))


def _read(decoder: Decoder, texts: Sequence[TokenIds]) -> list[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Returns nats and likeliest tokens of texts, the longest first: where one ends, those before it continue."""
    cache = decoder.new_cache(len(texts), len(texts[0]))
    found = [(np.zeros(len(text) - 1), np.zeros(len(text) - 1, np.int64)) for text in texts]
    for position in range(len(texts[0]) - 1):
        unended = [text for text in texts if len(text) > position + 1]
        logits = decoder.step(cache, [int(text[position]) for text in unended])
        targets = [int(text[position + 1]) for text in unended]
        given = log_softmax(logits)[np.arange(len(unended)), targets]
        for (nats, likeliest), logarithm, token in zip(found, given, logits.argmax(axis=1), strict=False):
            nats[position], likeliest[position] = -logarithm, token
    return found

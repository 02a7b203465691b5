"""How well a model predicts whole texts, with 95 % intervals from a bootstrap over the texts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maas.evidence.resampling import interval_of, resampled
from maas.records.evidence import Interval
from maas.runtime.generation.passages import TextRow, predicted_text


@dataclass(frozen=True)
class TextLikelihoods:
    """What a model gives to each of N texts, or to the answers of N conversations, and how large they are; (N,) each.

    Args:
        nats: −Σ ln p of a text's tokens, that of its end among them; float64.
        right: how many of these tokens are the likeliest in their places.
        tokens: how many there are.
        characters: Unicode code points of the text.
        bytes: of its UTF-8.
    """

    nats: NDArray[np.float64]
    right: NDArray[np.int64]
    tokens: NDArray[np.int64]
    characters: NDArray[np.int64]
    bytes: NDArray[np.int64]

    @classmethod
    def of(
        cls, rows: Sequence[TextRow], nats: NDArray[np.float64], right: NDArray[np.int64], tokens: NDArray[np.int64]
    ) -> "TextLikelihoods":
        """Returns what a model gives to raw rows, whose sizes are counted; the other arguments as above."""
        texts = map(predicted_text, rows)
        sizes = np.array([(len(text), len(text.encode())) for text in texts], np.int64)
        return cls(nats, right, tokens, characters=sizes[:, 0], bytes=sizes[:, 1])


def text_metrics(likelihoods: TextLikelihoods, seed: int = 0) -> dict[str, Interval]:
    """Returns log_likelihood, token_accuracy, perplexity, bits_per_character and bits_per_byte over all texts together.

    With n nats over all texts, of T tokens: log_likelihood = −n / T, perplexity = e^(n / T), bits per character =
    n / (ln 2 · characters), and likewise per byte. The last two compare models of different tokens.

    Args:
        likelihoods: of the texts.
        seed: random seed of the resampling.
    """
    columns = np.stack(
        [likelihoods.nats, likelihoods.right, likelihoods.tokens, likelihoods.characters, likelihoods.bytes], axis=1
    ).astype(np.float64)
    once, many = _metrics(columns.sum(axis=0)), _metrics(resampled(columns, seed))
    return {name: interval_of(float(once[name]), many[name]) for name in once}


def perplexity_ratio(
    parent: NDArray[np.float64], child: NDArray[np.float64], tokens: NDArray[np.int64], seed: int = 0
) -> Interval:
    """Returns the child's perplexity divided by the parent's on the same texts, e^((Σ child − Σ parent) / Σ tokens).

    The interval is paired: each resampling takes both models' nats of the same texts.

    Args:
        parent: −Σ ln p of each text by the one, (N,).
        child: by the other, (N,).
        tokens: of each text, (N,).
        seed: random seed of the resampling.
    """
    columns = np.stack([parent, child, tokens.astype(np.float64)], axis=1)

    def ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        before, after, count = np.moveaxis(sums, -1, 0)
        return np.asarray(np.exp((after - before) / count))

    return interval_of(float(ratio(columns.sum(axis=0))), ratio(resampled(columns, seed)))


def perplexity_gain(new: TextLikelihoods, old: TextLikelihoods, seed: int = 0) -> Interval:
    """Returns by how many percent the perplexity of all texts is lower: 100 · (1 − `perplexity_ratio`).

    Args:
        new: likelihoods by the one model.
        old: likelihoods by the other, of the same texts in the same tokens.
        seed: random seed of the resampling.
    """
    ratio = perplexity_ratio(old.nats, new.nats, new.tokens, seed)
    value, low, high = (100 * (1 - one) for one in (ratio.value, ratio.high, ratio.low))
    return Interval(value, low, high)


def _metrics(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Returns each metric from sums (…, 5)."""
    nats, right, tokens, characters, size = np.moveaxis(sums, -1, 0)
    return {
        "log_likelihood": -nats / tokens,
        "token_accuracy": right / tokens,
        "perplexity": np.exp(nats / tokens),
        "bits_per_character": nats / (math.log(2) * characters),
        "bits_per_byte": nats / (math.log(2) * size),
    }

"""Texts of which the net sees little: cut, or made of unknown tokens."""

from collections.abc import Iterator

import numpy as np

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck

SAMPLED_TEXTS = 512
"""Training texts: shares of them are right to some points."""
MOST_CUT = 0.5
"""Share of texts that are cut: then what the recipe learns from is mostly beginnings."""
MOST_UNKNOWN = 0.2
"""Share of unknown tokens: one word in five missing changes what a sentence says."""


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Cutting most texts, or a vocabulary that does not know the language.

    Source:
        Karpathy, A recipe for training neural networks, 2019: look at exactly what goes into the net.
    """
    if recipe.processor.modality != "text":
        return
    rows = recipe.processor.preprocess(recipe.splits.train.spread(SAMPLED_TEXTS).inputs)
    longest = int(recipe.processor.settings()["max_tokens"])
    cut = float(np.mean([row.shape[-1] >= longest for row in rows]))
    if cut > MOST_CUT:
        yield Finding(
            "warning",
            "processor.max_tokens",
            f"{cut:.0%} of the training texts have {longest} tokens or more and are cut.",
            f"Set e.g. processor.max_tokens={2 * longest}.",
        )
    unknown = getattr(recipe.processor, "unknown_id", None)
    if unknown is None:
        return
    tokens = np.concatenate([row if row.ndim == 1 else row[0] for row in rows])
    share = float(np.mean(tokens == unknown))
    if share > MOST_UNKNOWN:
        yield Finding(
            "warning",
            "processor",
            f"{share:.0%} of the training texts' tokens are unknown to it.",
            "Raise processor.vocabulary_size, or choose a tokenizer of the texts' language.",
        )

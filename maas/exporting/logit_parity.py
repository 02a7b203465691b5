"""Whether a graph writes a text token by token as the model's own framework does, and how far its logits are away."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maas.evidence.metrics import wilson
from maas.evidence.parity import require_parity
from maas.records.evidence import Parity

LOGIT_TOLERANCE = 1e-4
"""Largest difference of a logit; a tenth of it times the largest logit, where that is above 10."""


class ComparedText(NamedTuple):
    """One text against the framework's logits.

    Args:
        difference: largest difference of a logit.
        largest: the largest logit.
        parting: where a token is another one, in words; empty where none is.
    """

    difference: float
    largest: float
    parting: str


def compared_text(
    tokens: Sequence[int],
    logits: NDArray[np.float32],
    reference: NDArray[np.float32],
    framework: str,
    text_of: Callable[[Sequence[int]], str],
) -> ComparedText:
    """Compares the greedy text of a graph with the framework's likeliest tokens.

    Args:
        tokens: of the text; T.
        logits: of the graph before each token, (T, V).
        reference: of the framework, likewise.
        framework: its name.
        text_of: returns what tokens stand for.
    """
    expected, parting = reference.argmax(axis=1), ""
    if (others := np.flatnonzero(expected != np.array(tokens))).size:
        at = int(others[0])
        ours, theirs = (text_of([int(one)]) for one in (tokens[at], expected[at]))
        parting = f"token {at} is {ours!r}, {framework}'s is {theirs!r}"
    difference = float(np.nan_to_num(np.abs(logits - reference), nan=np.inf).max())
    return ComparedText(difference, float(np.abs(reference).max()), parting)


def required_parity(framework: str, texts: Mapping[str, ComparedText]) -> Parity:
    """Returns how close texts are.

    Args:
        framework: its name.
        texts: by what each is called.

    Raises:
        ParityError: a token is another one, or a logit differs by more than `LOGIT_TOLERANCE`.
    """
    partings = [f"{name}, {one.parting}" for name, one in texts.items() if one.parting]
    parity = Parity(
        left=framework,
        right="onnxruntime",
        rows=len(texts),
        max_difference=max(one.difference for one in texts.values()),
        tolerance=LOGIT_TOLERANCE * max(1.0, *(one.largest / 10 for one in texts.values())),
        agreement=wilson(len(texts) - len(partings), len(texts)),
    )
    require_parity(parity, where=f" The first text that differs: {partings[0]}." if partings else "")
    return parity

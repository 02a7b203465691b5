"""Histories of items: some are missing, as where devices are not linked, or are of others who share an account."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.evidence.robustness.base import Perturbation
from maas.runtime.processors.items import ItemsProcessor

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 0.9)


def perturbations(processor: ItemsProcessor) -> tuple[Perturbation, ...]:
    """Returns items that are missing, and items of others; a kept history of a user is written out in the row."""
    return (
        Perturbation("missing items", "fraction of a history", STRENGTHS, partial(_changed, processor, False)),
        Perturbation("items of others", "fraction of a history", STRENGTHS, partial(_changed, processor, True)),
    )


def _changed(
    processor: ItemsProcessor,
    is_replaced: bool,
    rows: Sequence[Any],
    strength: float,
    random: np.random.Generator,
) -> list[Any]:
    """Returns rows of which some items are missing or replaced; the same are at each higher strength."""
    return [
        _with_items(processor, row, _items(processor, row, strength, random, is_replaced=is_replaced)) for row in rows
    ]


def _items(
    processor: ItemsProcessor, row: object, strength: float, random: np.random.Generator, *, is_replaced: bool
) -> NDArray[np.int64]:
    """Returns numbers of items, the oldest first."""
    numbers = np.asarray(processor.preprocess([row])[0]["items"])[::-1]
    is_hit = random.random(len(numbers)) < strength
    others = random.integers(0, len(processor.names), len(numbers))
    return np.where(is_hit, others, numbers) if is_replaced else numbers[~is_hit]


def _with_items(processor: ItemsProcessor, row: object, numbers: NDArray[np.int64]) -> dict[str, object]:
    settings = {key: row[key] for key in ("top_k", "exclude_seen") if key in row} if isinstance(row, Mapping) else {}
    return {"items": [processor.names[number] for number in numbers.tolist()], **settings}

"""Histories of items: some are missing, as of users who had them elsewhere or whose devices are not linked."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from maas.evidence.robustness.base import Perturbation
from maas.runtime.processors.items import ItemsProcessor


def perturbations(processor: ItemsProcessor) -> tuple[Perturbation, ...]:
    """Returns items that are missing; of a user whose history is kept, the row has what is left in its place."""

    def with_gaps(rows: Sequence[Any], strength: float, random: np.random.Generator) -> list[Any]:
        return [_thinned(processor, row, strength, random) for row in rows]

    return (Perturbation("missing items", "fraction of a history", (0.0, 0.25, 0.5, 0.75, 0.9), with_gaps),)


def _thinned(processor: ItemsProcessor, row: Any, strength: float, random: np.random.Generator) -> dict[str, Any]:
    """Returns a row without some of its items, the oldest first; those are missing at each higher strength as well."""
    numbers = processor.preprocess([row])[0]["items"][::-1]
    is_left = random.random(len(numbers)) >= strength
    left = [processor.names[number] for number in numbers[is_left].tolist()]
    settings = {key: row[key] for key in ("top_k", "exclude_seen") if key in row} if isinstance(row, Mapping) else {}
    return {"items": left, **settings}

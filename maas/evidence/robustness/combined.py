"""Rows of several inputs: what can happen to one of them, while the others stay as they are."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from maas.evidence.robustness.base import Perturbation, perturbations_of
from maas.runtime.processors.combined import CombinedProcessor


def perturbations(processor: CombinedProcessor) -> tuple[Perturbation, ...]:
    """Returns the perturbations of each input; their names begin with the input's."""
    return tuple(
        Perturbation(f"{name}: {one.name}", one.unit, one.strengths, partial(_applied, processor, name, one))
        for name, part in processor.parts.items()
        for one in perturbations_of(part)
    )


def _applied(
    processor: CombinedProcessor,
    name: str,
    perturbation: Perturbation,
    rows: Sequence[Any],
    strength: float,
    random: np.random.Generator,
) -> list[Any]:
    given = [processor.by_column(row, index) for index, row in enumerate(rows)]
    made = perturbation.apply([processor.part_of(name, row) for row in given], strength, random)
    return [
        {**row, **(one if name in processor.column_parts else {name: one})}
        for row, one in zip(given, made, strict=True)
    ]

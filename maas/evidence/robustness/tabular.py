"""Rows of a table: noise on their numbers, and missing values."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from maas.evidence.robustness.base import Perturbation
from maas.runtime.processors.tabular import TabularProcessor

TableRow = Mapping[str, Any] | Sequence[Any]


def perturbations(processor: TabularProcessor) -> tuple[Perturbation, ...]:
    """Returns missing values, and noise where there are numbers."""
    columns = processor.columns
    missing = Perturbation("missing values", "share", (0.0, 0.1, 0.2, 0.4, 0.8), partial(with_gaps, columns))
    shifted = partial(noisy_columns, columns, processor.deviations)
    noise = Perturbation("noise", "standard deviations", (0.0, 0.1, 0.2, 0.5, 1.0), shifted)
    return (noise, missing) if processor.numbers else (missing,)


def with_gaps(
    columns: Sequence[str], rows: Sequence[TableRow], rate: float, random: np.random.Generator
) -> list[dict[str, Any]]:
    """Returns rows by column in which each value is missing with a probability.

    Args:
        columns: names, in the order of rows that are lists.
        rows: dictionaries or lists.
        rate: in [0, 1].
        random: random generator.
    """
    is_gone = random.random((len(rows), len(columns))) < rate
    return [
        {name: None if gone else value for (name, value), gone in zip(_by_name(columns, row), gaps, strict=True)}
        for row, gaps in zip(rows, is_gone.tolist(), strict=True)
    ]


def noisy_columns(
    columns: Sequence[str],
    deviations: Mapping[str, float],
    rows: Sequence[TableRow],
    strength: float,
    random: np.random.Generator,
) -> list[dict[str, Any]]:
    """Returns rows by column with Gaussian noise on their numbers; what is missing stays missing.

    Args:
        columns: names, in the order of rows that are lists.
        deviations: the standard deviation of each column of numbers.
        rows: dictionaries or lists.
        strength: in standard deviations.
        random: random generator.
    """
    noise = strength * random.standard_normal((len(rows), len(columns)))
    return [
        {
            name: value + shift * deviations[name] if name in deviations and _is_there(value) else value
            for (name, value), shift in zip(_by_name(columns, row), shifts, strict=True)
        }
        for row, shifts in zip(rows, noise.tolist(), strict=True)
    ]


def _by_name(columns: Sequence[str], row: TableRow) -> list[tuple[str, Any]]:
    if isinstance(row, Mapping):
        return [(name, row.get(name)) for name in columns]
    return list(zip(columns, row, strict=True))


def _is_there(value: object) -> bool:
    return isinstance(value, int | float | np.number)

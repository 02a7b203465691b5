"""What every perturbation is, and how those of a processor are found."""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maas.runtime.codec import Codec

Apply = Callable[[Sequence[Any], float, np.random.Generator], list[Any]]


@dataclass(frozen=True)
class Perturbation:
    """Something that happens to inputs, more or less of it.

    Args:
        name: what happens.
        unit: of the strengths.
        strengths: in order; at 0, which is among them, nothing happens.
        apply: raw rows, a strength and a random generator to raw rows that the same processor reads. It draws the same
            numbers for each strength, so that a stronger one makes the same rows worse in the same way.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    apply: Apply

    def rows_at(self, strength: float, rows: Sequence[Any], random: np.random.Generator) -> list[Any]:
        """Returns rows to which it happened; at 0 they are those that were given, to the bit."""
        return list(rows) if strength == 0 else self.apply(rows, strength, random)


def perturbations_of(processor: Codec) -> tuple[Perturbation, ...]:
    """Returns what can happen to rows that a processor reads; nothing where none is known for its kind or modality."""
    if own := processor.perturbations():
        return own
    known = {module.name for module in pkgutil.iter_modules(importlib.import_module(__package__).__path__)}
    for name in (processor.kind, processor.modality):
        if name in known:
            found: tuple[Perturbation, ...] = importlib.import_module(f"{__package__}.{name}").perturbations(processor)
            return found
    return ()

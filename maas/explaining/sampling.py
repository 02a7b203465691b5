"""Attributions from the values of a row with some of its parts left out. Nothing here knows rows or models."""

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""(P,), true for parts that are kept; several of them are (M, P)."""
ValuesOfParts = NDArray[np.float64]
ValuesOf = Callable[[Mask], ValuesOfParts]


def shapley(values_of: ValuesOf, parts: int, orders: int, seed: int) -> ValuesOfParts:
    """Estimates each part's Shapley value: what leaving it out costs, in the mean over orders of leaving all out.

        attribution_i = 1/M Σ_m [v(parts that order m has left before i goes) − v(the same without i)]

    The differences of one order telescope: the attributions add up to v(all) − v(none) for any number of orders. Of an
    additive model one order gives the exact values; of one whose parts interact in pairs, two orders do, as every
    second order is the reverse of the one before it.

    Args:
        values_of: masks (M, P) to values (M,).
        parts: P.
        orders: how many.
        seed: of the orders.

    Returns:
        (P,)

    Source:
        Castro, Gómez and Tejada, Polynomial calculation of the Shapley value based on sampling, 2009; Štrumbelj and
        Kononenko, Explaining prediction models and individual predictions with feature contributions, 2014.
    """
    total = np.zeros(parts)
    for order in islice(_orders(parts, seed), orders):
        values = values_of(_emptied(order))
        total[order] += values[:-1] - values[1:]
    return total / orders


def occlusion(values_of: ValuesOf, parts: int) -> ValuesOfParts:
    """Returns what leaving out each part alone costs, v(all) − v(all but i), (P,); no sum is promised."""
    values = values_of(np.concatenate([np.ones((1, parts), dtype=bool), ~np.eye(parts, dtype=bool)]))
    costs: ValuesOfParts = values[0] - values[1:]
    return costs


class Remembered:
    """Computes the value of each mask once.

    Args:
        values_of: masks (M, P) to values (M,).
    """

    def __init__(self, values_of: ValuesOf) -> None:
        self._values_of = values_of
        self._known: dict[bytes, float] = {}

    def __call__(self, masks: Mask) -> ValuesOfParts:
        """Returns the values (M,) of masks (M, P)."""
        new = {mask.tobytes(): mask for mask in masks if mask.tobytes() not in self._known}
        if new:
            found = self._values_of(np.stack(list(new.values())))
            self._known.update(zip(new, found.tolist(), strict=True))
        return np.array([self._known[mask.tobytes()] for mask in masks])


def _orders(parts: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yields random orders of P parts without end, each followed by its reverse."""
    generator = np.random.default_rng(seed)
    while True:
        order = generator.permutation(parts)
        yield from (order, order[::-1])


def _emptied(order: NDArray[np.int64]) -> Mask:
    """Returns what is kept while parts go in an order, from all to none, (P + 1, P)."""
    turn = np.argsort(order)
    kept: Mask = turn[None, :] >= np.arange(len(order) + 1)[:, None]
    return kept

"""Histories of users as rows, and as training batches: what users had, and what they had next."""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maas.data.datamodule import Batch, BatchDataset
from maas.data.packing import NO_TARGET
from maas.data.splits import Split
from maas.runtime.codec import Features
from maas.runtime.processors import Processor

MOST_TARGETS = 32
"""Items of a training row that are wanted at once."""
NOTHING_BEFORE = 0.02
"""Fraction of training rows that are cut before their first item, so that a net learns what new users have."""


class Histories(Sequence[Any]):
    """Rows of users, each made when it is read: numbers take 8 bytes an item, and names are shared.

    Args:
        names: of the items, by their numbers.
        items: numbers of all rows' items, one row after the other, the oldest first.
        starts: where the rows begin in `items`, and where the last one ends; (N + 1,).
        users: names of the rows' users, which rows then hold beside `items`; without them, a row is a list of items.
    """

    def __init__(
        self,
        names: Sequence[str],
        items: NDArray[np.int64],
        starts: NDArray[np.int64],
        users: Sequence[str] | None = None,
    ) -> None:
        self._names, self._items, self._starts, self._users = names, items, starts, users

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> object: ...

    @overload
    def __getitem__(self, index: slice) -> list[object]: ...

    def __getitem__(self, index: int | slice) -> object:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        numbers = self._items[self._starts[place] : self._starts[place + 1]]
        items = [self._names[number] for number in numbers.tolist()]
        return items if self._users is None else {"user": self._users[place], "items": items}

    def __iter__(self) -> Iterator[object]:
        return (self[place] for place in range(len(self)))


class HistoryBatches(BatchDataset):
    """Batches of histories; indexed with a whole batch of row numbers.

    A row with targets, the items that came later, is given as it is. A row without any is for training: it is cut at
    random, what lies before the cut is given and of what lies behind some is wanted. Where it is cut depends on the
    rows of the batch, which are others in every epoch, and on nothing else.

    Args:
        split: whose targets are numbers of items, int64 (T,) for each row.
        processor: fitted.
        count: K, the number that pads.
    """

    def __init__(self, split: Split, processor: Processor, count: int) -> None:
        super().__init__(split, processor)
        self._count = count

    def __getitem__(self, indices: Sequence[int]) -> Batch:
        rows = np.asarray(indices)
        features, targets = self._given(rows)
        arrays = self._processor.batch(features)
        arrays = {**arrays, "wanted": np.where(targets == NO_TARGET, self._count, targets)}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return Batch(tensors, torch.from_numpy(targets), torch.from_numpy(rows))

    def targets_of(self, rows: NDArray[np.int64]) -> Tensor:
        """Returns the targets of these rows, (N, T)."""
        return torch.from_numpy(self._given(np.asarray(rows))[1])

    def _given(self, rows: NDArray[np.int64]) -> tuple[list[Features], NDArray[np.int64]]:
        """Returns what is given of each row, and what is wanted, (N, T), padded with `NO_TARGET`."""
        random = np.random.default_rng(rows.tolist())
        pairs = [
            (features, self.targets[row]) if len(self.targets[row]) else _cut(features, random)
            for features, row in zip(self._rows.take(rows.tolist()), rows.tolist(), strict=True)
        ]
        longest = max(1, *(len(targets) for _, targets in pairs))
        wanted = np.full((len(rows), longest), NO_TARGET, dtype=np.int64)
        for place, (_, targets) in enumerate(pairs):
            wanted[place, : len(targets)] = targets
        return [features for features, _ in pairs], wanted


def _cut(features: Features, random: np.random.Generator) -> tuple[Features, NDArray[np.int64]]:
    """Cuts a history, the newest item first, at random; returns its older part and some of the newer one."""
    items = features["items"]
    if len(items) == 0:
        return features, items
    cut = len(items) if random.random() < NOTHING_BEFORE else int(random.integers(1, max(2, len(items))))
    newer = items[:cut]
    chosen = random.permutation(newer)[:MOST_TARGETS]
    return {**features, "items": items[cut:]}, chosen

"""Splits as Lightning reads them: whole batches at a time, rows of similar length together."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from maas.data.splits import Split, Splits
from maas.runtime.processors import BaseProcessor, Features

Batch = tuple[dict[str, Tensor], Tensor]

WINDOW = 16
"""Batches that are sorted by length together: enough to save padding, few enough to stay random."""


class EncodedRows(Dataset[Batch]):
    """Rows that went through the processor once; indexed with a whole batch of row numbers."""

    def __init__(self, split: Split, processor: BaseProcessor) -> None:
        self._processor = processor
        self._features: list[Features] = processor.encode(split.inputs)
        self._targets = torch.from_numpy(split.targets)
        self.keys = np.array([processor.batch_key(row) for row in self._features])

    def __len__(self) -> int:
        return len(self._features)

    def __getitem__(self, indices: Sequence[int]) -> Batch:
        feeds = self._processor.collate([self._features[index] for index in indices])
        return {name: torch.from_numpy(array) for name, array in feeds.items()}, self._targets[list(indices)]


class BatchesByLength(Sampler[list[int]]):
    """Yields row numbers, a batch at a time; the order depends on seed and epoch alone.

    Args:
        keys: the padded size of each row.
        batch_size: rows in a batch; the last one may be smaller.
        seed: of the order; None keeps the rows in place.
    """

    def __init__(self, keys: np.ndarray[Any, Any], batch_size: int, seed: int | None) -> None:
        self._keys = keys
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order; Lightning calls it before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self._keys) / self._batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        if self._seed is None:
            yield from _chunks(np.arange(len(self._keys)), self._batch_size)
            return
        generator = np.random.default_rng((self._seed, self._epoch))
        order = generator.permutation(len(self._keys))
        windows = [
            order[start : start + WINDOW * self._batch_size]
            for start in range(0, len(order), WINDOW * self._batch_size)
        ]
        by_length = np.concatenate([window[np.argsort(self._keys[window], kind="stable")] for window in windows])
        batches = list(_chunks(by_length, self._batch_size))
        for index in generator.permutation(len(batches)):
            yield batches[index]


class DataModule(LightningDataModule):
    """Training and validation batches.

    Args:
        splits: clean rows.
        processor: fitted.
        batch_size: rows in a batch.
        seed: of the order of training rows.
    """

    def __init__(self, splits: Splits, processor: BaseProcessor, batch_size: int, seed: int) -> None:
        super().__init__()
        self._train = EncodedRows(splits.train, processor)
        self._validation = EncodedRows(splits.validation, processor)
        self._batch_size = batch_size
        self._seed = seed

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled batches."""
        return self._loader(self._train, self._seed)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Batches in the rows' order."""
        return self._loader(self._validation, None)

    def _loader(self, rows: EncodedRows, seed: int | None) -> DataLoader[Batch]:
        return DataLoader(rows, sampler=BatchesByLength(rows.keys, self._batch_size, seed), batch_size=None)


def _chunks(order: np.ndarray[Any, Any], size: int) -> Iterator[list[int]]:
    for start in range(0, len(order), size):
        yield order[start : start + size].tolist()

"""Splits as Lightning reads them: whole batches at a time, rows of similar length together."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from maas.data.packed_passages import packed_of
from maas.data.pairing import PairedTexts
from maas.data.preprocessed import PreprocessedRows
from maas.data.splits import Split, Splits
from maas.errors import DataError, InputError
from maas.runtime.processors import Processor

WINDOW = 16
"""Batches that are sorted by length together: enough to save padding, few enough to stay random."""


class Batch(NamedTuple):
    """Some rows as a net takes them.

    Args:
        inputs: the net's inputs by name, N rows each.
        targets: (N,), or (N, T) of packed or paired texts.
        rows: int64 (N,), the rows' numbers in their split, or those of sequences.
    """

    inputs: dict[str, Tensor]
    targets: Tensor
    rows: Tensor


class BatchDataset(Dataset[Batch]):
    """Rows that go through the processor; indexed with a whole batch of row numbers."""

    def __init__(self, split: Split, processor: Processor) -> None:
        self._processor = processor
        self._rows = PreprocessedRows(processor, split.inputs)
        self.keys = self._rows.keys
        self.targets = np.asarray(split.targets)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, indices: Sequence[int]) -> Batch:
        model_inputs = self._processor.batch(self._rows.take(indices))
        rows = np.asarray(indices)
        tensors = {name: torch.from_numpy(array) for name, array in model_inputs.items()}
        return Batch(tensors, self.targets_of(rows), torch.from_numpy(rows))

    def targets_of(self, rows: NDArray[np.int64]) -> Tensor:
        """Returns the targets of these rows, (N,)."""
        return torch.from_numpy(self.targets[rows])


class PackedDataset(Dataset[Batch]):
    """Sequences that texts or conversations are packed into; indexed with a whole batch of their numbers.

    Args:
        split: whose targets, if there are any, are not looked at.
        processor: fitted.
    """

    def __init__(self, split: Split, processor: Processor) -> None:
        self._packed = packed_of(processor, split.inputs)
        self.keys = np.full(len(self._packed), self._packed.length)

    def __len__(self) -> int:
        return len(self._packed)

    def __getitem__(self, indices: Sequence[int]) -> Batch:
        tokens, documents, targets = map(torch.from_numpy, self._packed.take(indices))
        return Batch({"tokens": tokens, "documents": documents}, targets, torch.as_tensor(indices))

    def targets_of(self, rows: NDArray[np.int64]) -> Tensor:
        """Returns the tokens that these sequences should predict, (N, T)."""
        return torch.from_numpy(self._packed.take(rows).targets)


class PairedDataset(Dataset[Batch]):
    """Pairs of texts; indexed with a whole batch of row numbers.

    Args:
        split: whose targets are texts.
        processor: fitted.
    """

    def __init__(self, split: Split, processor: Processor) -> None:
        self._pairs = PairedTexts(processor, split.inputs, [] if split.targets is None else list(split.targets))
        self.keys = self._pairs.keys

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, indices: Sequence[int]) -> Batch:
        source, tokens, targets = map(torch.from_numpy, self._pairs.take(indices))
        return Batch({"source": source, "tokens": tokens}, targets, torch.as_tensor(indices))

    def targets_of(self, rows: NDArray[np.int64]) -> Tensor:
        """Returns the tokens that a net should give for these rows, (N, T)."""
        return torch.from_numpy(self._pairs.targets(rows))


BatchSource: TypeAlias = BatchDataset | PackedDataset | PairedDataset
"""What gives batches by the numbers of their rows."""


class BatchesByLength(Sampler[list[int]]):
    """Yields row numbers, a batch at a time; the order depends on seed and epoch alone.

    Several processes share the batches of one process that takes `world` times as many rows at a time: no row comes
    twice and none is left out. Each process gets as many batches; the last ones may be smaller.

    Args:
        keys: the padded size of each row.
        batch_size: rows in a batch of one process; the last one may be smaller.
        seed: random seed of the order; None keeps the rows in place.
        rank: number of this process among `world`.
        world: number of processes that share the rows.

    Raises:
        DataError: there are fewer rows than processes.
    """

    def __init__(
        self, keys: np.ndarray[Any, Any], batch_size: int, seed: int | None, *, rank: int = 0, world: int = 1
    ) -> None:
        if 0 < len(keys) < world:
            raise DataError(f"There are {len(keys)} rows for {world} processes; start at most {len(keys)}.")
        self._keys = keys
        self._batch_size = batch_size * world
        self._seed = seed
        self._rank = rank
        self._world = world
        self.epoch = 0
        self.start = 0
        """Batches that are left out at the beginning."""

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order; Lightning calls it before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._starts())

    def __iter__(self) -> Iterator[list[int]]:
        for rows in self.together()[self.start :]:
            yield np.array_split(rows, self._world)[self._rank].tolist()

    def together(self) -> list[NDArray[np.int64]]:
        """Returns the rows that all processes take at once, batch by batch in the order of the epoch."""
        order, batches = np.arange(len(self._keys)), np.arange(len(self._starts()))
        if self._seed is not None:
            generator = np.random.default_rng((self._seed, self.epoch))
            order = self._by_length(generator.permutation(len(self._keys)))
            batches = generator.permutation(len(batches))
        shared = np.split(order, self._starts()[1:])
        return [shared[batch] for batch in batches]

    def sizes(self) -> list[int]:
        """Returns the padded size of each batch, in the order of the epoch: its rows times the largest of them."""
        return [len(rows) * int(self._keys[rows].max()) for rows in self]

    def _starts(self) -> list[int]:
        """Returns where the batches of all processes together begin; a rest too small to be shared joins the last."""
        starts = list(range(0, len(self._keys), self._batch_size))
        is_rest = len(starts) > 1 and len(self._keys) - starts[-1] < self._world
        return starts[:-1] if is_rest else starts

    def _by_length(self, order: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Sorts each window of batches by the size of its rows."""
        size = WINDOW * self._batch_size
        windows = [order[start : start + size] for start in range(0, len(order), size)]
        return np.concatenate([window[np.argsort(self._keys[window], kind="stable")] for window in windows])


class Loader(DataLoader[Batch]):
    """Batches of rows, with a place in the epoch that can be kept and resumed from.

    It draws nothing from torch's global generator, so that making batches leaves no trace in training.

    Args:
        rows: preprocessed, or packed.
        batches: which rows go together.
        workers: processes that make batches beside training; 0 makes them in turn with it.
    """

    def __init__(self, rows: BatchSource, batches: BatchesByLength, workers: int) -> None:
        super().__init__(
            rows,
            sampler=batches,
            batch_size=None,
            num_workers=workers,
            multiprocessing_context="fork" if workers else None,  # which shares the rows; others would copy them
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),
        )
        self._rows = rows
        self._batches = batches
        self._together: tuple[int, list[NDArray[np.int64]]] = (-1, [])
        self._start = 0
        self._given = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        self._given, self._start = self._start, 0
        self._batches.start = self._given
        try:
            for batch in (
                super().__iter__()
                if self.num_workers or self.pin_memory
                else map(self._rows.__getitem__, self._batches)
            ):
                self._given += 1
                yield batch
        except InputError as error:
            raise InputError(
                str(error).rpartition(f"{InputError.__name__}: ")[2]
            ) from error  # less a worker's traceback
        finally:
            self._batches.start = 0

    def targets_together(self, first: int, last: int) -> list[Tensor]:
        """Returns the targets (M,) that all processes see at once, of the epoch's batches from `first` to `last` − 1.

        They are read when they are needed: those of an epoch of packed texts may not fit into memory.
        """
        if self._together[0] != self._batches.epoch:
            self._together = (self._batches.epoch, self._batches.together())
        return [self._rows.targets_of(rows) for rows in self._together[1][first:last]]

    def state_dict(self) -> dict[str, Any]:
        """How many batches of the epoch were given."""
        return {"given": self._given}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Leaves out the first batches of the next epoch that is read."""
        self._start = state_dict["given"] % len(self)


class DataModule(LightningDataModule):
    """Training and validation batches.

    Args:
        splits: clean rows.
        processor: fitted.
        batch_size: rows in a batch of one process.
        seed: random seed of the order of training rows.
        workers: processes that make batches beside training.
        loader: class of the loaders.
        dataset: gives the batches of a split.
    """

    def __init__(
        self,
        splits: Splits,
        processor: Processor,
        batch_size: int,
        seed: int,
        *,
        workers: int = 0,
        loader: type[Loader] = Loader,
        dataset: Callable[[Split, Processor], BatchSource] = BatchDataset,
    ) -> None:
        super().__init__()
        self._train = dataset(splits.train, processor)
        self._validation = dataset(splits.validation, processor)
        self._batch_size = batch_size
        self._seed = seed
        self._workers = workers
        self._make_loader = loader

    def training_rows(self) -> Iterator[Batch]:
        """Yields all training rows once, batch by batch, in an order that is always the same."""
        return map(self._train.__getitem__, BatchesByLength(self._train.keys, self._batch_size, seed=0))

    def train_dataloader(self) -> Loader:
        """Shuffled batches."""
        return self._loader(self._train, self._seed)

    def val_dataloader(self) -> Loader:
        """Batches in the rows' order."""
        return self._loader(self._validation, None)

    def _loader(self, rows: BatchSource, seed: int | None) -> Loader:
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        batches = BatchesByLength(rows.keys, self._batch_size, seed, rank=rank, world=world)
        return self._make_loader(rows, batches, self._workers)

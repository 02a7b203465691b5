"""Batches: every row once an epoch, in an order that seed and epoch alone decide."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maas.data.datamodule import WINDOW, BatchDataset, BatchesByLength, DataModule
from maas.data.splits import Split, Splits
from maas.errors import DataError
from maas.records.evidence import DataRecord


def order(keys, seed, epoch: int = 0, batch_size: int = 4) -> list[list[int]]:
    sampler = BatchesByLength(np.array(keys), batch_size, seed)
    sampler.set_epoch(epoch)
    assert len(sampler) == len(list(sampler))
    return list(sampler)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([16, 32, 48]), min_size=1, max_size=300), st.integers(1, 9), st.integers(0, 5))
def test_every_row_comes_once_in_full_batches_when_an_epoch_passes(keys, batch_size, seed):
    batches = order(keys, seed, batch_size=batch_size)
    assert sorted(index for batch in batches for index in batch) == list(range(len(keys)))
    assert sorted(map(len, batches), reverse=True)[:-1] == [batch_size] * (len(batches) - 1)


def test_order_is_the_same_when_seed_and_epoch_are():
    keys = np.arange(200) % 7
    assert order(keys, 3, 2) == order(keys, 3, 2)


def test_order_differs_when_seed_or_epoch_differs():
    keys = np.arange(200) % 7
    assert len({str(order(keys, seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


def test_order_does_not_depend_on_how_often_it_was_read_when_epochs_are_set():
    sampler = BatchesByLength(np.zeros(50), 4, 0)
    first = list(sampler)
    list(sampler)
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_rows_stay_in_place_when_there_is_no_seed():
    assert order([5, 1, 3, 2, 4], None, batch_size=2) == [[0, 1], [2, 3], [4]]


def test_batches_hold_fewer_lengths_than_chance_gives_when_rows_differ_in_length():
    keys = np.random.default_rng(0).integers(1, 9, size=WINDOW * 16)
    lengths = [len(set(keys[batch])) for batch in order(keys, 0, batch_size=16)]
    assert np.mean(lengths) < 2  # by chance nearly 8


@pytest.fixture
def splits() -> Splits:
    texts = [f"{'word ' * (index % 9 + 1)}{index}" for index in range(23)]
    part = Split(texts, np.arange(23) % 2)
    return Splits(part, part, part, ("a", "b"), DataRecord("", {}, {}))


def test_loaders_give_tensors_padded_alike_when_texts_differ_in_length(splits, text_processor):
    module = DataModule(splits, text_processor, batch_size=5, seed=0)
    for loader in (module.train_dataloader(), module.val_dataloader()):
        sizes = []
        for model_inputs, targets, rows in loader:
            assert targets.tolist() == splits.train.targets[rows.numpy()].tolist()
            assert model_inputs["input_ids"].shape[0] == len(targets)
            assert model_inputs["input_ids"].shape[1] % 8 == 0
            sizes.append(len(targets))
        assert sum(sizes) == 23
    assert sizes == [5, 5, 5, 5, 3]


def test_rows_keep_their_target_when_they_are_batched(splits, text_processor):
    rows = BatchDataset(splits.train, text_processor)
    model_inputs, targets, numbers = rows[[7, 2]]
    assert numbers.tolist() == [7, 2]
    assert targets.tolist() == [1, 0]
    assert (
        model_inputs["input_ids"][1].tolist()
        == text_processor.batch(text_processor.preprocess([splits.train.inputs[7], splits.train.inputs[2]]))[
            "input_ids"
        ][1].tolist()
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 120), st.integers(1, 9), st.integers(1, 4), st.sampled_from([None, 0, 3]))
def test_processes_share_every_row_once_in_as_many_batches_when_there_are_several(rows, batch_size, world, seed):
    keys = np.arange(rows) % 5
    if rows < world:
        with pytest.raises(DataError, match=f"There are {rows} rows for {world} processes"):
            BatchesByLength(keys, batch_size, seed, rank=0, world=world)
        return
    shares = [list(BatchesByLength(keys, batch_size, seed, rank=rank, world=world)) for rank in range(world)]
    assert sorted(row for share in shares for batch in share for row in batch) == list(range(rows))
    assert len({len(share) for share in shares}) == 1
    assert all(batch for share in shares for batch in share)


@pytest.mark.parametrize("seed", [None, 3])
def test_processes_take_the_steps_of_one_when_it_takes_as_many_rows(seed):
    keys = np.arange(90) % 7
    one = list(BatchesByLength(keys, 16, seed))
    two = zip(*(BatchesByLength(keys, 8, seed, rank=rank, world=2) for rank in range(2)), strict=True)
    assert [[*left, *right] for left, right in two] == one


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_goes_on_with_the_batches_that_are_left_when_its_place_is_brought_back(workers, splits, text_processor):
    def targets(batches) -> list[list[int]]:
        return [batch[1].tolist() for batch in batches]

    whole = DataModule(splits, text_processor, batch_size=5, seed=0, workers=workers).train_dataloader()
    expected = targets(whole)
    begun = DataModule(splits, text_processor, batch_size=5, seed=0, workers=workers).train_dataloader()
    batches = iter(begun)
    first = targets(next(batches) for _ in range(2))
    resumed = DataModule(splits, text_processor, batch_size=5, seed=0, workers=workers).train_dataloader()
    resumed.load_state_dict(begun.state_dict())
    assert first + targets(resumed) == expected
    assert targets(resumed) == expected  # the next epoch is whole


def test_global_generator_stays_when_batches_are_read(splits, text_processor):
    before = torch.get_rng_state()
    list(DataModule(splits, text_processor, batch_size=5, seed=0).train_dataloader())
    assert torch.equal(torch.get_rng_state(), before)

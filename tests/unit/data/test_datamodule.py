"""Batches: every row once an epoch, in an order that seed and epoch alone decide."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maas.data.datamodule import WINDOW, BatchesByLength, DataModule, EncodedRows
from maas.data.splits import Split, Splits
from maas.runtime.evidence import DataRecord


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
        for feeds, targets in loader:
            assert feeds["input_ids"].shape[0] == len(targets)
            assert feeds["input_ids"].shape[1] % 8 == 0
            sizes.append(len(targets))
        assert sum(sizes) == 23
    assert sizes == [5, 5, 5, 5, 3]


def test_rows_keep_their_target_when_they_are_batched(splits, text_processor):
    rows = EncodedRows(splits.train, text_processor)
    feeds, targets = rows[[7, 2]]
    assert targets.tolist() == [1, 0]
    assert (
        feeds["input_ids"][1].tolist()
        == text_processor.collate(text_processor.encode([splits.train.inputs[7], splits.train.inputs[2]]))["input_ids"][
            1
        ].tolist()
    )

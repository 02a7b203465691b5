"""Rows beyond the bound are encoded when they are asked for, and are the same rows."""

import numpy as np
import pytest

from maas.data import preprocessed
from maas.data.datamodule import DataModule
from maas.data.preprocessed import PreprocessedRows
from maas.data.splits import Split, Splits
from maas.records.evidence import DataRecord

TEXTS = [f"{'word ' * (index * 7 % 23 + 1)}{index}" for index in range(2000)]


@pytest.fixture(params=[False, True], ids=["kept", "anew"])
def anew(request, monkeypatch) -> bool:
    if request.param:
        monkeypatch.setattr(preprocessed, "KEPT_BYTES", 1000)
    return request.param


def test_rows_are_those_of_the_processor_when_they_are_taken(text_processor, anew):
    rows = PreprocessedRows(text_processor, TEXTS)
    expected = text_processor.preprocess(TEXTS)
    for found, index in zip(rows.take([1999, 3, 3]), [1999, 3, 3], strict=True):
        assert np.array_equal(found["token_ids"], expected[index]["token_ids"])
    every = [row for piece in rows.pieces() for row in piece]
    assert all(np.array_equal(one["token_ids"], other["token_ids"]) for one, other in zip(every, expected, strict=True))
    assert len(rows) == len(rows.keys) == len(TEXTS)


def test_batches_waste_little_on_padding_when_rows_are_not_kept(text_processor, anew):
    part = Split(TEXTS, np.zeros(len(TEXTS), dtype=np.int64))
    module = DataModule(Splits(part, part, part, ("a", "b"), DataRecord("", {}, {})), text_processor, 16, seed=0)
    padded = sum(model_inputs["input_ids"].numel() for model_inputs, _, _ in module.train_dataloader())
    tokens = sum(map(len, text_processor.arrays(TEXTS)))
    assert padded < 1.5 * tokens


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_when_rows_are_read_twice(text_processor, anew, workers):
    part = Split(TEXTS[:200], np.arange(200))
    splits = Splits(part, part, part, ("a", "b"), DataRecord("", {}, {}))
    first, second = (
        [
            (model_inputs["input_ids"].tolist(), targets.tolist())
            for model_inputs, targets, _ in module.train_dataloader()
        ]
        for module in (DataModule(splits, text_processor, 8, seed=1, workers=workers) for _ in range(2))
    )
    assert first == second
    assert sorted(target for _, targets in first for target in targets) == list(range(200))

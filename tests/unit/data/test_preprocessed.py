"""Rows beyond the bound are encoded when they are asked for, and are the same rows."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from maas.data import preprocessed
from maas.data.datamodule import DataModule
from maas.data.preprocessed import PreprocessedRows
from maas.data.splits import Split, Splits
from maas.errors import InputError
from maas.records.evidence import DataRecord
from maas.runtime.processors.image import ImageProcessor
from maas.runtime.processors.speech import SpeechProcessor

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


def wav(seconds: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(int(8000 * seconds)), 8000, format="WAV")
    return file.getvalue()


@pytest.fixture(params=["bytes", "files"])
def sounds(request, tmp_path) -> list[bytes | Path]:
    """Returns sounds of 0.1 to 2.3 seconds, in no order."""
    rows = [wav((index * 7 % 23 + 1) / 10) for index in range(200)]
    if request.param == "bytes":
        return rows
    paths = [tmp_path / f"{index}.wav" for index in range(len(rows))]
    for path, content in zip(paths, rows, strict=True):
        path.write_bytes(content)
    return paths


def test_sounds_of_about_one_length_share_a_batch_when_rows_are_not_kept(sounds, anew):
    part = Split(sounds, np.zeros(len(sounds), dtype=np.int64))
    module = DataModule(
        Splits(part, part, part, ("a", "b"), DataRecord("", {}, {})), SpeechProcessor(8000, 3.0, 0.1), 8, seed=0
    )
    batches = [model_inputs for model_inputs, _, _ in module.train_dataloader()]
    padded = sum(batch["samples"].numel() for batch in batches)
    assert padded < 1.2 * sum(int(batch["lengths"].sum()) for batch in batches)


@pytest.mark.parametrize(("processor", "expected"), [(ImageProcessor(8, 8), {0}), (SpeechProcessor(8000), {1, 3})])
def test_bytes_order_rows_when_they_are_padded_to_several_sizes(monkeypatch, processor, expected):
    monkeypatch.setattr(preprocessed, "_kept", lambda *_: None)  # as where they take too much memory
    assert set(PreprocessedRows(processor, [b"a", b"abc"]).keys.tolist()) == expected


def test_file_is_named_when_it_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(preprocessed, "_kept", lambda *_: None)
    rows = PreprocessedRows(SpeechProcessor(8000), [tmp_path / "gone.wav"])
    with pytest.raises(InputError, match=r"gone\.wav cannot be read: No such file"):
        rows.take([0])


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

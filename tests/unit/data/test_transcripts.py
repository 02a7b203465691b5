"""A user's own sounds and texts, from tables and folders, split and encoded; what is missing is named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from maas.data.splits import prepare
from maas.data.transcripts import audio_texts
from maas.errors import DataError


def sound(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.1, 0.1, 400).astype(np.float32), 8000)
    return path


@pytest.fixture
def table(tmp_path) -> Path:
    names = [sound(tmp_path / f"clips/{number}.wav", number).relative_to(tmp_path).as_posix() for number in range(20)]
    texts = [f"number {number}" for number in range(18)] + [None, "  "]
    pd.DataFrame({"path": names, "sentence": texts, "age": 3}).to_csv(tmp_path / "clips.csv", index=False)
    return tmp_path / "clips.csv"


def test_rows_are_sounds_and_texts_when_a_table_names_them(table):
    found = audio_texts(str(table), "path", "sentence")["all"]
    assert found["input"][3] == table.parent / "clips/3.wav"
    assert list(found["label"])[:3] == ["number 0", "number 1", "number 2"]


def test_characters_are_those_of_the_training_texts_when_rows_are_split(table):
    splits = prepare(audio_texts(str(table), "path", "sentence"), 0.2, 0.2, target="text")
    assert splits.target == "text"
    assert splits.labels == tuple(sorted(set("".join(splits.train.targets))))
    assert {one: len(getattr(splits, one)) for one in ("train", "validation", "test")} == {
        "train": 10, "validation": 4, "test": 4,
    }  # fmt: skip
    assert splits.record.removed == {"empty": 2}
    for part in (splits.train, splits.validation, splits.test):
        assert [f"number {one.stem}" for one in part.inputs] == list(part.targets)


def test_rows_are_files_with_a_text_beside_them_when_a_folder_is_given(tmp_path):
    for split, number in (("train", 1), ("train", 2), ("test", 3)):
        file = sound(tmp_path / split / f"speaker/{number}.wav", number)
        file.with_suffix(".txt").write_text(f"said {number}\n", encoding="utf-8")
    tables = audio_texts(str(tmp_path))
    assert {split: list(table["label"]) for split, table in tables.items()} == {
        "train": ["said 1", "said 2"],
        "test": ["said 3"],
    }


def test_second_table_is_the_test_split_when_there_is_one(table):
    tables = audio_texts(str(table), "path", "sentence", test_path=str(table))
    assert {split: len(one["input"]) for split, one in tables.items()} == {"train": 20, "test": 20}


def test_missing_column_is_named_when_a_table_lacks_it(table):
    with pytest.raises(DataError, match=r"has no column audio, text; its columns are path, sentence, age\. Set data"):
        audio_texts(str(table))


def test_missing_file_is_named_when_a_table_names_it(table):
    (table.parent / "clips/7.wav").unlink()
    with pytest.raises(DataError, match=r"7\.wav cannot be read"):
        audio_texts(str(table), "path", "sentence")


def test_missing_text_is_named_when_a_sound_has_none(tmp_path):
    sound(tmp_path / "a.wav", 0)
    with pytest.raises(
        DataError, match=r"a\.txt, the text of a\.wav, cannot be read: No such file or directory\. Write"
    ):
        audio_texts(str(tmp_path))


def test_folder_is_refused_when_it_holds_no_sound(tmp_path):
    with pytest.raises(DataError, match=r"holds no file of \.wav/\.flac/\.ogg\. Put sounds into it"):
        audio_texts(str(tmp_path))


def test_two_test_splits_are_refused_when_both_are_given(tmp_path, table):
    for split in ("train", "test"):
        sound(tmp_path / "own" / split / "1.wav", 1).with_suffix(".txt").write_text("one")
    with pytest.raises(DataError, match=r"holds a test split, and so does data\.source\.test_path"):
        audio_texts(str(tmp_path / "own"), "path", "sentence", test_path=str(table))


def test_given_characters_are_the_models_when_they_hold_all_of_training():
    rows = {split: {"input": [split.encode()], "label": ["ab"]} for split in ("train", "validation", "test")}
    assert prepare(rows, target="text", labels=["b", "a", "c"]).labels == ("b", "a", "c")
    with pytest.raises(DataError, match="characters that data.labels lacks: 'b'. Add them"):
        prepare(rows, target="text", labels=["a"])

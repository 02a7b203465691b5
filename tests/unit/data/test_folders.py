"""Files by label: which are rows, which are left out, and what is said when a folder is not what it should be."""

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from maas.data import preprocessed
from maas.data.datamodule import DataModule
from maas.data.folders import audio_folder, files_by_label, image_folder
from maas.data.given import given_rows
from maas.data.preprocessed import PreprocessedRows
from maas.data.splits import Split, Splits, prepare
from maas.errors import DataError, InputError
from maas.records.evidence import DataRecord
from maas.runtime.processors import base as processors_base
from maas.runtime.processors import preprocessed_pieces
from maas.runtime.processors.audio import AudioProcessor
from maas.runtime.processors.image import ImageProcessor


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def listed(tables: dict, root: Path) -> dict[str, list[tuple[str, str]]]:
    return {
        split: [
            (path.relative_to(root).as_posix(), label)
            for path, label in zip(table["input"], table["label"], strict=True)
        ]
        for split, table in tables.items()
    }


def test_files_carry_the_name_of_their_folder_when_folders_are_labels(tmp_path):
    touch(
        tmp_path, "dog/b.JPG", "dog/a.png", "猫/2020/c.jpeg", "猫/d.webp", "dog/e.bmp", "dog/f.gif", "dog/.hidden.png"
    )
    assert listed(image_folder(str(tmp_path)), tmp_path) == {
        "all": [
            *((f"dog/{name}", "dog") for name in ("a.png", "b.JPG", "e.bmp", "f.gif")),
            *((f"猫/{name}", "猫") for name in ("d.webp", "2020/c.jpeg")),
        ]
    }


@pytest.mark.parametrize("validation", ["validation", "val", "Valid", "dev"])
def test_splits_are_kept_when_folders_are_splits(tmp_path, validation):
    touch(tmp_path, "train/a/1.wav", "train/b/2.flac", f"{validation}/a/3.ogg", "test/b/4.WAV")
    assert listed(audio_folder(str(tmp_path)), tmp_path) == {
        "test": [("test/b/4.WAV", "b")],
        "train": [("train/a/1.wav", "a"), ("train/b/2.flac", "b")],
        "validation": [(f"{validation}/a/3.ogg", "a")],
    }


def test_folder_called_test_is_a_label_when_there_is_no_folder_of_training_rows(tmp_path):
    touch(tmp_path, "test/1.png", "exam/2.png")
    assert listed(image_folder(str(tmp_path)), tmp_path) == {"all": [("exam/2.png", "exam"), ("test/1.png", "test")]}


def test_files_of_other_kinds_are_counted_and_named_when_they_are_left_out(tmp_path, caplog):
    touch(tmp_path, "a/1.png", "b/2.png", "a/notes.txt", "b/3.svg", "b/4.psd", "README.md")
    with caplog.at_level(logging.WARNING, logger="maas"):
        assert len(files_by_label(tmp_path, [".png"])["all"]["input"]) == 2
    (said,) = caplog.messages
    assert said == (
        f"data      {tmp_path}: left out 4 files that are not .png in a label's folder: "
        "README.md, a/notes.txt, b/3.svg, …"
    )


def test_nothing_is_logged_when_every_file_is_a_row(tmp_path, caplog):
    touch(tmp_path, "a/1.png", "b/2.png", ".DS_Store", ".cache/x/y.txt")
    files_by_label(tmp_path, [".png"])
    assert not caplog.messages


def message(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        image_folder(str(root))
    return str(caught.value)


def test_place_of_files_is_named_when_there_are_no_folders(tmp_path):
    touch(tmp_path, "1.png")
    assert message(tmp_path) == (
        f"{tmp_path} holds no folders; put the files of a label into a folder of its name: {tmp_path}/LABEL/."
    )


def test_empty_label_is_named_when_its_folder_holds_no_image(tmp_path):
    touch(tmp_path, "a/1.png", "b/2.txt", "b/3.txt")
    assert message(tmp_path) == (
        f"{tmp_path}/b holds no file of .jpg/.jpeg/.png/.webp/.bmp/.gif, but 2 others. "
        "Put such files into it, or remove it."
    )


def test_stray_folder_is_named_when_splits_and_labels_are_mixed(tmp_path):
    touch(tmp_path, "train/a/1.png", "train/b/2.png", "cat/3.png")
    assert message(tmp_path) == (
        f"{tmp_path} holds the folder cat beside train: its folders must be splits "
        "(train, validation, valid, val, dev, test) or labels, not both. Move cat away, or into train."
    )


def test_both_folders_are_named_when_they_are_one_split(tmp_path):
    touch(tmp_path, "train/a/1.png", "val/a/1.png", "dev/a/1.png")
    assert message(tmp_path) == f"{tmp_path} holds the folders dev and val, which are one split."


def test_broken_link_is_named_when_a_file_cannot_be_read(tmp_path):
    touch(tmp_path, "a/1.png")
    (tmp_path / "a/2.png").symlink_to(tmp_path / "gone.png")
    assert message(tmp_path) == (
        f"{tmp_path}/a/2.png cannot be read: its rights or a broken link forbid it. Repair or remove it."
    )


def test_file_is_named_when_it_stands_where_a_folder_must(tmp_path):
    touch(tmp_path, "rows.csv")
    assert message(tmp_path / "rows.csv") == f"{tmp_path / 'rows.csv'} cannot be read: Not a directory."


def test_rows_are_cleaned_by_what_their_files_hold_when_they_are_split(tmp_path):
    generator = np.random.default_rng(0)
    for label in ("dark", "bright"):
        (tmp_path / label).mkdir()
        for index in range(10):
            pixels = generator.integers(0, 256, (4, 4), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{label}/{index}.png")
    (tmp_path / "dark/copy.png").write_bytes((tmp_path / "dark/0.png").read_bytes())
    splits = prepare(image_folder(str(tmp_path)), 0.2, 0.2)
    assert splits.record.rows == {"train": 12, "validation": 4, "test": 4}
    assert splits.record.removed == {"repeated": 1}
    assert splits.labels == ("bright", "dark")


def test_sounds_are_rows_when_words_have_folders(tmp_path):
    for word in ("yes", "no"):
        (tmp_path / word).mkdir()
        soundfile.write(tmp_path / f"{word}/1.wav", np.zeros(8), 8000)
    table = audio_folder(str(tmp_path))["all"]
    assert table == {"input": [tmp_path / "no/1.wav", tmp_path / "yes/1.wav"], "label": ["no", "yes"]}


@pytest.fixture
def broken_picture(tmp_path, monkeypatch) -> Splits:
    """48 pictures of two labels, one of the last ones cut off; the working directory is above them."""
    random = np.random.default_rng(0)
    for index in range(48):
        file = tmp_path / f"pictures/{'cat' if index % 2 else 'dog'}/{index:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(file)
    broken = tmp_path / "pictures/cat/41.png"
    broken.write_bytes(broken.read_bytes()[:120])
    monkeypatch.chdir(tmp_path)
    files = [*sorted((tmp_path / "pictures/dog").iterdir()), *sorted((tmp_path / "pictures/cat").iterdir())]
    train, other = Split(files, np.arange(48) // 24), Split(files[:4], np.zeros(4, np.int64))
    return Splits(train, other, other, ("dog", "cat"), DataRecord("", {}, {}))


REFUSAL = r"^pictures/cat/41\.png is a PNG file that cannot be read: [^\n]*$"


def test_file_is_named_when_a_picture_of_a_training_is_cut_off(broken_picture):
    with pytest.raises(InputError, match=REFUSAL):
        DataModule(broken_picture, ImageProcessor(8, 8), batch_size=8, seed=0)


@pytest.mark.parametrize("workers", [0, 1])
def test_file_is_named_when_pictures_are_read_batch_by_batch(broken_picture, workers, monkeypatch):
    monkeypatch.setattr(preprocessed, "KEPT_BYTES", 0)
    monkeypatch.setattr(preprocessed, "ROWS_MEASURED", 8)
    monkeypatch.setattr(processors_base, "ROWS_AT_ONCE", 8)
    loader = DataModule(broken_picture, ImageProcessor(8, 8), 8, 0, workers=workers).train_dataloader()
    with pytest.raises(InputError, match=REFUSAL):
        list(loader)


def test_number_in_the_split_is_given_when_a_broken_row_has_no_file(monkeypatch):
    monkeypatch.setattr(preprocessed, "_kept", lambda *_: None)
    random = np.random.default_rng(0)
    rows = PreprocessedRows(ImageProcessor(8, 8), [*random.integers(0, 256, (41, 8, 8, 3), dtype=np.uint8), b"GIF"])
    with pytest.raises(InputError, match=r"^Row 41 of its split is "):
        rows.take([3, 41])


def test_file_is_named_when_a_picture_that_calibrates_is_cut_off(broken_picture, tmp_path):
    rows = given_rows(tmp_path / "pictures", ImageProcessor(8, 8), ("dog", "cat"))["input"]
    with pytest.raises(InputError, match=REFUSAL):
        list(preprocessed_pieces(ImageProcessor(8, 8), rows))


def test_link_is_named_when_a_picture_that_calibrates_is_gone(tmp_path):
    (tmp_path / "dog.png").symlink_to(tmp_path / "absent.png")
    with pytest.raises(DataError, match=r"dog\.png cannot be read: its rights or a broken link forbid it\."):
        given_rows(tmp_path, ImageProcessor(8, 8), ())


def test_file_is_named_when_a_sound_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "word.wav").write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"^word\.wav "):
        AudioProcessor().preprocess([tmp_path / "word.wav"])

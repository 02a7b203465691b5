"""Files by label: which are rows, which are left out, and what is said when a folder is not what it should be."""

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from maas.data.folders import audio_folder, files_by_label, image_folder
from maas.data.splits import prepare
from maas.errors import DataError


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


def test_nothing_is_said_when_every_file_is_a_row(tmp_path, caplog):
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

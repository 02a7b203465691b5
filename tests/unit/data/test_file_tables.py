"""Tables that name pictures or sounds: where their files are looked for, and what is said where they are not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maas.data.file_tables import file_table
from maas.data.splits import prepare
from maas.errors import DataError
from maas.runtime.processors.image import ImageProcessor


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """30 pictures of three colours below `pictures`, and a table beside that folder."""
    (tmp_path / "pictures").mkdir()
    lines = ["file,colour,weight"]
    for number in range(30):
        colour = ("red", "green", "blue")[number % 3]
        pixels = np.zeros((4, 4, 3), np.uint8) + number
        pixels[:, :, number % 3] = 255
        Image.fromarray(pixels).save(tmp_path / f"pictures/{number}.png")
        lines.append(f"pictures/{number}.png,{colour},{number / 2}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    return tmp_path / "table.csv"


def test_rows_are_files_beside_the_table_when_paths_are_relative(table):
    found = file_table(str(table), "file", "colour")["all"]
    assert found["input"][4] == table.parent / "pictures/4.png"
    assert found["label"][4] == "green"
    splits = prepare(file_table(str(table), "file", "colour"), 0.2, 0.2)
    assert splits.labels == ("blue", "green", "red")
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 30
    (pixels,) = ImageProcessor(4, 4).arrays(splits.train.inputs[:1])
    assert pixels.max() == 255


def test_rows_are_files_of_another_folder_when_the_recipe_names_it(table, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "table.csv"
    elsewhere.write_text(table.read_text())
    found = file_table(str(elsewhere), "file", "weight", folder=str(table.parent))["all"]
    assert found["input"][0] == table.parent / "pictures/0.png"
    numbers = prepare(file_table(str(elsewhere), "file", "weight", folder=str(table.parent)), 0.2, 0.2, target="number")
    assert max([*numbers.train.targets, *numbers.validation.targets, *numbers.test.targets]) == 14.5


def test_second_table_is_the_test_split_when_the_recipe_names_one(table):
    found = file_table(str(table), "file", "colour", test_path=str(table))
    assert list(found) == ["train", "test"]


def test_refusal_counts_and_names_files_when_some_are_not_there(table):
    text = table.read_text().replace("pictures/7.png", "pictures/seven.png").replace("pictures/8.png", "gone.png")
    table.write_text(text)
    with pytest.raises(DataError) as caught:
        file_table(str(table), "file", "colour")
    assert str(caught.value) == (
        f"{table} names 2 of 30 files that are not there: {table.parent}/pictures/seven.png, {table.parent}/gone.png. "
        "Set data.source.folder to what its paths are relative to, or correct them."
    )


def test_refusal_names_the_columns_when_the_table_has_others(table):
    with pytest.raises(DataError, match=r"path.*Set data\.source\.file and data\.source\.label\."):
        file_table(str(table))

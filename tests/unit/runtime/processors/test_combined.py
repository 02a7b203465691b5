"""Rows of several inputs: each part by its own processor, with names that do not meet."""

import io

import pytest
from PIL import Image

from maas.errors import BundleError, ConfigError, InputError
from maas.runtime.processors import load_processor
from maas.runtime.processors.combined import CombinedProcessor
from maas.runtime.processors.image import ImageProcessor
from maas.runtime.processors.tabular import TabularProcessor
from maas.runtime.processors.text import TextProcessor


def text() -> TextProcessor:
    return TextProcessor(vocabulary_size=100, pad_multiple=4, algorithm="words").fit(["a b c d e good film"] * 2)


@pytest.fixture
def processor() -> CombinedProcessor:
    return CombinedProcessor({"title": text(), "columns": TabularProcessor(["price"], ["kind"])})


def test_parts_are_those_of_their_own_processors_when_a_row_is_read(processor):
    row = {"title": "good film", "price": 2.5, "kind": "a"}
    found = processor.batch(processor.preprocess([row]))
    assert list(found) == ["input_ids", "numbers", "categories"]
    alone = text()
    assert found["input_ids"].tolist() == alone.batch(alone.preprocess(["good film"]))["input_ids"].tolist()
    assert found["numbers"].tolist() == [[2.5]]
    assert [spec.name for spec in processor.input_specs] == ["title", "price", "kind"]


def test_names_have_their_parts_before_them_when_two_parts_give_one():
    both = CombinedProcessor({"title": text(), "body": text()})
    found = both.batch(both.preprocess([{"title": "a", "body": "a b c d e"}]))
    assert {name: array.shape for name, array in found.items()} == {"title_input_ids": (1, 4), "body_input_ids": (1, 8)}
    short, long = both.preprocess([{"title": "a", "body": "a b c d e"}, {"title": "a b c d e", "body": "a"}])
    assert both.bucket(short) != both.bucket(long)
    assert both.dynamic_axes["body_input_ids"] == {0: "batch", 1: "body_tokens"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"price": 1}, "Row 0 is null; the model takes a text (a string). (It is the row's title.)"),
        ({"title": "a", "colour": 1}, "Row 0 has the column 'colour', which the model does not know; its columns are"),
        ({}, "Row 0 names no column; its columns are title, price, kind."),
        ("a", "Row 0 is a str; the model takes a dictionary by column: title, price, kind."),
    ],
)
def test_row_is_refused_with_the_reason_when_a_part_cannot_be_read(processor, row, message):
    with pytest.raises(InputError) as caught:
        processor.preprocess([row])
    assert str(caught.value).startswith(message)


def test_recipe_is_refused_when_parts_are_few_or_meet():
    with pytest.raises(ConfigError, match="has two parts or more"):
        CombinedProcessor({"title": text()})
    with pytest.raises(ConfigError, match="reads the column price twice"):
        CombinedProcessor({"price": text(), "columns": TabularProcessor(["price"])})


def test_record_is_refused_when_a_part_names_a_folder_outside(tmp_path):
    with pytest.raises(BundleError, match="it takes kind and"):
        load_processor({"kind": "combined", "parts": {"../a": {"kind": "text"}, "b": {"kind": "text"}}}, tmp_path)


def png(height: int, width: int) -> bytes:
    content = io.BytesIO()
    Image.new("L", (width, height)).save(content, "PNG")
    return content.getvalue()


def test_pictures_are_bounded_as_those_of_a_part_alone_when_rows_hold_some():
    both = CombinedProcessor({"photo": ImageProcessor(4, 4, 1), "columns": TabularProcessor(["price"], ["kind"])})
    row = {"photo": png(30, 50), "price": 1.0, "kind": "a"}
    assert both.decodes_files
    assert [both.pixels_to_decode(one) for one in (row, list(row.values()), {"photo": "a"}, {}, b"", 3)] == [
        1500, 1500, 0, 0, 0, 0,
    ]  # fmt: skip
    assert both.preprocess([row])[0]["photo.pixels"].shape == (4, 4, 1)
    both.max_pixels = 1499
    with pytest.raises(InputError, match="is a PNG image of 50 × 30 pixels"):
        both.preprocess([row])
    both.max_pixels = 1500
    assert both.preprocess([row])[0]["photo.pixels"].shape == (4, 4, 1)
    assert (both.max_pixels, both.parts["photo"].max_pixels) == (1500, 1500)


def test_no_part_decodes_files_when_all_are_texts_and_columns(processor):
    assert not processor.decodes_files
    assert processor.pixels_to_decode({"title": "a"}) == 0

"""An explanation shows what it holds, in text, as a page and as a picture."""

import dataclasses
import re

import numpy as np
import pytest
from PIL import Image

from maas.errors import InputError
from maas.explaining import Explanation, explain
from maas.explaining.colours import AGAINST, FOR, css, printable, shade, strengths

SHOWN_AS_TEXT = {"text", "pretrained_text"}


@pytest.fixture
def explanation(predictor_of, linear) -> Explanation:
    return explain(predictor_of(linear), linear.row, label="yes")


@pytest.fixture
def of_columns(predictor_of, linear_of) -> Explanation:
    linear = linear_of("tabular")
    return explain(predictor_of(linear), linear.row, label="yes")


def test_value_cannot_be_changed_when_it_was_made(of_columns):
    with pytest.raises(dataclasses.FrozenInstanceError):
        of_columns.value = 0.0
    with pytest.raises(ValueError, match="read-only"):
        of_columns.attributions[0] = 0.0
    assert of_columns.attributions.dtype == np.float64


def test_strongest_parts_come_first_when_the_top_is_asked_for(of_columns):
    assert [part.name for part, _ in of_columns.top(2)] == ["delay", "speed"]
    assert [value for _, value in of_columns.top()] == pytest.approx([-11.2, -0.8, 0.6], abs=1e-5)


def test_title_tells_label_value_and_baseline_when_it_is_read(of_columns):
    assert of_columns.title == "log-odds of yes: -6.8; with every part left out 4.6"


def test_title_names_the_quantity_alone_when_there_is_no_label(predictor_of, linear_of):
    linear = linear_of("tabular")
    found = explain(predictor_of(linear, "regression"), linear.row)
    assert found.title == "value: -3.4; with every part left out 2.3"


def test_text_begins_with_the_title_and_names_what_is_strong_when_it_is_printed(explanation):
    title, _, shown = str(explanation).partition("\n")
    assert title == explanation.title
    plain = re.sub("\x1b\\[[\\d;]*m", "", shown)
    assert all(part.name.rpartition(": ")[2] in plain for part, _ in explanation.top(5))
    assert "\x1b[" in shown


def test_table_is_aligned_and_tells_the_values_when_columns_are_printed(of_columns):
    assert re.sub("\x1b\\[[\\d;]*m", "", str(of_columns)).splitlines()[1:] == [
        "delay = 7      -11.2 ████████████████████████",
        "speed = 3       -0.8 ██",
        "town = B        +0.6 █",
    ]


def test_page_stands_alone_when_it_is_written(explanation, tmp_path):
    page = explanation.save(tmp_path / "page.html").read_text(encoding="utf-8")
    assert explanation._repr_html_() == explanation.html()
    assert page.endswith(explanation.html())
    assert "http" not in page
    assert page.startswith('<!doctype html><meta charset="utf-8">')


def test_picture_is_drawn_alike_when_it_is_saved_twice(explanation, linear, tmp_path):
    if linear.processor.kind in SHOWN_AS_TEXT:
        with pytest.raises(InputError, match=r"^Words are shown as text"):
            explanation.save(tmp_path / "picture.png")
        return
    first, second = (explanation.save(tmp_path / f"{index}.png") for index in range(2))
    assert first.read_bytes() == second.read_bytes()
    picture = Image.open(first)
    assert min(picture.size) > 100
    colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}
    assert any(red > blue + 60 for red, _, blue in colours)
    assert any(blue > red + 60 for red, _, blue in colours)


def test_end_of_the_name_is_told_when_it_is_neither_picture_nor_page(of_columns, tmp_path):
    with pytest.raises(InputError) as caught:
        of_columns.save(tmp_path / "picture.jpg")
    assert str(caught.value) == f"{tmp_path / 'picture.jpg'} ends in '.jpg'; an explanation is saved as .png or .html."


def test_everything_is_shown_when_no_part_matters(of_columns):
    still = dataclasses.replace(of_columns, attributions=np.zeros(3))
    assert "speed = 3" in str(still)
    assert "speed = 3" in still.html()
    assert still.picture().size[0] > 100


def test_names_are_escaped_when_they_hold_markup(of_columns):
    of_columns.view.labels = ("<b>\x1b[2J", "速度 = 12", "x" * 500)
    assert "&lt;b&gt;\ufffd[2J" in of_columns.html()
    assert "<b>" not in of_columns.html()
    lines = re.sub("\x1b\\[[\\d;]*m", "", str(of_columns)).splitlines()[1:]
    assert "\x1b" not in "".join(lines)
    names = [line[: re.search(" +[+-]", line).start()] for line in lines]
    assert names == ["速度 = 12", "<b>\ufffd[2J", "x" * 39 + "…"]
    first, second, third = (line.index("█") for line in lines)
    assert first + 2 == second == third  # each of the two Chinese signs takes two columns of a terminal


@pytest.mark.parametrize(
    ("strength", "colour"),
    [(1.0, FOR), (-1.0, AGAINST), (0.0, (255, 255, 255)), (0.5, (234, 147, 148)), (-0.5, (143, 187, 218))],
)
def test_colour_deepens_when_a_part_is_stronger(strength, colour):
    assert np.abs(np.subtract(shade(strength), colour)).max() <= 1
    assert css(strength).endswith(f",{abs(strength):.2f})")


def test_strengths_are_shares_of_the_largest_when_they_are_taken():
    np.testing.assert_array_equal(strengths(np.array([2.0, -4.0, 0.0])), [0.5, -1, 0])
    np.testing.assert_array_equal(strengths(np.zeros(2)), [0, 0])


def test_signs_that_act_are_replaced_when_text_is_made_printable():
    assert printable("a\x1b[2Jb\nc\td\u202ee\ud800f\x9bg") == "a\ufffd[2Jb\nc\td\ufffde\ufffdf\ufffdg"
    assert printable("👩‍👩‍👧 é 好") == "👩‍👩‍👧 é 好"

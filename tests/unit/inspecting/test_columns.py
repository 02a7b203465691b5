"""Kinds of columns, by all of their values."""

import pytest

from maas.inspecting.columns import date_order_of, described_column, number_reading, script_of

MANY = 60


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("x", [place * 0.5 for place in range(MANY)], "number"),
        ("x", [place % 3 for place in range(MANY)], "number"),
        ("x", [place * 7 for place in range(MANY)], "number"),
        ("row", list(range(5, MANY)), "id"),
        ("year", list(range(1900, 1900 + MANY)), "number"),
        ("user_id", [place * 7 for place in range(MANY)], "id"),
        ("userId", [place * 7 for place in range(MANY)], "id"),
        ("paid", [place * 7 for place in range(MANY)], "number"),
        ("id", [place % 9 for place in range(MANY)], "number"),
        ("zip", [f"0{place % 7}123" for place in range(MANY)], "category"),
        ("code", [f"0{place}123" for place in range(MANY)], "id"),
        ("code", [f"A{place}-{place * 3}" for place in range(MANY)], "id"),
        ("town", ["Ulm", "Bonn"] * 30, "category"),
        ("is", [True, False] * 30, "category"),
        ("one", ["same"] * MANY, "constant"),
        ("one", [1.0] * MANY, "constant"),
        ("none", [None] * MANY, "empty"),
        ("review", [f"a word and then another, {place}" for place in range(MANY)], "text"),
        ("评论", [f"第{place}次很好吃还会再来" for place in range(MANY)], "text"),
        ("size", ["a long name of a category that is not a text at all"] * 30 + ["other"] * 30, "category"),
        ("day", [f"2024-01-{1 + place % 28:02}" for place in range(MANY)], "date"),
        ("", [place * 7 % 61 for place in range(MANY)], "id"),
        ("", [place % 20 for place in range(MANY)], "id"),
        ("Unnamed: 0", [3, 1, 2], "id"),
        ("...1", [3, 1, 2], "id"),
        ("", [place * 0.5 for place in range(MANY)], "number"),
        ("", ["Ulm", "Bonn"] * 30, "category"),
        ("version", [f"1.{place % 12}.3" for place in range(MANY)], "category"),
    ],
)
def test_kind_is_that_of_all_values_when_a_column_is_described(name, values, kind):
    assert described_column(name, values).kind == kind


def test_figures_are_counted_when_values_are_missing():
    found = described_column("x", [1, None, 2.5, None, 2.5])
    assert (found.present, found.missing, found.distinct, found.low, found.high) == (3, 2, 2, 1.0, 2.5)
    assert not found.is_whole


@pytest.mark.parametrize(
    ("texts", "order"),
    [
        (["2024-01-31", "2024-12-01"], "ymd"),
        (["31/01/2024", "01/02/2024"], "dmy"),
        (["01/31/2024", "01/02/2024"], "mdy"),
        (["01/02/2024"], "mdy"),
        (["01.02.2024"], "dmy"),
        (["2024年1月31日 08:00"], "ymd"),
        (["2024-01-31", "soon"], None),
        (["31/31/2024"], None),
        (["1.2.3"], None),
    ],
)
def test_order_makes_dates_of_all_texts_when_there_is_one(texts, order):
    assert date_order_of(texts) == order


def test_other_order_is_said_when_both_make_dates():
    found = described_column("day", ["01/02/2024", "03/04/2024"] * 5)
    assert found.reason == "read with the month first; processor.date_order=dmy reads it the other way"


def test_words_stand_for_nothing_when_all_others_are_numbers_with_commas():
    assert number_reading(["-", "1,5", "2"], ["-", "?"], ",") == ("-",)
    assert number_reading(["-", "1.5", "2"], ["-", "?"], ",") is None


def test_words_stand_for_nothing_when_all_others_are_numbers():
    assert number_reading(["1.5", "-", "2"], ("-", "N/A")) == ("-",)
    assert number_reading(["1.5", "-", "x"], ("-", "N/A")) is None
    assert number_reading(["1.5", "2"], ("-",)) is None
    assert number_reading(["-"], ("-",)) is None


@pytest.mark.parametrize(
    ("text", "script"),
    [("很好，下次还来", "Han"), ("Ein schöner Tag", "Latin"), ("これはペンです", "Japanese"), ("Хорошо", "Cyrillic"),
     ("좋아요", "Hangul"), ("很好很好 very good", "mixed"), ("12 34", "")],
)  # fmt: skip
def test_script_is_that_of_most_letters_when_a_text_is_read(text, script):
    assert script_of([text]) == script

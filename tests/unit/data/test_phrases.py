"""Sentences made by rules: numbers in words beside known ones, patterns that are held out, the same rows every time."""

import re

import pytest

from maas.data.number_words import chinese_number, english_number
from maas.data.phrases import AMOUNTS, MOMENTS, STATEMENTS, WHEN, patterns, phrases
from maas.data.splits import prepare

DIGITS = {character: value for value, character in enumerate("零一二三四五六七八九")}
PLACES = {"十": 10, "百": 100, "千": 1000}
WORDS = dict(
    zip(
        [
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
            "thirty",
            "forty",
            "fifty",
            "sixty",
            "seventy",
            "eighty",
            "ninety",
        ],
        [*range(1, 20), *range(20, 100, 10)],
        strict=True,
    )
)


def read_chinese(text):
    """Returns the number that Chinese numerals stand for, read by their places."""
    large, has_large, small = text.rpartition("万")
    total, digit = 0, 0
    for character in small:
        if character in PLACES:
            total, digit = total + (digit or 1) * PLACES[character], 0
        else:
            digit = DIGITS[character]
    return total + digit + (10_000 * read_chinese(large) if has_large else 0)


def read_english(text):
    """Returns the number that English words stand for, read from left to right."""
    total = part = 0
    for word in re.split(r"[ -]", text):
        if word in ("and", "zero"):
            continue
        if word == "hundred":
            part *= 100
        elif word in ("thousand", "million"):
            total, part = total + part * {"thousand": 1000, "million": 10**6}[word], 0
        else:
            part += WORDS[word]
    return total + part


@pytest.mark.parametrize(
    ("number", "chinese", "english"),
    [
        (0, "零", "zero"),
        (10, "十", "ten"),
        (15, "十五", "fifteen"),
        (40, "四十", "forty"),
        (105, "一百零五", "one hundred and five"),
        (110, "一百一十", "one hundred and ten"),
        (1005, "一千零五", "one thousand and five"),
        (1050, "一千零五十", "one thousand and fifty"),
        (3205, "三千二百零五", "three thousand two hundred and five"),
        (20_000, "二万", "twenty thousand"),
        (10_500, "一万零五百", "ten thousand five hundred"),
        (100_001, "十万零一", "one hundred thousand and one"),
        (12_345_678, "一千二百三十四万五千六百七十八",
         "twelve million three hundred and forty-five thousand six hundred and seventy-eight"),
    ],
)  # fmt: skip
def test_number_is_written_as_people_do_when_it_is_known(number, chinese, english):
    assert (chinese_number(number), english_number(number)) == (chinese, english)


def test_number_is_read_back_when_it_was_written():
    for number in [*range(3000), *range(9990, 10_120), *range(99_000, 1_200_000, 997), 99_999_999]:
        assert read_chinese(chinese_number(number)) == number
        assert read_english(english_number(number)) == number


@pytest.mark.parametrize("number", [-1, 10**8])
def test_number_is_refused_when_it_is_out_of_range(number):
    with pytest.raises(ValueError, match=rf"The number is {number}; it must lie in 0 to 99999999"):
        chinese_number(number)


def test_every_sentence_and_every_kind_is_learnt_when_patterns_are_held_out():
    learnt = [one for one in patterns() if not one.is_held_out(0.15)]
    held_out = [one for one in patterns() if one.is_held_out(0.15)]
    assert len(learnt) + len(held_out) == len(MOMENTS) * len(WHEN) + len(STATEMENTS) * len(AMOUNTS) * (1 + len(WHEN))
    assert 0.1 < len(held_out) / (len(learnt) + len(held_out)) < 0.2
    for one in held_out:
        assert any(other.english == one.english for other in learnt)
        assert all(any(kind in other.kinds for other in learnt) for kind in one.kinds)
    assert not {(one.english, one.kinds) for one in learnt} & {(one.english, one.kinds) for one in held_out}


def test_rows_are_pairs_of_both_directions_when_they_are_made():
    tables = phrases(rows=300, test_rows=100)
    assert {name: len(table["input"]) for name, table in tables.items()} == {"train": 300, "test": 100}
    from_chinese = [table["input"][index].endswith("。") for table in tables.values() for index in range(100)]
    assert 50 < sum(from_chinese) < 150
    for table in tables.values():
        for source, wanted in zip(table["input"], table["label"], strict=True):
            assert source.endswith("。") != wanted.endswith("。")
            assert {source[-1], wanted[-1]} == {"。", "."}
    assert tables == phrases(rows=300, test_rows=100)
    assert tables != phrases(rows=300, test_rows=100, seed=1)


def test_one_direction_is_made_when_it_is_chosen():
    table = phrases(rows=50, test_rows=10, directions=["en-zh"])["train"]
    assert all(one.endswith(".") for one in table["input"])


def test_a_text_has_one_translation_when_rows_are_made():
    tables = phrases(rows=3000, test_rows=500)
    found = {}
    for table in tables.values():
        for source, wanted in zip(table["input"], table["label"], strict=True):
            assert found.setdefault(source, wanted) == wanted


def test_rows_are_split_with_their_texts_when_they_are_prepared():
    splits = prepare(phrases(rows=400, test_rows=50), target="text", validation_fraction=0.1)
    assert splits.target == "text"
    made = phrases(rows=400, test_rows=50)
    pairs = {pair for table in made.values() for pair in zip(table["input"], table["label"], strict=True)}
    for split in (splits.train, splits.validation, splits.test):
        assert set(zip(split.inputs, split.targets, strict=True)) <= pairs
    assert [*splits.train.fitting_rows] == [*splits.train.inputs, *splits.train.targets]

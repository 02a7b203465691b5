"""Texts are cut into words that stay where they were, whatever the text."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maas.errors import InputError
from maas.explaining import explain
from maas.explaining.parts import parts_of
from maas.explaining.parts.text import TextParts
from maas.explaining.words import NOTHING

LONG = 10_000


def kept(parts: TextParts, *wanted: int) -> str:
    mask = np.zeros(len(parts.parts), dtype=bool)
    mask[list(wanted)] = True
    return parts.row(mask)


def names(parts: TextParts) -> list[str]:
    return [part.name for part in parts.parts]


@pytest.fixture(scope="module")
def cut(text_processor):
    return lambda text, most=None: TextParts(text, text_processor, most)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a very good film", ["a", "very", "good", "film"]),
        ("质量太差了", ["质", "量", "太", "差", "了"]),
        ("iPhone很好用good", ["iPhone", "很", "好", "用", "good"]),
        ("  good,\tnot　bad\n", ["good,", "not", "bad"]),
        ("好。ｇｏ", ["好", "。", "ｇ", "ｏ"]),
        ("𠮷野家", ["𠮷", "野", "家"]),
        ("ひらがな カタ", list("ひらがなカタ")),
        ("좋은 영화", ["좋은", "영화"]),
        ("e\u0301tait", ["e\u0301tait"]),
        ("\u200b", ["\u200b"]),
    ],
)
def test_words_are_as_readers_see_them_when_a_text_is_cut(cut, text, words):
    parts = cut(text)
    assert names(parts) == words
    assert [text[slice(*part.place)] for part in parts.parts] == words


@pytest.mark.parametrize(
    ("text", "wanted", "left"),
    [
        ("a very good film", [0, 3], "a film"),
        ("a very good film", [1, 2], "very good"),
        ("a very good film", [], NOTHING),
        ("质量太差了", [0, 2, 4], "质太了"),
        ("iPhone很好用good", [0, 4], "iPhone good"),
        ("iPhone很好用good", [0, 1], "iPhone很"),
        ("good  film", [0, 1], "good  film"),
        (" good film ", [0, 1], " good film "),
        (" good film ", [1], "film"),
    ],
)
def test_words_are_cut_out_and_none_are_joined_when_some_are_kept(cut, text, wanted, left):
    assert kept(cut(text), *wanted) == left


@pytest.mark.parametrize(("most", "sizes"), [(1, [10]), (3, [3, 3, 4]), (10, [1] * 10), (99, [1] * 10)])
def test_neighbours_share_a_part_when_words_are_many(cut, most, sizes):
    parts = cut(" ".join(f"w{index}" for index in range(10)), most)
    assert [len(name.split()) for name in names(parts)] == sizes
    assert " ".join(names(parts)).split() == [f"w{index}" for index in range(10)]


@pytest.mark.parametrize("keep", ["start", "ends"])
def test_words_that_the_model_never_sees_are_no_parts_when_a_text_is_long(linear_of, keep):
    processor = type(linear_of("text").processor)(max_tokens=12, keep=keep).fit(["一 二 三"] * 3)
    text = "一" * 8 + "二" * 40 + "三" * 8
    parts = TextParts(text, processor)
    seen = kept(parts, *range(len(parts.parts)))
    np.testing.assert_array_equal(processor.arrays([seen])[0], processor.arrays([text])[0])
    assert len(parts.parts) == {"start": 12, "ends": 6 + 40 + 6}[keep]
    assert re.sub("\x1b.*?m", "", parts.text(np.zeros(len(parts.parts)))) == text


def test_last_words_are_the_parts_when_a_tokenizer_keeps_the_end(linear_of):
    import json

    processor = linear_of("pretrained_text").processor
    content = json.loads(processor._content)
    content["truncation"] = {"direction": "Left", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
    processor = type(processor)(tokenizer="none", max_tokens=5, content=json.dumps(content))
    parts = parts_of("这是一个很棒的文本", processor, None, None)
    assert names(parts) == ["的", "文", "本"]


def test_explanation_is_quick_when_a_text_is_hostile(predictor_of, linear_of):
    linear = linear_of("text")
    explanation = explain(predictor_of(linear), "good " * LONG, orders=1)
    assert len(explanation.parts) == 64
    assert len(explanation.html()) < 100_000


def test_text_is_shown_as_it_is_when_colours_are_taken_away(cut):
    text = " a <b>very</b> good　film 质量 "
    shown = cut(text).text(np.arange(6.0))
    assert re.sub("\x1b.*?m", "", shown) == text
    assert shown.count("\x1b[48;2;") == 6
    assert "\x1b[48;2;214;39;40m\x1b[30m量\x1b[0m" in shown
    assert "\x1b[48;2;31;119;180m\x1b[30ma\x1b[0m" in cut(text).text(np.array([-2.0, 0, 0, 0, 0, 1]))


def test_nothing_of_a_text_acts_when_it_is_shown(cut):
    text = "<script>alert('x')</script> \x1b[2J\x07 a\u202eb &amp; \"c\""
    count = len(cut(text).parts)
    page = cut(text).html(np.ones(count))
    assert "<script" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in page
    assert "&amp;amp;" in page
    shown = re.sub("\x1b\\[(48;2;\\d+;\\d+;\\d+|30|0)m", "", cut(text).text(np.ones(count)))
    assert not re.search("[\x1b\x07\u202e]", shown)


def test_picture_is_refused_when_parts_are_words(cut):
    with pytest.raises(InputError) as caught:
        cut("good film").picture(np.zeros(2), "title")
    assert str(caught.value) == (
        "Words are shown as text, not as a picture. Print the explanation, or save it as .html."
    )


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_every_variant_is_a_text_that_the_model_takes_when_the_text_is_anything(text_processor, text, random):
    try:
        text_processor.arrays([text])
    except InputError:
        return
    parts = TextParts(text, text_processor)
    mask = np.array([random.random() < 0.5 for _ in parts.parts])
    text_processor.arrays([parts.row(mask)])
    assert parts.row(np.ones_like(mask)) == text or len(text_processor.arrays([text])[0]) == 64
    assert "\x1b[2J" not in parts.text(np.zeros(len(mask)))

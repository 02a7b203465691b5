"""Texts become ids: alike in training and serving, whatever comes in."""

import subprocess
import sys
import typing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maas.errors import InputError
from maas.runtime.processors import load_processor
from maas.runtime.processors.text import TextProcessor

CORPUS = ["这是一个很棒的文本", "质量太差了", "a very good film", "Bad Service", "物流很快，包装完好"] * 4


ALGORITHMS = typing.get_args(typing.get_type_hints(TextProcessor.__init__)["algorithm"])
"""Every way of cutting texts up that is offered."""


@pytest.fixture(scope="module", params=ALGORITHMS)
def processor(request) -> TextProcessor:
    return TextProcessor(vocabulary_size=150, max_tokens=12, algorithm=request.param, pad_multiple=4).fit(CORPUS)


def ids(processor: TextProcessor, text: str) -> list[int]:
    (row,) = processor.arrays([text])
    return row.tolist()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (None, "Row 1 is null; the model takes a text (a string)."),
        (3.5, "Row 1 is of type float; the model takes a text (a string)."),
        (b"bytes", "Row 1 is of type bytes; the model takes a text (a string)."),
        (["a"], "Row 1 is of type list; the model takes a text (a string)."),
        ("", "Row 1 is an empty text; the model needs at least one character."),
        (" \t\n\u3000", "Row 1 is an empty text; the model needs at least one character."),
        ("a\ud800b", "Row 1 holds half of a surrogate pair, which is not text; send valid Unicode."),
        ("\udfff", "Row 1 holds half of a surrogate pair, which is not text; send valid Unicode."),
    ],
)
def test_row_is_named_with_what_is_wrong_when_it_is_no_text(processor, row, message):
    with pytest.raises(InputError) as caught:
        processor.arrays(["good", row])
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("one", "other"),
    [("ＧＯＯＤ　ｆｉｌｍ", "good film"), ("GOOD", "good"), ("①②", "12"), ("ﬁlm", "film"), ("cafe\u0301", "caf\u00e9")],
)
def test_ids_are_equal_when_texts_differ_in_width_case_or_composition(processor, one, other):
    assert ids(processor, one) == ids(processor, other)


@pytest.mark.parametrize("text", ["\x00", "\u200b", "🙂" * 3, "\u202e", "\ufeff", "𠮷", "\u0301" * 50, "a\x00b"])
def test_odd_text_is_encoded_when_no_sign_of_it_was_seen_in_training(processor, text):
    (row,) = processor.arrays([text])
    assert row.dtype == np.int64
    assert 1 <= len(row) <= 12
    assert row.min() >= 1  # 0 is padding alone


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1))
def test_text_is_encoded_or_refused_when_it_is_anything(text_processor, text):
    try:
        rows = text_processor.arrays([text, "good"])
    except InputError as error:
        assert str(error).startswith("Row 0 ")  # noqa: PT017 - both outcomes are right
    else:
        assert rows[0].tolist() == ids(text_processor, text)
        assert 1 <= len(rows[0]) <= 64
        assert rows[0].max() < text_processor.net_arguments["vocabulary_size"]


def test_ids_are_cut_when_a_text_is_long(processor):
    assert len(ids(processor, "质量太差了" * 20)) == 12
    assert ids(processor, "质量太差了" * 20) == ids(processor, "质量太差了" * 30)


def test_only_the_first_characters_are_looked_at_when_a_text_is_hostile(processor):
    hostile = "a" * 10_000_000
    assert ids(processor, hostile) == ids(processor, hostile[: 32 * 12])
    assert ids(processor, "好" * (32 * 12) + "\ud800") == ids(processor, "好" * (32 * 12))


def test_ids_are_equal_when_a_text_comes_alone_or_among_others(processor):
    alone = [ids(processor, text) for text in CORPUS[:5]]
    assert [row.tolist() for row in processor.arrays(CORPUS[:5])] == alone


def test_processor_answers_alike_when_it_was_saved_and_loaded(processor, tmp_path):
    processor.save(tmp_path / "assets")
    again = load_processor(processor.record(), tmp_path / "assets")
    assert again.settings() == processor.settings()
    assert again.net_arguments == processor.net_arguments
    for text in [*CORPUS[:5], "unseen 词", "质量" * 40]:
        assert ids(again, text) == ids(processor, text)
    again.save(tmp_path / "second")
    load_processor(processor.record(), tmp_path / "second").save(tmp_path / "third")
    assert (tmp_path / "second/tokenizer.json").read_bytes() == (tmp_path / "third/tokenizer.json").read_bytes()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_vocabulary_is_the_same_when_another_process_learns_it(algorithm):
    code = (
        "import hashlib, sys\nfrom maas.runtime.processors.text import TextProcessor\n"
        f"rows = [f'{{word}} {{number % 13}} 很好' for number in range(40) for word in {CORPUS[:5]!r}]\n"
        "fitted = TextProcessor(vocabulary_size=90, algorithm=sys.argv[1]).fit(rows)\n"
        "print(hashlib.sha256(fitted._tokenizer.to_str().encode()).hexdigest())"
    )
    command = [sys.executable, "-c", code, algorithm]
    found = {subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(3)}
    assert len(found) == 1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_vocabulary_is_within_its_limit_when_the_texts_have_more_signs(algorithm):
    fitted = TextProcessor(vocabulary_size=5, algorithm=algorithm).fit(CORPUS)
    assert fitted.net_arguments == {"vocabulary_size": 5}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_start_and_end_are_kept_when_a_text_is_long_and_its_ends_are_wanted(algorithm):
    processor = TextProcessor(max_tokens=5, keep="ends", algorithm=algorithm).fit(["甲 乙 丙"] * 3)
    first, middle, last = (ids(processor, sign)[0] for sign in "甲乙丙")
    assert ids(processor, "甲甲甲甲" + "乙" * 9 + "丙丙丙丙") == [first] * 3 + [last] * 2
    assert ids(processor, "甲乙丙") == [first, middle, last]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_end_is_the_texts_own_when_the_text_is_longer_than_what_is_looked_at(algorithm):
    processor = TextProcessor(max_tokens=4, keep="ends", algorithm=algorithm).fit(["甲 乙 丙"] * 3)
    first, _, last = (ids(processor, sign)[0] for sign in "甲乙丙")
    assert ids(processor, "甲甲" + "乙" * 10_000 + "丙丙") == [first, first, last, last]


def test_vocabulary_keeps_padding_and_unknown_first_when_it_is_learnt(processor):
    tokenizer = processor._tokenizer
    assert (tokenizer.token_to_id("[PAD]"), tokenizer.token_to_id("[UNK]")) == (0, 1)
    assert processor.net_arguments["vocabulary_size"] == tokenizer.get_vocab_size() <= 150


def test_fit_leaves_the_unfitted_processor_alone_when_it_returns_a_fitted_one():
    blank = TextProcessor(vocabulary_size=100)
    fitted = blank.fit(CORPUS)
    assert fitted is not blank
    assert blank.net_arguments["vocabulary_size"] < fitted.net_arguments["vocabulary_size"]


@pytest.mark.parametrize(("length", "width"), [(1, 4), (4, 4), (5, 8), (12, 12)])
def test_batch_is_padded_to_the_multiple_when_rows_are_collated(processor, length, width):
    row = np.arange(1, length + 1)
    assert processor.bucket({"token_ids": row}) == width
    batch = processor.batch([{"token_ids": row}, {"token_ids": row[:1]}])["input_ids"]
    assert batch.shape == (2, width)
    assert batch.dtype == np.int64
    assert batch[0].tolist() == [*range(1, length + 1), *[0] * (width - length)]
    assert batch[1].tolist() == [1, *[0] * (width - 1)]

"""One text becomes rows: pieces that end between words, a third for each purpose."""

import pytest

from maas.data.given_text import PIECE_CHARACTERS, given_text, pieces_of
from maas.errors import DataError


def prose(words: int) -> str:
    return " ".join(f"word{index * index}" + ("\n" if index % 9 == 0 else "") for index in range(words))


def test_no_word_is_cut_or_lost_when_a_text_is_in_pieces():
    text = prose(2000)
    pieces = list(pieces_of(text, 100))
    assert " ".join(pieces).split() == text.split()
    assert max(map(len, pieces)) <= 100


def test_text_without_blanks_is_cut_where_a_piece_is_full():
    assert list(pieces_of("这是一个很棒的文本", 4)) == ["这是一个", "很棒的文", "本"]
    assert list(pieces_of("  \n ", 4)) == []


def test_thirds_share_no_piece_when_a_file_is_read(tmp_path):
    (tmp_path / "text.txt").write_text(prose(20_000), encoding="utf-8")
    rows = given_text(tmp_path / "text.txt")
    parts = [list(part.inputs) for part in (rows.train, rows.validation, rows.test)]
    assert sorted(piece for part in parts for piece in part) == sorted(pieces_of(prose(20_000)))
    assert min(map(len, parts)) > 20
    assert rows.target == "none"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"short", r"text.txt holds 5 characters; at least 60,000 are needed: a third each"),
        (b"\xff\xfe\xfa", r"^texts is .*text.txt, which cannot be read: 'utf-8' codec"),
        (None, r"^texts is .*text.txt, which cannot be read: "),
        ((("x" * 1999 + "\n") * 40).encode(), r"holds \d+ different rows; at least 30 are needed"),
    ],
    ids=["short", "no_text", "missing", "repeated"],
)
def test_file_is_refused_in_one_line_when_it_is_no_text_to_measure_by(tmp_path, content, message):
    if content is not None:
        (tmp_path / "text.txt").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        given_text(tmp_path / "text.txt")
    assert "\n" not in str(caught.value)
    assert PIECE_CHARACTERS * 30 == 60_000

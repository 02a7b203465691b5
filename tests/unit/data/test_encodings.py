"""Encodings and separators of files, by all of their bytes."""

import pytest

from maas.data.encodings import encoding_of, separator_of
from maas.errors import DataError

CHINESE = "评论,类别\n这家酒店的服务很好，下次还来。,好评\n房间太小了！𠮷,差评\n"
GERMAN = "Straße;Preis\nKönigsallee;1,5\nÜberlingen – Süd;2\n"


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    [
        (CHINESE, "utf-8", "utf-8"),
        (CHINESE, "utf-8-sig", "utf-8-sig"),
        (CHINESE, "utf-16", "utf-16"),
        (CHINESE, "gb18030", "gb18030"),
        (CHINESE.replace("𠮷", ""), "gbk", "gb18030"),
        (GERMAN, "cp1252", "cp1252"),
        (GERMAN, "utf-8", "utf-8"),
        ("plain\n" * 10, "ascii", "utf-8"),
        ("x" * 2**20 + "é", "utf-8", "utf-8"),  # a character over the edge of what is read at once
        ("é" * 2**20, "cp1252", None),
    ],
)
def test_encoding_is_found_when_the_file_shows_it(tmp_path, text, encoding, found):
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode(encoding))
    if found is not None:
        assert encoding_of(path) == found
        assert path.read_text(encoding=encoding_of(path)) == text


def test_encoding_is_to_be_named_when_bytes_are_of_no_text(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a\x81b\x8dc\x8f\n")
    with pytest.raises(DataError, match=r"rows\.csv is no text in UTF-8, UTF-16, GB18030 or Windows-1252\. Name its"):
        encoding_of(path)


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b;c\n1,5;2,5;x\n2,5;1;y\n", ";"),
        ("a\tb\n1\t2\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ('text\n"one, two; three"\n', ","),
        ('a;b\n"x;y";1\n"line\nbreak";2\n', ";"),
        ("one column\nof, some\nwords\n", ","),
    ],
)
def test_separator_is_found_when_rows_have_as_many_cells(tmp_path, text, separator):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    assert separator_of(path, "utf-8") == separator


def test_encoding_is_refused_when_the_file_is_in_another(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(CHINESE.encode("gb18030"))
    with pytest.raises(DataError, match=r"rows\.csv is no text in utf-8: .*\. Leave encoding out, or set another\."):
        separator_of(path, "utf-8")

"""Texts as symbols come back as they were; what training texts lack is unknown."""

from maas.data.packing import NO_TARGET
from maas.data.symbols import UNKNOWN, clean_text, symbols_of, written


def test_texts_come_back_when_they_are_written_again():
    texts = ["ab a", "", "b"]
    symbols = symbols_of(texts, " ab")
    assert symbols.tolist() == [[2, 3, 1, 2], [NO_TARGET] * 4, [3, NO_TARGET, NO_TARGET, NO_TARGET]]
    assert written(symbols, " ab") == texts


def test_unknown_character_is_marked_when_training_texts_lack_it():
    symbols = symbols_of(["aéb"], "ab")
    assert symbols.tolist() == [[1, UNKNOWN, 2]]
    assert written(symbols, "ab") == ["a\ufffdb"]


def test_there_are_no_columns_when_there_are_no_texts():
    assert symbols_of([], "ab").shape == (0, 0)


def test_text_is_in_nfc_with_single_blanks_when_it_is_cleaned():
    assert clean_text(" turn\tit \n off ") == "turn it off"
    assert clean_text("cafe\u0301") == "caf\u00e9"
    assert clean_text(" \n") is clean_text("") is clean_text(None) is None

"""Pieces of text: whole characters, all of them, and none of a stop."""

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models

from maas.runtime.generation.stops import StopStrings
from maas.runtime.generation.text_stream import Detokenizer

TEXTS = ["the model reads", "naïve cafés 🙂🙂", "这是一个", "👩‍👩‍👧 family", " leading and trailing "]


def pieces_of(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    detokenizer = Detokenizer(tokenizer)
    return [*map(detokenizer.feed, ids), detokenizer.flush()]


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_are_whole_characters_when_these_have_several_tokens(tiny_llama, text):
    tokenizer = tiny_llama.tokenizer()
    pieces = pieces_of(tokenizer, tokenizer.encode(text).ids)
    assert "".join(pieces) == text
    assert "\ufffd" not in "".join(pieces)
    assert len(pieces) > 3


def test_pieces_join_to_the_decoded_text_when_tokens_are_random(tiny_llama):
    tokenizer, random = tiny_llama.tokenizer(), np.random.default_rng(0)
    for _ in range(50):
        ids = random.integers(0, tokenizer.get_vocab_size(), 30).tolist()
        assert "".join(pieces_of(tokenizer, ids)) == tokenizer.decode(ids)


def test_blanks_stay_when_the_tokenizer_marks_words_by_them():
    tokenizer = Tokenizer(models.WordLevel({"▁the": 0, "▁cat": 1, "s": 2}, "s"))
    tokenizer.decoder = decoders.Metaspace()
    assert pieces_of(tokenizer, [0, 1, 2, 0]) == ["the", " cat", "s", " the", ""]


def marked_words() -> Tokenizer:
    """As of SentencePiece: blanks belong to words, a text begins without one, and rare characters are bytes."""
    words = {"<unk>": 0, "<s>": 1, "▁is": 2, "▁Paris": 3, ".": 4, "▁": 5}
    names = {**words, **{f"<0x{byte:02X}>": len(words) + byte for byte in range(256)}}
    tokenizer = Tokenizer(models.BPE(vocab=names, merges=[], unk_token="<unk>", byte_fallback=True))
    tokenizer.add_special_tokens(["<s>"])
    strip = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(strip)
    return tokenizer


BYTES = [6 + byte for byte in "你".encode()]


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ([1, 2], [3, 4], " Paris."),
        ([2, 5], [3], " Paris"),
        ([2, *BYTES], [3, *BYTES], " Paris你"),
        ([2, *BYTES, *BYTES], [*BYTES, 3], "你 Paris"),
        ([1], [3, 4], "Paris."),
        ([], [3, 2], "Paris is"),
    ],
    ids=str,
)
def test_text_has_the_blank_that_parts_it_from_what_it_continues(before, after, text):
    detokenizer = Detokenizer(marked_words(), before)
    assert "".join([*map(detokenizer.feed, after), detokenizer.flush()]) == text


def test_special_tokens_are_no_text_when_they_come(tiny_llama):
    tokenizer = tiny_llama.tokenizer()
    assert "".join(pieces_of(tokenizer, [1, *tokenizer.encode("text").ids, 0])) == "text"


def fed(stops: list[str], pieces: list[str]) -> tuple[list[str], bool]:
    cutter = StopStrings(stops)
    found = []
    for piece in pieces:
        found.append(cutter.feed(piece))
        if cutter.found:
            return found, True
    return [*found, cutter.flush()], False


@pytest.mark.parametrize(
    ("stops", "pieces", "released", "is_found"),
    [
        ([], ["a", "b"], ["a", "b", ""], False),
        (["END"], ["a E", "N", "D b"], ["a ", "", ""], True),
        (["END"], ["a E", "N", "X b"], ["a ", "", "ENX b", ""], False),
        (["END"], ["a E"], ["a ", "E"], False),
        (["aab"], ["aa", "ab"], ["", "a"], True),
        (["bc", "abcd"], ["xab", "c"], ["x", "a"], True),
        (["\n\n", "."], ["one. two\n\n"], ["one"], True),
    ],
)
def test_text_is_cut_before_the_first_stop_when_it_comes_in_pieces(stops, pieces, released, is_found):
    assert fed(stops, pieces) == (released, is_found)


def test_cut_text_equals_that_of_the_whole_when_pieces_are_random():
    random = np.random.default_rng(1)
    for _ in range(300):
        text = "".join(random.choice(list("abc"), 12))
        stops = ["".join(random.choice(list("abc"), random.integers(1, 4))) for _ in range(2)]
        ends = sorted(random.integers(0, 13, 3))
        pieces = [text[start:end] for start, end in zip([0, *ends], [*ends, 12], strict=True)]
        begins = [text.find(stop) for stop in stops if stop in text]
        released, is_found = fed(stops, pieces)
        assert is_found == bool(begins)
        # a shorter stop may be found before one that began earlier is whole
        assert is_found or "".join(released) == text
        assert not any(stop in "".join(released) for stop in stops)

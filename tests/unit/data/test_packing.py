"""Texts packed into sequences: every token once, in order, with its own document and the token after it."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from maas.data import packing
from maas.data.packing import NO_TARGET, PackedTexts
from maas.errors import ConfigError, InputError
from maas.files.cache_entries import KEPT_S
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.generative_text import GenerativeTextProcessor

TEXTS = ["ab", "cdefghij", "k", "lmno"]
BYTE = 1
"""Id of byte 0; the others follow."""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/token_streams"


def processor(max_tokens: int = 5) -> GenerativeTextProcessor:
    """Returns one whose tokens are bytes, so that they can be read."""
    return GenerativeTextProcessor("characters", vocabulary_size=257, max_tokens=max_tokens).fit(TEXTS)


def shown(tokens: np.ndarray) -> str:
    """Returns tokens as text: | for the end of a text, . for no target."""
    return "".join({0: "|", NO_TARGET: "."}.get(token) or chr(token - BYTE) for token in tokens.tolist())


def test_tokens_stand_in_order_when_texts_are_packed():
    packed = PackedTexts(processor(), TEXTS)
    assert len(packed) == 4
    sequences = packed.take(range(4))
    assert list(map(shown, sequences.tokens)) == ["|ab|c", "defgh", "ij|k|", "lmno|"]
    assert list(map(shown, sequences.targets)) == ["ab|cd", "efghi", "j|k|l", "mno|."]
    assert sequences.documents.tolist() == [[1, 1, 1, 2, 2], [0] * 5, [0, 0, 1, 1, 2], [0, 0, 0, 0, 1]]


@pytest.mark.parametrize("max_tokens", [1, 2, 7, 18, 19, 20, 100])
def test_every_token_is_a_target_once_when_sequences_have_any_length(max_tokens):
    packed = PackedTexts(processor(max_tokens), TEXTS)
    sequences = packed.take(np.arange(len(packed)))
    wanted = sequences.targets[sequences.targets != NO_TARGET]
    assert shown(wanted) == "".join(f"{text}|" for text in TEXTS)
    assert sequences.tokens.shape == sequences.documents.shape == sequences.targets.shape == (len(packed), max_tokens)


def test_sequences_are_those_of_their_numbers_when_some_are_taken():
    packed = PackedTexts(processor(), TEXTS)
    whole, some = packed.take(range(4)), packed.take([3, 0])
    for every, few in zip(whole, some, strict=True):
        np.testing.assert_array_equal(few, every[[3, 0]])
        assert few.dtype == np.int64


def test_texts_are_not_tokenised_again_when_the_stream_lies_in_the_cache(monkeypatch):
    first = PackedTexts(processor(), TEXTS).take([1]).tokens
    monkeypatch.setattr(GenerativeTextProcessor, "documents", lambda *_: pytest.fail("tokenised again"))
    np.testing.assert_array_equal(PackedTexts(processor(), TEXTS).take([1]).tokens, first)


def test_texts_are_tokenised_once_when_two_need_them_at_once(monkeypatch):
    made, own = [], GenerativeTextProcessor.documents

    def documents(reader, rows):
        made.append(len(rows))
        time.sleep(0.3)  # the other one comes meanwhile
        return own(reader, rows)

    monkeypatch.setattr(GenerativeTextProcessor, "documents", documents)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: packing.stream_of(processor(), TEXTS), range(2))
    assert made == [len(TEXTS)]
    np.testing.assert_array_equal(first, second)


def test_streams_go_when_nobody_has_opened_them_for_long(cache):
    streams = [packing.stream_of(processor(), TEXTS[:count]) for count in (1, 2)]
    of_before = cache / "made by an earlier version"
    of_before.mkdir()
    (of_before / "tokens.bin").write_bytes(b"\0\0")
    long_ago = time.time() - KEPT_S - 1
    for place in [*cache.glob("*/lock"), of_before]:
        os.utime(place, (long_ago, long_ago))
    packing.stream_of(processor(), TEXTS[:2])  # opened again before others are made
    packing.stream_of(processor(), TEXTS[:3])
    kept = {packing.stream_key(processor(), TEXTS[:count]) for count in (2, 3)}
    assert {one.name for one in cache.iterdir()} == kept
    assert shown(streams[0].astype(np.int64)) == "|ab|"  # what is in use stays readable


@pytest.mark.parametrize("changed", [["ab", "cdefghij", "k", "lmnO"], TEXTS[:3], [*TEXTS[1:], TEXTS[0]]])
def test_stream_is_another_one_when_texts_differ(changed):
    keys = {packing.stream_of(processor(), texts).tobytes() for texts in (TEXTS, changed)}
    assert len(keys) == 2


def test_tokens_take_two_bytes_when_there_are_few():
    assert packing.stream_of(processor(), TEXTS).dtype.itemsize == 2


def test_row_is_named_when_it_is_no_text():
    with pytest.raises(InputError, match=r"^Row 2 is of type int"):
        PackedTexts(processor(), ["a", "b", 3])


def test_processor_is_refused_when_it_gives_no_tokens_of_whole_texts():
    with pytest.raises(ConfigError, match="the array processor gives features alone. Set processor=generative_text"):
        PackedTexts(ArrayProcessor([2]), [[1, 2]])

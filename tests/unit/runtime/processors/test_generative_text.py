"""Text to tokens and back: nothing is lost, and the same texts give the same vocabulary in every process."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from maas.errors import InputError
from maas.runtime.processors.generative_text import BYTES, END_OF_TEXT, GenerativeTextProcessor

TEXTS = ["In the beginning God created the heaven and the earth.", "And the earth was without form,\nand void;"] * 3
STRANGE = [
    "很好的文本 ½ é\u0301 🙂",
    "  two  blanks \t and\r\na line\n",
    END_OF_TEXT,
    f"a{END_OF_TEXT}b <0x41>",
    "\x00\u200b\ufeffx",
]
TRAINS = """
import numpy as np
from maas.runtime.processors.generative_text import GenerativeTextProcessor
random = np.random.default_rng(0)
words = ["".join(random.choice(list("abcdefghij"), size)) for size in random.integers(2, 9, 3000)]
texts = [" ".join(random.choice(words, 80)) for _ in range(300)]
print(GenerativeTextProcessor(vocabulary_size=3000).fit(texts).digest)
"""
"""Many pairs are equally frequent in such texts, so that any chance in the order of merges would show."""


@pytest.fixture(scope="module", params=["byte_pairs", "characters"])
def processor(request) -> GenerativeTextProcessor:
    return GenerativeTextProcessor(request.param, vocabulary_size=300, max_tokens=8, pad_multiple=4).fit(TEXTS)


@pytest.mark.parametrize("text", [*TEXTS[:2], *STRANGE])
def test_text_comes_back_when_its_tokens_are_read(processor, text):
    (tokens,) = processor.documents([text])
    assert tokens[0] == processor.end
    assert processor.end not in tokens[1:]
    assert tokens.max() < processor.tokens
    assert processor.text_of(tokens.tolist()) == text


def test_vocabulary_is_the_same_when_other_processes_learn_it():
    digests = set()
    for threads in ("1", "4"):
        environment = {**os.environ, "RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        done = subprocess.run(
            [sys.executable, "-c", TRAINS], capture_output=True, text=True, check=True, env=environment
        )
        digests.add(done.stdout)
    assert len(digests) == 1
    assert len(digests.pop().strip()) == len(hashlib.sha256().hexdigest())


def test_pairs_are_joined_when_they_are_frequent():
    processor = GenerativeTextProcessor(vocabulary_size=300).fit(TEXTS)
    assert len(processor.documents(TEXTS[:1])[0]) < len(TEXTS[0])
    assert processor.tokens <= 300


def test_characters_are_tokens_when_they_were_met_and_bytes_where_not():
    processor = GenerativeTextProcessor("characters", vocabulary_size=300).fit(TEXTS)
    assert processor.tokens == 1 + len(BYTES) + len(set("".join(TEXTS)))
    assert len(processor.documents(["the earth"])[0]) == 1 + 9
    assert len(processor.documents(["好"])[0]) == 1 + len("好".encode())


def test_commonest_characters_are_kept_when_there_is_no_room_for_all():
    processor = GenerativeTextProcessor("characters", vocabulary_size=1 + len(BYTES) + 2).fit(["aaabbbc", "cdd"])
    assert processor.tokens == 1 + len(BYTES) + 2
    assert processor.documents(["abc"])[0].tolist() == [0, 257, 258, 1 + ord("c")]


def test_end_of_a_prompt_is_kept_when_it_is_longer_than_the_context(processor):
    (whole,), (kept,) = processor.documents(TEXTS[:1]), processor.arrays(TEXTS[:1])
    np.testing.assert_array_equal(kept, whole[-8:])


def test_padding_stands_at_the_end_when_prompts_share_a_batch(processor):
    short, long = processor.preprocess(["a", "and the earth was"])
    tokens = processor.batch([short, long])["tokens"]
    assert tokens.shape == (2, 8)
    assert tokens.dtype == np.int64
    assert tokens[0].tolist() == [*short["token_ids"], *[processor.end] * (8 - len(short["token_ids"]))]


@pytest.mark.parametrize(("row", "reason"), [(3, "of type int"), ("", "an empty text"), ("\ud800", "surrogate")])
def test_document_is_refused_when_it_is_no_text(processor, row, reason):
    with pytest.raises(InputError, match=f"^Row 1 .*{reason}"):
        processor.documents(["a", row])

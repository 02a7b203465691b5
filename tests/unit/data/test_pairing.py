"""Pairs of texts as batches: both sides padded, the target of each token the one after it."""

import numpy as np
import pytest

from maas.data import preprocessed
from maas.data.datamodule import PairedDataset
from maas.data.packing import NO_TARGET
from maas.data.pairing import PairedTexts
from maas.data.splits import Split, prepare
from maas.errors import ConfigError, InputError
from maas.runtime.processors.generative_text import GenerativeTextProcessor
from maas.runtime.processors.translated_text import TranslatedTextProcessor

TEXTS, WANTED = ["ab", "cdefghi", "k"], ["xyz", "v", "wwwww"]
BYTE = 1
"""Id of byte 0; the others follow."""


def processor(max_tokens: int = 8) -> TranslatedTextProcessor:
    """Returns one whose tokens are bytes, so that they can be read."""
    return TranslatedTextProcessor("characters", vocabulary_size=257, max_tokens=max_tokens, pad_multiple=4).fit(TEXTS)


def shown(tokens: np.ndarray) -> str:
    """Returns tokens as text: | for the end of a text, . for no target."""
    return "".join({0: "|", NO_TARGET: "."}.get(token) or chr(token - BYTE) for token in tokens.tolist())


def test_target_is_the_token_after_each_one_when_pairs_are_taken():
    pairs = PairedTexts(processor(), TEXTS, WANTED).take(range(3))
    assert list(map(shown, pairs.source)) == ["|ab|||||", "|cdefghi", "|k||||||"]
    assert list(map(shown, pairs.tokens)) == ["|xyz||", "|v||||", "|wwwww"]
    assert list(map(shown, pairs.targets)) == ["xyz|..", "v|....", "wwwww|"]
    assert {one.dtype for one in pairs} == {np.dtype(np.int64)}


def test_pair_is_no_longer_than_it_is_when_it_is_taken_alone():
    pairs = PairedTexts(processor(), TEXTS, WANTED).take([1, 0][1:])
    assert (shown(pairs.source[0]), shown(pairs.tokens[0]), shown(pairs.targets[0])) == ("|ab|", "|xyz", "xyz|")


def test_pairs_are_the_same_when_they_are_not_kept_in_memory(monkeypatch):
    kept = PairedTexts(processor(), TEXTS, WANTED)
    monkeypatch.setattr(preprocessed, "KEPT_BYTES", 0)
    again = PairedTexts(processor(), TEXTS, WANTED)
    for one, other in zip(kept.take([2, 1]), again.take([2, 1]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_batch_has_both_sides_when_rows_are_read():
    rows = PairedDataset(Split(TEXTS, np.array(WANTED, dtype=object)), processor())
    batch = rows[[0, 2]]
    assert {name: tuple(one.shape) for name, one in batch.inputs.items()} == {"source": (2, 4), "tokens": (2, 6)}
    np.testing.assert_array_equal(batch.targets, rows.targets_of(np.array([0, 2])))
    assert batch.rows.tolist() == [0, 2]
    assert rows.keys.tolist() == [8, 12, 12]


def test_texts_come_back_when_their_tokens_are_read():
    made = TranslatedTextProcessor(vocabulary_size=300, max_tokens=64).fit(["naïve 很好 12:30", "很好"] * 3)
    for text in ("很好 naïve", "12 🙂 <|endoftext|>", " a  b "):
        assert made.text_of(made.arrays([text])[0].tolist()) == text


def test_digits_and_han_characters_stay_alone_when_pairs_are_joined():
    made = TranslatedTextProcessor(vocabulary_size=600, max_tokens=64).fit(["星期三下午 3205 Wednesday afternoon"] * 9)
    assert len(made.arrays(["星期三下午"])[0]) == 1 + 5
    assert len(made.arrays(["3205"])[0]) == 1 + 4
    assert len(made.arrays([" Wednesday afternoon"])[0]) == 1 + 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a", "abcdefgh"], r"Row 1 has 9 tokens; the model takes 8 tokens, the beginning among them\. Give shorter"),
        (["a" * 300], r"Row 0 has 300 characters; the model takes 8 tokens"),
    ],
)
def test_text_is_refused_and_not_cut_when_it_is_too_long(rows, message):
    with pytest.raises(InputError, match=message):
        processor().preprocess(rows)


def test_wanted_text_is_named_when_it_is_too_long():
    with pytest.raises(InputError, match=r"Row 1 has 10 tokens; .* It is a text that the net should give\."):
        PairedTexts(processor(), TEXTS[:2], ["a", "abcdefghi"])


def test_processor_is_refused_when_it_reads_no_pairs():
    with pytest.raises(ConfigError, match=r"the generative_text processor gives tokens alone\. Set processor=trans"):
        PairedTexts(GenerativeTextProcessor().fit(TEXTS), TEXTS, WANTED)


def test_pairs_of_one_text_stay_together_when_it_has_two_translations():
    table = {"input": [f"text {index // 2}" for index in range(400)], "label": [f"{index}" for index in range(400)]}
    splits = prepare({"all": table}, target="text")
    texts = [set(split.inputs) for split in (splits.train, splits.validation, splits.test)]
    assert not texts[0] & texts[1] | texts[0] & texts[2] | texts[1] & texts[2]
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 400


def test_rows_without_a_text_to_give_are_left_out_when_they_are_prepared():
    table = {"input": ["a", "b", "c", "d", "d"], "label": ["x", None, " ", "z ", "z"]}
    held_out = {"validation": {"input": ["v"], "label": ["w"]}, "test": {"input": ["t"], "label": ["u"]}}
    splits = prepare({"train": table, **held_out}, target="text")
    assert list(zip(splits.train.inputs, splits.train.targets, strict=True)) == [("a", "x"), ("d", "z")]
    assert splits.record.removed == {"empty": 2, "repeated": 1}


def test_fingerprint_is_another_one_when_a_target_is():
    def fingerprint(last):
        table = {"input": list("abcdefghij"), "label": [*"klmnopqrs", last]}
        return prepare({"all": table}, target="text").record.fingerprint

    assert fingerprint("t") == fingerprint("t") != fingerprint("u")

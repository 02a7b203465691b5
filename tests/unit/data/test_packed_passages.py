"""Conversations packed whole: every answer once, behind its prompt, in a document of its own."""

import logging

import numpy as np
import pytest

from maas.data.packed_passages import OPEN_SEQUENCES, PackedPassages, packed, packed_of
from maas.data.packing import NO_TARGET, PackedTexts
from maas.errors import InputError
from maas.runtime.processors.conversation import ConversationProcessor
from maas.runtime.processors.generative_text import GenerativeTextProcessor


def asked(prompt: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]


ROWS = [asked("ab", "cd"), asked("e", "fghij"), asked("klm", "n"), asked("o", "p")]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def processor():
    """Tokens are bytes; | ends an answer."""

    def make(max_tokens: int) -> ConversationProcessor:
        end = ConversationProcessor()._tokenizer.token_to_id("|")
        return ConversationProcessor(max_tokens, end_tokens=[end])

    return make


def shown(processor: ConversationProcessor, tokens: np.ndarray) -> str:
    """Returns tokens as text: . for no target."""
    return "".join("." if one == NO_TARGET else processor._tokenizer.decode([one]) for one in tokens.tolist())


def test_rows_share_a_sequence_in_documents_of_their_own_when_they_fit(processor):
    made = processor(9)
    packed_rows = PackedPassages(made, ROWS)
    sequences = packed_rows.take(range(len(packed_rows)))
    assert [shown(made, row[documents > 0]) for row, documents in zip(*sequences[:2], strict=True)] == [
        "abcdklmn", "efghijop",
    ]  # fmt: skip
    assert [shown(made, row) for row in sequences.targets] == [".cd|..n|.", "fghij|p|."]
    assert sequences.documents.tolist() == [[1, 1, 1, 1, 2, 2, 2, 2, 0], [1, 1, 1, 1, 1, 1, 2, 2, 0]]


def test_every_answer_is_a_target_once_when_sequences_have_any_length(processor):
    for length in (7, 9, 20, 100):
        made = processor(length)
        packed_rows = PackedPassages(made, ROWS)
        sequences = packed_rows.take(np.arange(len(packed_rows)))
        wanted = sequences.targets[sequences.targets != NO_TARGET]
        assert sorted(shown(made, wanted)) == sorted("cd|fghij|n|p|")
        assert sequences.tokens.shape == sequences.documents.shape == sequences.targets.shape
        for tokens, documents, targets in zip(*sequences, strict=True):
            for number in set(documents.tolist()) - {0}:
                own = np.flatnonzero(documents == number)
                assert own.tolist() == list(range(own[0], own[-1] + 1)), "tokens of a document stand together"
                text = shown(made, tokens[own])
                prompt, answer = next(
                    (p["content"], a["content"]) for p, a in ROWS if p["content"] + a["content"] == text
                )
                assert shown(made, targets[own]) == "." * (len(prompt) - 1) + answer + "|"
            assert (targets[documents == 0] == NO_TARGET).all()


def test_end_of_a_conversation_is_kept_when_it_is_longer_than_a_sequence(processor, caplog):
    made = processor(4)
    with caplog.at_level(logging.INFO, "maas"):
        sequences = PackedPassages(made, [asked("abcdef", "gh")]).take([0])
    assert shown(made, sequences.tokens[0]) == "efgh"
    assert shown(made, sequences.targets[0]) == ".gh|"
    assert "1 of 1 rows are conversations cut to their last 4 tokens" in caplog.text


def test_text_is_cut_into_pieces_when_it_is_longer_than_a_sequence(processor):
    made = processor(4)
    packed_rows = PackedPassages(made, ["abcdefghi"])
    sequences = packed_rows.take(range(len(packed_rows)))
    assert [shown(made, row) for row in sequences.targets] == ["bcde", "fghi", "|..."]


def test_rows_are_not_read_again_when_they_lie_in_the_cache(processor, monkeypatch):
    first = PackedPassages(processor(9), ROWS).take([0]).tokens
    monkeypatch.setattr(ConversationProcessor, "passages", lambda *_: pytest.fail("tokenised again"))
    np.testing.assert_array_equal(PackedPassages(processor(9), ROWS).take([0]).tokens, first)


def test_row_is_named_when_it_is_no_conversation(processor):
    with pytest.raises(InputError, match=r"^Row 1 is of type int; give a text, or a list of messages"):
        PackedPassages(processor(9), [ROWS[0], 3])


def test_texts_are_joined_and_cut_when_their_processor_does_not_keep_them_whole(processor):
    texts = ["ab", "cd"]
    joined = GenerativeTextProcessor("characters", vocabulary_size=257, max_tokens=3).fit(texts)
    assert isinstance(packed_of(joined, texts), PackedTexts)
    assert isinstance(packed_of(processor(3), texts), PackedPassages)


def test_no_sequence_is_overfull_when_many_pieces_are_packed():
    sizes = np.random.default_rng(0).integers(1, 50, 3000).tolist()
    sequences = packed(sizes, 100)
    assert sorted(number for sequence in sequences for number in sequence) == list(range(3000))
    filled = [sum(sizes[number] for number in sequence) for sequence in sequences]
    assert max(filled) <= 100
    assert sum(sizes) / (100 * len(sequences)) > 0.95
    assert len(sequences) > OPEN_SEQUENCES

"""Whole rows as tokens: prompts as the generator reads them, and the answers, up to their ends, to be predicted."""

import numpy as np
import pytest

from maas.errors import InputError
from maas.runtime.generation.chat import ChatTemplate
from maas.runtime.generation.passages import PassageReader, exercise_of, predicted_text

ASKED = [{"role": "system", "content": "be short"}, {"role": "user", "content": "the model?"}]
FIRST = {"role": "assistant", "content": "a prompt 这是"}
MORE = [{"role": "user", "content": "and?"}, {"role": "assistant", "content": "1 2 3"}]


def shown(generator, passage) -> tuple[str, str]:
    """Returns what is given and what is to be predicted, as texts, special tokens among them."""
    decode = generator.tokenizer.decode
    parts = (passage.tokens[~passage.is_predicted], passage.tokens[passage.is_predicted])
    return tuple(decode(part.tolist(), skip_special_tokens=False) for part in parts)


def test_text_is_predicted_up_to_its_end_when_it_is_read(generator):
    passage = generator.passage("the model reads")
    assert passage.tokens[:-1].tolist() == generator.encode("the model reads").tolist()
    assert (passage.tokens[-1], passage.is_text) == (0, True)
    assert passage.is_predicted.tolist() == [False] + [True] * (len(passage.tokens) - 1)


def test_prompt_has_the_tokens_that_the_generator_reads_when_a_conversation_is_answered(generator):
    passage = generator.passage([*ASKED, FIRST])
    prompt = generator.encode(ASKED).tolist()
    assert passage.tokens[: len(prompt)].tolist() == prompt
    assert not passage.is_predicted[: len(prompt)].any()
    given, predicted = shown(generator, passage)
    assert given.endswith("<|start|>assistant\n\n")  # and what stands after the end
    assert predicted == "a prompt 这是<|end|>"
    assert not passage.is_text


def test_every_answer_is_predicted_when_there_are_several(generator):
    passage = generator.passage([*ASKED, FIRST, *MORE])
    assert shown(generator, passage)[1] == "a prompt 这是<|end|>1 2 3<|end|>"
    later = generator.encode([*ASKED, FIRST, MORE[0]]).tolist()
    assert passage.tokens[: len(later)].tolist() == later


def test_contents_follow_each_other_when_there_is_no_template(generator):
    passage = PassageReader(generator.tokenizer, None, (0,)).read([{"role": "user", "content": "the "}, FIRST])
    assert shown(generator, passage) == ("the ", "a prompt 这是<|end|>")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ASKED, "The conversation has no answer; give it a message of the role assistant."),
        ([{"role": "user"}], "Message 0 lacks role or content"),
    ],
    ids=["no answer", "no content"],
)
def test_conversation_is_refused_when_it_cannot_be_learnt(generator, row, message):
    with pytest.raises(InputError, match=message):
        generator.passage(row)


def test_template_is_refused_when_it_writes_the_beginning_anew(generator):
    last_alone = ChatTemplate("{{ messages[-1]['content'] if messages else '' }}{{ messages|length }}", {})
    with pytest.raises(InputError, match="does not write an answer after its prompt"):
        PassageReader(generator.tokenizer, last_alone, (0,)).read([*ASKED, FIRST])


def test_answers_are_what_is_counted_and_asked_for_when_a_row_is_a_conversation():
    row = [*ASKED, FIRST, *MORE]
    assert predicted_text(row) == "a prompt 这是1 2 3"
    assert exercise_of(row) == ([*ASKED, FIRST, MORE[0]], "1 2 3")
    assert (predicted_text("text"), exercise_of("text"), exercise_of(ASKED)) == ("text", None, None)


def test_first_token_is_never_predicted_when_nothing_stands_before_an_answer(generator):
    passage = PassageReader(generator.tokenizer, None, (0,)).read([FIRST])
    assert not passage.is_predicted[0]
    assert np.all(passage.is_predicted[1:])

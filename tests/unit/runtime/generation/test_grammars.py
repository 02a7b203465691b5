"""Texts of a required form: valid whatever the model prefers, the same whoever shares the batch, or refused at once."""

import contextlib
import json
import re

import jsonschema
import numpy as np
import pytest

from maas.errors import InputError
from maas.runtime.generation import grammars
from maas.runtime.generation.grammars import Grammars, grammar_source
from maas.runtime.generation.settings import GenerationSettings, generation_settings

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "kind": {"enum": ["cat", "dog", "鸟"]},
        "tags": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
    },
    "required": ["name", "age", "kind", "tags"],
    "additionalProperties": False,
}
SAMPLED = {"temperature": 1.0, "max_tokens": 100}


def generate(generator, prompts, **settings):
    return generator.generate(prompts, generation_settings(settings))


@pytest.fixture(scope="module")
def compiled(generator) -> Grammars:
    return Grammars(generator.tokenizer, generator.decoder.vocabulary_size, [0])


def test_hundred_of_hundred_texts_are_valid_when_the_schema_bounds_them(generator):
    texts = [generate(generator, ["the"], schema=SCHEMA, seed=seed, **SAMPLED)[0] for seed in range(100)]
    assert {text.finish_reason for text in texts} == {"stop"}
    for text in texts:
        jsonschema.validate(json.loads(text.text), SCHEMA)
    assert len({text.text for text in texts}) > 90


@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {"temperature": 1.0, "seed": 4}], ids=str)
def test_text_matches_its_regular_expression_when_one_is_given(generator, settings):
    (text,) = generate(generator, ["a"], regex=r"[A-C]{3}-\d{2,4}(是|不)", max_tokens=60, **settings)
    assert re.fullmatch(r"[A-C]{3}-[0-9]{2,4}(是|不)", text.text, re.ASCII) or not text.text.isascii()
    assert re.fullmatch(r"[A-C]{3}-\d{2,4}(是|不)", text.text)
    assert text.finish_reason == "stop"


def test_text_is_one_of_the_choices_when_they_are_given(generator):
    choice = ['say "yes"', "不\n是", "no\\way"]
    texts = {generate(generator, ["a"], choice=choice, seed=seed, **SAMPLED)[0].text for seed in range(30)}
    assert texts == set(choice)


def test_choice_of_greatest_probability_is_drawn_by_its_tokens_when_all_begin_differently(generator):
    """The first tokens alone decide between `x…` and `y…`: their odds are those of the model."""
    logits = np.zeros(generator.decoder.vocabulary_size, np.float32)
    first = [generator.tokenizer.encode(letter).ids[0] for letter in "xy"]
    logits[first] = np.log([0.25, 0.75])
    drawn = [_first_token(generator, logits, seed) for seed in range(400)]
    assert set(drawn) == set(first)
    assert 0.65 < drawn.count(first[1]) / 400 < 0.85


def _first_token(generator, logits, seed: int) -> int:
    settings = generation_settings({"choice": ["x", "y"], "temperature": 1.0, "seed": seed})
    return generator.begin("a", settings).advance(logits).chosen.token


def test_texts_equal_those_alone_when_forms_and_free_texts_share_a_batch(generator):
    forms = [{"schema": SCHEMA}, {}, {"regex": "[a-f]{4,20}"}, {}, {"choice": ["left", "right"]}, {"schema": SCHEMA}]
    given = [generation_settings({**form, **SAMPLED, "seed": at}) for at, form in enumerate(forms)]
    alone = [generator.generate(["the model"], settings)[0].text for settings in given]
    texts = [generator.begin("the model", settings) for settings in given]
    found = dict.fromkeys(map(id, texts), "")
    for text, piece in generator._pieces(texts):
        found[id(text)] += piece.text
    assert list(found.values()) == alone


def test_text_ends_with_its_last_token_when_nothing_may_follow(generator):
    (text,) = generate(generator, ["a"], choice=["x"], max_tokens=5)
    assert (text.text, len(text.tokens), text.finish_reason) == ("x", 1, "stop")
    (text,) = generate(generator, ["a"], choice=["x"], max_tokens=1, ignore_end=True)
    assert (text.text, text.finish_reason) == ("x", "stop")


def test_text_is_cut_when_the_most_tokens_come_before_its_end(generator):
    (text,) = generate(generator, ["a"], regex="[a-z]{50}", max_tokens=3)
    assert text.finish_reason == "length"
    assert re.fullmatch("[a-z]+", text.text)


def test_settings_hold_for_allowed_tokens_alone_when_there_is_a_form(generator):
    settings = {"regex": "[ab]{30}", "top_k": 1, "temperature": 1.0, "repetition_penalty": 1.5, "max_tokens": 40}
    (text,) = generate(generator, ["a"], **settings, min_p=0.5, logit_bias={0: 100}, logprobs=2)
    assert re.fullmatch("[ab]{30}", text.text)
    assert all(one.logprob < 0 for one in text.chosen)


@pytest.mark.parametrize(
    ("form", "cause"),
    [
        ({"schema": {"type": "object", "uniqueItems": 3, "not": {"type": "string"}}}, "form: Unimplemented keys"),
        ({"schema": {"$ref": "https://example.com/schema"}}, "form: .*example.com"),
        ({"schema": {"type": "objekt"}}, "form: .*objekt"),
        ({"schema": {"type": "string", "minLength": 3, "maxLength": 2}}, "form: "),
        ({"regex": "(a"}, "form: "),
        ({"regex": "(?=a)b"}, "form: "),
        ({"regex": "a", "choice": ["b"]}, "A text has one form, and regex and choice are given; give one of them."),
        ({"choice": ["a", ""]}, "choice holds an empty text"),
        ({"schema": "object"}, "Expected `object | null`, got `str`"),
    ],
    ids=str,
)
def test_form_is_refused_in_one_line_when_it_cannot_be_done(generator, form, cause):
    with pytest.raises(InputError, match=cause) as caught:
        generate(generator, ["the"], **form)
    assert "\n" not in str(caught.value)


HARD = {
    "repeats": {"regex": "((a{1,100}){1,100}){1,100}"},
    "wide": {"schema": {"type": "object", "properties": {f"p{at}": {"type": "string"} for at in range(3000)}}},
    "deep": {"schema": json.loads('{"items":' * 200 + "{}" + "}" * 200)},
    "many": {"choice": [f"{at:05}" * 3 for at in range(20_000)]},
    "ambiguous": {"regex": "(a|a|aa)*" * 20},
}


@pytest.mark.parametrize("case", HARD)
def test_work_is_bounded_when_a_form_is_hard(compiled, case):
    settings = GenerationSettings(**HARD[case])
    state = None
    with contextlib.suppress(InputError):
        state = compiled.begin(settings)
    if state is not None:
        allowed = np.isfinite(state.masked(np.zeros(compiled._size, np.float32)))
        assert 0 < allowed.sum() < len(allowed)


def test_text_is_cut_when_a_token_takes_too_much_work(generator, monkeypatch):
    monkeypatch.setattr(grammars, "LIMITS", grammars.LLParserLimits(step_max_items=1, verbose_errors=False))
    monkeypatch.delitem(generator.__dict__, "_grammars", raising=False)
    (text,) = generate(generator, ["a"], schema=SCHEMA, max_tokens=50)
    assert (text.text, text.finish_reason) == ("", "length")
    (other,) = generate(generator, ["a"], max_tokens=5, ignore_end=True)
    assert len(other.tokens) == 5


def test_grammars_are_kept_up_to_a_number_when_many_are_used(compiled, monkeypatch):
    monkeypatch.setattr(grammars, "KEPT_GRAMMARS", 3)
    for letter in "abcab":
        compiled.begin(GenerationSettings(regex=letter))
    compiled.begin(GenerationSettings(regex="d"))
    kept = [grammar_source(GenerationSettings(regex=letter)) for letter in "abd"]
    assert set(compiled._kept) == set(kept)
    compiled.begin(GenerationSettings(choice=("x" * grammars.LONGEST_KEPT,)))
    assert set(compiled._kept) == set(kept)


def test_extra_is_named_when_its_package_is_missing(generator, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "maas.runtime.generation.grammars", None)
    monkeypatch.delitem(generator.__dict__, "_grammars", raising=False)
    with pytest.raises(InputError, match="llguidance, which is not installed here: pip install 'maas\\[generate\\]'"):
        generate(generator, ["a"], regex="a")

"""Probabilities become a label with its score."""

import numpy as np
import pytest

from maas.errors import BundleError
from maas.runtime.answers import load_answer
from maas.runtime.answers.classification import Answer

OUTPUTS = {"probabilities": np.array([[0.1, 0.7, 0.2], [0.4, 0.2, 0.4], [0.0, 0.0, 1.0]], dtype=np.float32)}


@pytest.fixture
def answer() -> Answer:
    return Answer(["a", "b", "c"])


def test_answer_is_the_most_probable_label_when_rows_are_answered(answer):
    found = answer.answers(OUTPUTS)
    assert [one["label"] for one in found] == ["b", "a", "c"]
    assert [one["score"] for one in found] == pytest.approx([0.7, 0.4, 1.0])
    assert all(type(one["score"]) is float for one in found)


def test_first_label_wins_when_two_are_equally_probable(answer):
    assert answer.answers(OUTPUTS)[1]["label"] == "a"


def test_tensors_fit_their_specs_when_rows_are_answered(answer):
    tensors = answer.tensors(OUTPUTS)
    assert [spec.name for spec in answer.specs] == list(tensors)
    assert all(spec.matches(tensors[spec.name]) for spec in answer.specs)
    assert tensors["label"].tolist() == ["b", "a", "c"]


def test_predictions_are_the_probabilities_when_numbers_are_wanted(answer):
    assert answer.predictions(OUTPUTS) is OUTPUTS["probabilities"]


def test_answer_is_the_same_when_it_is_rebuilt_from_its_record(answer):
    again = load_answer(answer.record())
    assert again.answers(OUTPUTS) == answer.answers(OUTPUTS)
    assert again.record() == {"kind": "classification", "labels": ["a", "b", "c"]}


@pytest.mark.parametrize("kind", ["base", "absent", None])
def test_known_kinds_are_listed_when_another_is_asked_for(kind):
    with pytest.raises(BundleError) as caught:
        load_answer({"kind": kind})
    assert str(caught.value) == (
        f"The answer's kind is {kind!r}; this version of maas knows classification, embedding, regression. "
        "Upgrade maas."
    )


def test_settings_are_shown_when_the_answer_does_not_know_them():
    with pytest.raises(BundleError, match="classification"):
        load_answer({"kind": "classification", "colour": 1})

"""Probabilities become a label with its score."""

import numpy as np
import pytest

from maas.errors import BundleError
from maas.runtime.postprocessors import load_postprocessor
from maas.runtime.postprocessors.classification import ClassificationPostprocessor

OUTPUTS = {"probabilities": np.array([[0.1, 0.7, 0.2], [0.4, 0.2, 0.4], [0.0, 0.0, 1.0]], dtype=np.float32)}


@pytest.fixture
def postprocessor() -> ClassificationPostprocessor:
    return ClassificationPostprocessor(["a", "b", "c"])


def test_answer_is_the_most_probable_label_when_rows_are_answered(postprocessor):
    found = postprocessor.predictions(OUTPUTS)
    assert [one["label"] for one in found] == ["b", "a", "c"]
    assert [one["score"] for one in found] == pytest.approx([0.7, 0.4, 1.0])
    assert all(type(one["score"]) is float for one in found)


def test_first_label_wins_when_two_are_equally_probable(postprocessor):
    assert postprocessor.predictions(OUTPUTS)[1]["label"] == "a"


def test_tensors_fit_their_specs_when_rows_are_answered(postprocessor):
    tensors = postprocessor.tensors(OUTPUTS)
    assert [spec.name for spec in postprocessor.specs] == list(tensors)
    assert all(spec.matches(tensors[spec.name]) for spec in postprocessor.specs)
    assert tensors["label"].tolist() == ["b", "a", "c"]


def test_one_row_gives_what_it_gives_among_others(postprocessor):
    together, tensors = postprocessor.predictions(OUTPUTS), postprocessor.tensors(OUTPUTS)
    for row in range(3):
        alone = {"probabilities": OUTPUTS["probabilities"][row : row + 1]}
        assert postprocessor.predictions(alone) == together[row : row + 1]
        for name, array in postprocessor.tensors(alone).items():
            assert (array.dtype, array.shape) == (tensors[name].dtype, (1, *tensors[name].shape[1:]))
            np.testing.assert_array_equal(array, tensors[name][row : row + 1])


def test_predictions_are_the_probabilities_when_numbers_are_wanted(postprocessor):
    assert postprocessor.scores(OUTPUTS) is OUTPUTS["probabilities"]


def test_answer_is_the_same_when_it_is_rebuilt_from_its_record(postprocessor):
    again = load_postprocessor(postprocessor.record())
    assert again.predictions(OUTPUTS) == postprocessor.predictions(OUTPUTS)
    assert again.record() == {"kind": "classification", "labels": ["a", "b", "c"]}


@pytest.mark.parametrize("kind", ["base", "absent", None])
def test_known_kinds_are_listed_when_another_is_asked_for(kind):
    with pytest.raises(BundleError) as caught:
        load_postprocessor({"kind": kind})
    assert str(caught.value) == (
        f"The postprocessor's kind is {kind!r}; this version of maas knows classification, embedding, regression, "
        "transcription, translation. Upgrade maas, or, for a kind of your own, import the module that registers it: "
        "MAAS_KINDS=MODULE does so in every process."
    )


def test_settings_are_shown_when_the_answer_does_not_know_them():
    with pytest.raises(BundleError, match="classification"):
        load_postprocessor({"kind": "classification", "colour": 1})

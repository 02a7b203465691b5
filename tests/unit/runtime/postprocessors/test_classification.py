"""Probabilities become a label with its score."""

import numpy as np
import pytest

from maas.errors import BundleError
from maas.runtime.postprocessors import load_postprocessor
from maas.runtime.postprocessors.classification import ClassificationPostprocessor, thresholds_by_label

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
        f"The postprocessor's kind is {kind!r}; this version of maas knows classification, embedding, multilabel, "
        "recommendation, regression, transcription, translation. Upgrade maas, or, for a kind of your own, import the "
        "module that registers it: MAAS_KINDS=MODULE does so in every process."
    )


def test_settings_are_shown_when_the_answer_does_not_know_them():
    with pytest.raises(BundleError, match="classification"):
        load_postprocessor({"kind": "classification", "colour": 1})


TWO = {"probabilities": np.array([[0.8, 0.2], [0.6, 0.4], [0.7, 0.3]], dtype=np.float32)}


def test_second_label_is_predicted_when_its_probability_reaches_the_threshold():
    postprocessor = ClassificationPostprocessor(["no", "yes"], [0.35])
    found = postprocessor.predictions(TWO)
    assert [one["label"] for one in found] == ["no", "yes", "no"]
    assert [one["score"] for one in found] == pytest.approx([0.8, 0.4, 0.7])
    assert postprocessor.tensors(TWO)["label"].tolist() == ["no", "yes", "no"]
    for row in range(3):
        assert postprocessor.predictions({"probabilities": TWO["probabilities"][row : row + 1]}) == found[row : row + 1]
    assert thresholds_by_label(postprocessor) == {"yes": 0.35}
    assert load_postprocessor(postprocessor.record()).record() == {
        "kind": "classification",
        "labels": ["no", "yes"],
        "thresholds": [0.35],
    }


def test_largest_multiple_of_its_threshold_wins_when_each_label_has_one():
    postprocessor = ClassificationPostprocessor(["a", "b", "c"], [0.5, 0.8, 0.1])
    assert [one["label"] for one in postprocessor.predictions(OUTPUTS)] == ["c", "c", "c"]
    assert thresholds_by_label(postprocessor) == {"a": 0.5, "b": 0.8, "c": 0.1}


def test_labels_may_change_places_when_a_probability_is_at_its_threshold():
    golden, allowed = TWO["probabilities"].astype(float), np.full((3, 2), 1e-4)
    assert ClassificationPostprocessor(["no", "yes"], [0.30005]).ties(golden, allowed).tolist() == [False, False, True]
    assert ClassificationPostprocessor(["no", "yes"]).ties(golden, allowed).tolist() == [False, False, False]
    three = np.array([[0.2, 0.4, 0.4], [0.1, 0.8, 0.1]])
    found = ClassificationPostprocessor("abc", [0.1, 0.2, 0.9]).ties(three, np.full((2, 3), 1e-4))
    assert found.tolist() == [True, False]


@pytest.mark.parametrize(("labels", "thresholds"), [("ab", [0.5, 0.5]), ("abc", [0.5]), ("a", [0.5])])
def test_thresholds_are_refused_when_they_are_too_many_or_too_few(labels, thresholds):
    with pytest.raises(BundleError, match=f"it has {len(thresholds)} thresholds for {len(labels)} labels, which take"):
        load_postprocessor({"kind": "classification", "labels": list(labels), "thresholds": thresholds})


@pytest.mark.parametrize("threshold", [0, 1, "half"])
def test_threshold_is_refused_when_it_is_no_fraction(threshold):
    with pytest.raises(BundleError):
        load_postprocessor({"kind": "classification", "labels": ["a", "b"], "thresholds": [threshold]})

"""Probabilities become a set of labels."""

import numpy as np
import pytest

from maas.errors import BundleError
from maas.runtime.postprocessors import load_postprocessor
from maas.runtime.postprocessors.multilabel import MultilabelPostprocessor

OUTPUTS = {"probabilities": np.array([[0.9, 0.5, 0.1], [0.4, 0.3, 0.2]], dtype=np.float32)}


def test_labels_are_those_from_a_half_on_when_no_threshold_was_chosen():
    found = MultilabelPostprocessor(["a", "b", "c"]).predictions(OUTPUTS)
    assert [one["labels"] for one in found] == [["a", "b"], []]
    assert list(found[0]["scores"]) == ["a", "b", "c"]
    assert list(found[0]["scores"].values()) == pytest.approx([0.9, 0.5, 0.1])


def test_each_label_has_its_threshold_when_they_were_chosen():
    postprocessor = MultilabelPostprocessor(["a", "b", "c"], [0.95, 0.25, 0.15])
    assert [one["labels"] for one in postprocessor.predictions(OUTPUTS)] == [["b"], ["b", "c"]]
    assert postprocessor.tensors(OUTPUTS)["predicted"].tolist() == [[False, True, False], [False, True, True]]
    assert load_postprocessor(postprocessor.record()).predictions(OUTPUTS) == postprocessor.predictions(OUTPUTS)


def test_labels_may_come_and_go_when_a_probability_is_at_its_threshold():
    golden = OUTPUTS["probabilities"].astype(float)
    assert MultilabelPostprocessor("abc").ties(golden, np.full((2, 3), 1e-4)).tolist() == [True, False]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"labels": []}, "it has no labels"),
        ({"labels": ["a", "a"]}, "the label 'a' is there twice"),
        ({"labels": ["a", "b"], "thresholds": [0.5]}, "it has 1 thresholds for 2 labels"),
    ],
)
def test_settings_are_refused_when_they_mean_nothing(settings, words):
    with pytest.raises(BundleError, match=words):
        load_postprocessor({"kind": "multilabel", **settings})


def test_exchanged_labels_are_found_when_golden_inputs_are_predicted(tmp_path, bundles):
    import json

    import maas

    folder = bundles.multilabel_bundle(tmp_path / "bundle")
    assert maas.load(folder).predict([[16] * 64])[0].keys() == {"labels", "scores"}
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["postprocessor"]["labels"].reverse()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"predicts golden input 0 by .* its manifest was altered"):
        maas.load(folder).predict([[16] * 64])

"""What every kind of prediction keeps, over the files of runtime/postprocessors."""

import json
import pkgutil

import numpy as np
import pytest

from maas.records.signature import NUMPY_TYPES
from maas.runtime import postprocessors
from maas.runtime.postprocessors import Postprocessor, load_postprocessor
from maas.runtime.postprocessors.multilabel import MultilabelPostprocessor
from maas.runtime.rankings import Rankings

NAMES = sorted(module.name for module in pkgutil.iter_modules(postprocessors.__path__) if module.name != "base")
SAMPLES = {
    "classification": (
        {"labels": ["a", "b", "c"]},
        {"probabilities": np.random.default_rng(0).dirichlet([1, 1, 1], 5).astype(np.float32)},
    ),
    "multilabel": (
        {"labels": ["a", "b", "c"], "thresholds": [0.5, 0.3, 0.9]},
        {"probabilities": np.random.default_rng(0).random((5, 3)).astype(np.float32)},
    ),
    "embedding": ({"width": 3}, {"embedding": np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)}),
    "translation": (
        {},
        {
            "log_probability": np.array([-0.5, 0, -3.25, -1e-6, -40], dtype=np.float32),
            "translation": np.array(["yes", "好的", "", "a b", "🙂"], dtype=object),
        },
    ),
    "recommendation": (
        {"items": ["a", "b", "c"]},
        {
            "ranking": Rankings(
                np.array([[3, 2, 1], [3, 2, 0], [0, 0, 0], [1, 1, 1], [-1, -2, 0]], dtype=np.float32),
                np.array([[2, 0, 1], [1, 2, -1], [-1, -1, -1], [0, 1, 2], [1, 0, -1]]),
                np.array([1, 0, 3, 2, 9]),
            ).array()
        },
    ),
    "regression": ({}, {"value": np.array([0, 1.5, -2, 1e6, 3e-7], dtype=np.float32)}),
    "transcription": (
        {"characters": [" ", "a"]},
        {"probabilities": np.random.default_rng(0).dirichlet([1, 1, 1], (5, 4)).astype(np.float32)},
    ),
}
"""Settings and a graph's outputs of each kind; a new kind adds its own here."""


@pytest.fixture(params=NAMES)
def sample(request) -> tuple[Postprocessor, dict]:
    settings, outputs = SAMPLES[request.param]
    return load_postprocessor({"kind": request.param, **settings}), outputs


def test_answer_is_rebuilt_when_its_record_went_through_json(sample):
    postprocessor, outputs = sample
    again = load_postprocessor(json.loads(json.dumps(postprocessor.record())))
    assert type(again) is type(postprocessor)
    assert again.predictions(outputs) == postprocessor.predictions(outputs)
    assert type(postprocessor).__module__ == f"{postprocessors.__name__}.{postprocessor.kind}"


def test_answers_are_json_a_row_each_when_outputs_are_read(sample):
    postprocessor, outputs = sample
    found = postprocessor.predictions(outputs)
    assert len(found) == 5
    assert json.loads(json.dumps(found)) == found


def test_tensors_are_as_specified_when_outputs_are_read(sample):
    postprocessor, outputs = sample
    tensors = postprocessor.tensors(outputs)
    assert list(tensors) == [spec.name for spec in postprocessor.specs]
    for spec in postprocessor.specs:
        assert spec.shape[0] == -1
        assert spec.matches(tensors[spec.name])
        assert tensors[spec.name].dtype == NUMPY_TYPES[spec.datatype]


def test_tensors_and_answers_say_the_same_when_both_are_read(sample):
    postprocessor, outputs = sample
    tensors = postprocessor.tensors(outputs)
    for index, one in enumerate(postprocessor.predictions(outputs)):
        if isinstance(postprocessor, MultilabelPostprocessor):  # names are no tensors
            assert [name in one["labels"] for name in postprocessor.labels] == tensors["predicted"][index].tolist()
            assert tuple(one["scores"]) == postprocessor.labels
        said = {"probabilities": list(one["scores"].values())} if "scores" in one else one
        for name, value in said.items():
            ranked = [own["item"] for own in value] if name == "items" else value
            found = tensors[name][index][: len(ranked)] if name == "items" else tensors[name][index]
            np.testing.assert_array_equal(found, ranked)


def test_predictions_are_plain_numbers_a_row_each_when_outputs_are_read(sample):
    postprocessor, outputs = sample
    assert postprocessor.scores(outputs).ndim == 2
    assert postprocessor.scores(outputs).shape[0] == 5
    assert next(iter(outputs)) == postprocessor.output
    assert np.issubdtype(postprocessor.scores(outputs).dtype, np.number)

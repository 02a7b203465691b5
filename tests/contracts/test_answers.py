"""What every kind of answer keeps, over the files of runtime/answers."""

import json
import pkgutil

import numpy as np
import pytest

from maas.records.signature import NUMPY_TYPES
from maas.runtime import answers
from maas.runtime.answers import BaseAnswer, load_answer

NAMES = sorted(module.name for module in pkgutil.iter_modules(answers.__path__) if module.name != "base")
SAMPLES = {
    "classification": (
        {"labels": ["a", "b", "c"]},
        {"probabilities": np.random.default_rng(0).dirichlet([1, 1, 1], 5).astype(np.float32)},
    ),
    "embedding": ({"width": 3}, {"embedding": np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)}),
    "regression": ({}, {"value": np.array([0, 1.5, -2, 1e6, 3e-7], dtype=np.float32)}),
}
"""Settings and a graph's outputs of each kind; a new kind adds its own here."""


@pytest.fixture(params=NAMES)
def sample(request) -> tuple[BaseAnswer, dict]:
    settings, outputs = SAMPLES[request.param]
    return load_answer({"kind": request.param, **settings}), outputs


def test_answer_is_rebuilt_when_its_record_went_through_json(sample):
    answer, outputs = sample
    again = load_answer(json.loads(json.dumps(answer.record())))
    assert type(again) is type(answer)
    assert again.answers(outputs) == answer.answers(outputs)
    assert type(answer).__module__ == f"{answers.__name__}.{answer.kind}"


def test_answers_are_json_a_row_each_when_outputs_are_read(sample):
    answer, outputs = sample
    found = answer.answers(outputs)
    assert len(found) == 5
    assert json.loads(json.dumps(found)) == found


def test_tensors_are_as_specified_when_outputs_are_read(sample):
    answer, outputs = sample
    tensors = answer.tensors(outputs)
    assert list(tensors) == [spec.name for spec in answer.specs]
    for spec in answer.specs:
        assert spec.shape[0] == -1
        assert spec.matches(tensors[spec.name])
        assert tensors[spec.name].dtype == NUMPY_TYPES[spec.datatype]


def test_tensors_and_answers_say_the_same_when_both_are_read(sample):
    answer, outputs = sample
    tensors = answer.tensors(outputs)
    for index, one in enumerate(answer.answers(outputs)):
        for name, value in one.items():
            np.testing.assert_array_equal(tensors[name][index], value)


def test_predictions_are_plain_numbers_a_row_each_when_outputs_are_read(sample):
    answer, outputs = sample
    assert answer.predictions(outputs).ndim == 2
    assert answer.predictions(outputs).shape[0] == 5
    assert list(outputs) == [answer.output]
    assert np.issubdtype(answer.predictions(outputs).dtype, np.number)

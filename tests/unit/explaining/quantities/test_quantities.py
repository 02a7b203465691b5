"""The numbers that are explained, in closed form."""

import numpy as np
import pytest

from maas.errors import InputError
from maas.explaining.quantities import quantity_of
from maas.runtime.postprocessors import load_postprocessor

LABELS = [f"label{index}" for index in range(12)]


def of(kind: str, outputs: np.ndarray, label: str | None = None, **settings):
    postprocessor = load_postprocessor({"kind": kind, **settings})
    return quantity_of(postprocessor, {postprocessor.output: outputs[:1]}, label).values(
        {postprocessor.output: outputs}
    )


def test_log_odds_are_the_logit_when_labels_are_two():
    logits = np.array([-10.0, -1.0, 0.0, 0.5, 10.0])
    right = 1 / (1 + np.exp(-logits))
    probabilities = np.stack([1 - right, right], axis=1).astype(np.float32)
    np.testing.assert_allclose(of("classification", probabilities, "b", labels=["a", "b"]), logits, atol=2e-3)
    np.testing.assert_allclose(of("classification", probabilities, "a", labels=["a", "b"]), -logits, atol=2e-3)


def test_log_odds_are_against_all_others_when_labels_are_many():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(12), 5).astype(np.float32)
    found = of("classification", probabilities, "label3", labels=LABELS)
    np.testing.assert_allclose(found, np.log(probabilities[:, 3] / (1 - probabilities[:, 3])), atol=1e-5)


def test_log_odds_are_bounded_when_a_model_is_sure():
    found = of("classification", np.array([[1, 0], [0, 1]], dtype=np.float32), "a", labels=["a", "b"])
    np.testing.assert_allclose(found, [np.log(1e7), -np.log(1e7)])


def test_log_odds_are_the_bound_when_there_is_one_label():
    np.testing.assert_allclose(of("classification", np.ones((1, 1), np.float32), labels=["a"]), [np.log(1e7)])


def test_labels_are_listed_up_to_ten_when_one_is_unknown():
    with pytest.raises(InputError) as caught:
        of("classification", np.ones((1, 12)) / 12, "x", labels=LABELS)
    assert str(caught.value) == f"label is 'x'; the model knows 12 labels: {', '.join(LABELS[:10])}, …."


def test_value_is_itself_when_a_number_is_explained():
    found = of("regression", np.array([1.5, -2.0], dtype=np.float32))
    assert found.dtype == np.float64
    assert found.tolist() == [1.5, -2.0]


def test_cosine_is_to_the_first_when_vectors_are_explained():
    vectors = np.array([[3, 4], [4, -3], [-6, -8], [1, 0], [0, 0]], dtype=np.float32)
    np.testing.assert_allclose(of("embedding", vectors, width=2), [1, 0, -1, 0.6, 0], atol=1e-9)


def test_log_probability_is_of_the_first_rows_path_when_texts_are_explained():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), (4, 6)).astype(np.float32)
    path = probabilities[0].argmax(axis=1)
    expected = [np.log([row[frame, symbol] for frame, symbol in enumerate(path)]).sum() for row in probabilities]
    np.testing.assert_allclose(of("transcription", probabilities, characters=[" ", "a"]), expected, atol=1e-4)


def test_log_probability_is_bounded_a_frame_when_another_symbol_is_certain():
    found = of("transcription", np.eye(2, dtype=np.float32)[[[0, 0], [1, 1]]], characters=["a"])
    np.testing.assert_allclose(found, [0, 2 * np.log(1e-7)])


def test_log_odds_are_the_logit_of_each_label_by_itself_when_labels_are_a_set():
    logits = np.array([[-3.0, 0.5], [2.0, -1.0], [0.0, 4.0]])
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    np.testing.assert_allclose(of("multilabel", probabilities, "a", labels=["a", "b"]), logits[:, 0], atol=1e-5)
    np.testing.assert_allclose(of("multilabel", probabilities, labels=["a", "b"]), logits[:, 1], atol=1e-5)
    with pytest.raises(InputError, match="label is 'c'; the model knows 2 labels: a, b"):
        of("multilabel", probabilities, "c", labels=["a", "b"])

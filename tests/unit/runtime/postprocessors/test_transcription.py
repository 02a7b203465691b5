"""Frames become texts: repeats are one character, blanks none; the score is the probability of the path."""

from itertools import groupby, product

import numpy as np
import pytest

from maas.errors import BundleError
from maas.runtime.golden import Golden, compared_with_golden
from maas.runtime.postprocessors import load_postprocessor
from maas.runtime.postprocessors.transcription import TranscriptionPostprocessor, texts_of_paths

CHARACTERS = (" ", "a", "b")


def certain(*paths: str) -> np.ndarray:
    """Returns probabilities of 0 and 1; `-` is the blank."""
    symbols = ["-", *CHARACTERS]
    return np.eye(4, dtype=np.float32)[[[symbols.index(one) for one in path] for path in paths]]


def read(path: tuple[int, ...]) -> str:
    """Reads one path by the definition: repeats are joined first, then blanks left out."""
    text = "".join(CHARACTERS[symbol - 1] for symbol, _ in groupby(path) if symbol)
    return " ".join(text.split())


def test_every_path_is_read_by_the_definition_when_there_are_few_frames():
    paths = list(product(range(4), repeat=5))
    assert texts_of_paths(np.array(paths), CHARACTERS) == list(map(read, paths))


@pytest.mark.parametrize(
    ("path", "text"),
    [("aab-b", "abb"), ("-----", ""), ("  a  ", "a"), ("a - b", "a b"), ("a---a", "aa"), ("ab  b", "ab b")],
)
def test_text_is_the_likeliest_path_when_frames_are_certain(path, text):
    found = TranscriptionPostprocessor(CHARACTERS).predictions({"probabilities": certain(path)})
    assert found == [{"text": text, "score": 1.0}]


def test_score_is_the_probability_of_the_path_and_no_more_than_that_of_the_text():
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1, 3], (6, 5)).astype(np.float32)
    found = TranscriptionPostprocessor(CHARACTERS).predictions({"probabilities": probabilities})
    for row, one in zip(probabilities.astype(np.float64), found, strict=True):
        weights = {path: np.prod(row[np.arange(5), list(path)]) for path in product(range(4), repeat=5)}
        assert one["score"] == pytest.approx(max(weights.values()), rel=1e-5)
        assert one["score"] <= sum(weight for path, weight in weights.items() if read(path) == one["text"]) + 1e-6


def test_tensors_fit_their_specs_when_rows_are_answered():
    postprocessor, outputs = TranscriptionPostprocessor(CHARACTERS), {"probabilities": certain("ab", "--")}
    tensors = postprocessor.tensors(outputs)
    assert [spec.name for spec in postprocessor.specs] == list(tensors)
    assert all(spec.matches(tensors[spec.name]) for spec in postprocessor.specs)
    assert tensors["text"].tolist() == ["ab", ""]
    assert postprocessor.scores(outputs).shape == (2, 8)


def test_task_has_the_fields_name_when_it_is_asked_for():
    assert TranscriptionPostprocessor(CHARACTERS).task_of("audio") == "automatic-speech-recognition"


@pytest.mark.parametrize(
    ("characters", "cause"),
    [([], "it has no characters"), (["ab"], "'ab' is no single character"), (["a", "b", "a"], "'a' is there twice")],
)
def test_characters_are_refused_when_they_tell_nothing_apart(characters, cause):
    with pytest.raises(BundleError, match=cause):
        load_postprocessor({"kind": "transcription", "characters": characters})


def golden_of(outputs: dict[str, np.ndarray]) -> Golden:
    postprocessor = TranscriptionPostprocessor(CHARACTERS)
    return Golden([0], postprocessor.scores(outputs).tolist(), postprocessor.predictions(outputs))


def test_golden_text_is_another_when_characters_were_exchanged():
    outputs = {"probabilities": 0.9 * certain("ab") + 0.025}
    exchanged = TranscriptionPostprocessor([" ", "b", "a"])
    assert compared_with_golden(golden_of(outputs), TranscriptionPostprocessor(CHARACTERS), outputs, 1e-4)[1] == ""
    assert "by 'ba', and did by 'ab'" in compared_with_golden(golden_of(outputs), exchanged, outputs, 1e-4)[1]


def test_golden_text_may_change_when_two_symbols_of_a_frame_are_as_probable():
    outputs = {"probabilities": np.array([[[0.0, 0.0, 0.5 + 2e-5, 0.5 - 2e-5]]], dtype=np.float32)}
    turned = {"probabilities": outputs["probabilities"][..., [0, 1, 3, 2]]}
    assert compared_with_golden(golden_of(outputs), TranscriptionPostprocessor(CHARACTERS), turned, 1e-4)[1] == ""

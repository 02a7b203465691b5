"""Numbers are evaluated as by scikit-learn; intervals cover what they should."""

import random

import jiwer
import numpy as np
import pytest
from sklearn import metrics as reference

from maas.evidence.task_metrics import task_metrics_of


@pytest.fixture(params=[0.0, 1e4], ids=["around zero", "far from zero"])
def regression(request):
    random = np.random.default_rng(0)
    targets = (request.param + random.normal(0, 30, 2500)).astype(np.float32)
    return targets, (targets + random.normal(0, 9, 2500)).astype(np.float32)[:, None]


def test_r2_mae_and_rmse_equal_scikit_learns_when_values_are_evaluated(regression):
    targets, values = regression
    found = task_metrics_of("regression", ()).compute(targets, values)
    wide, plain = targets.astype(np.float64), values[:, 0].astype(np.float64)
    assert found["r2"].value == pytest.approx(reference.r2_score(wide, plain), abs=1e-9)
    assert found["mae"].value == pytest.approx(reference.mean_absolute_error(wide, plain), abs=1e-9)
    assert found["rmse"].value == pytest.approx(reference.root_mean_squared_error(wide, plain), abs=1e-9)


def test_interval_is_the_bootstraps_when_rows_are_drawn_one_by_one(regression):
    targets, values = regression
    found = task_metrics_of("regression", ()).compute(targets, values)["r2"]
    random = np.random.default_rng(5)
    drawn = [random.integers(0, len(targets), len(targets)) for _ in range(400)]
    samples = [reference.r2_score(targets[rows].astype(float), values[rows, 0].astype(float)) for rows in drawn]
    low, high = np.quantile(samples, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.15 * (high - low))
    assert found.high == pytest.approx(high, abs=0.15 * (high - low))


def test_drop_is_paired_when_parent_and_child_err_alike(regression):
    targets, values = regression
    task_metrics = task_metrics_of("regression", ())
    slightly = task_metrics.drop(targets, values, values + np.float32(0.01), "r2")
    alone = task_metrics.compute(targets, values)["r2"]
    assert slightly.high - slightly.low < 0.1 * 100 * (alone.high - alone.low)


def test_values_agree_when_they_lie_within_a_hundredth_of_their_spread():
    values = np.array([[0.0], [10.0], [20.0]], dtype=np.float32)
    moved = values + np.array([[0.05], [0.2], [0.0]], dtype=np.float32)
    assert task_metrics_of("regression", ()).agrees(values, moved).tolist() == [True, False, True]


def test_vectors_agree_when_their_cosine_is_near_one():
    vectors = np.array([[1.0, 0.0], [1.0, 0.0]])
    turned = np.array([[2.0, 0.2], [1.0, 0.2]])
    assert task_metrics_of("embedding", ()).agrees(vectors, turned).tolist() == [True, False]


def test_values_agree_by_their_spread_when_they_lie_far_from_zero():
    values = 1.7e9 + np.array([[-60.0], [0.0], [60.0]])  # a hundredth of their deviation is 0.49
    moved = values + np.array([[0.48], [-0.5], [0.0]])
    assert task_metrics_of("regression", ()).agrees(values, moved).tolist() == [True, False, True]


def test_values_agree_within_steps_of_float32_when_they_are_all_alike():
    values = np.full((2, 1), np.float32(12345.678))
    moved = np.array([[np.nextafter(values[0, 0], np.float32(2e4))], [12346.0]])
    assert task_metrics_of("regression", ()).agrees(values, moved).tolist() == [True, False]


CHARACTERS = tuple(" abcn")


@pytest.fixture
def transcripts():
    """300 texts, and two sets of scores: of the one a few characters are wrong, of the other some more."""
    draw = random.Random(0)
    words = ["a", "an", "cab", "can", "nab"]
    texts = np.array([" ".join(draw.choices(words, k=draw.randint(1, 6))) for _ in range(300)], dtype=object)
    task_metrics = task_metrics_of("transcription", CHARACTERS)

    def disturbed(scores: np.ndarray, count: int) -> np.ndarray:
        frames = scores.copy().reshape(len(scores), -1, 6)
        for _ in range(count):
            row, frame = draw.randrange(300), draw.randrange(frames.shape[1])
            frames[row, frame] = np.eye(6)[draw.randrange(6)]
        return frames.reshape(len(scores), -1)

    parent = disturbed(task_metrics.as_scores(texts), 200)
    return texts, parent, disturbed(parent, 60)


def test_error_rates_equal_jiwers_when_transcripts_are_evaluated(transcripts):
    texts, parent, _ = transcripts
    task_metrics = task_metrics_of("transcription", CHARACTERS)
    found, said = task_metrics.compute(texts, parent), task_metrics.texts(parent)
    assert found["wer"].value == pytest.approx(jiwer.wer(texts.tolist(), said), abs=1e-12)
    assert found["cer"].value == pytest.approx(jiwer.cer(texts.tolist(), said), abs=1e-12)
    assert found["word_accuracy"].value == pytest.approx(1 - found["wer"].value)
    assert found["exact_match"].value == np.mean(texts == np.array(said, dtype=object))


def test_error_rates_equal_jiwers_when_every_hypothesis_is_empty(transcripts):
    texts, parent, _ = transcripts
    task_metrics = task_metrics_of("transcription", CHARACTERS)
    silent = np.tile(np.eye(6)[0], (len(texts), parent.shape[1] // 6))
    found = task_metrics.compute(texts, silent)
    assert found["wer"].value == jiwer.wer(texts.tolist(), [""] * len(texts)) == 1
    assert found["cer"].value == jiwer.cer(texts.tolist(), [""] * len(texts)) == 1


def test_interval_of_the_error_rate_is_the_bootstraps_when_rows_are_drawn_one_by_one(transcripts):
    texts, parent, _ = transcripts
    task_metrics = task_metrics_of("transcription", CHARACTERS)
    found, said = task_metrics.compute(texts, parent)["wer"], task_metrics.texts(parent)
    generator = np.random.default_rng(5)
    samples = []
    for _ in range(200):
        rows = generator.integers(0, len(texts), len(texts)).tolist()
        samples.append(jiwer.wer([texts[row] for row in rows], [said[row] for row in rows]))
    low, high = np.quantile(samples, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.2 * (high - low))
    assert found.high == pytest.approx(high, abs=0.2 * (high - low))


def test_drop_of_word_accuracy_is_paired_when_parent_and_child_err_alike(transcripts):
    texts, parent, child = transcripts
    task_metrics = task_metrics_of("transcription", CHARACTERS)
    drop = task_metrics.drop(texts, parent, child, "word_accuracy")
    alone = task_metrics.compute(texts, parent)["word_accuracy"]
    assert drop.value > 0
    assert drop.low <= drop.value <= drop.high
    assert drop.high - drop.low < 100 * (alone.high - alone.low)
    rise = task_metrics.drop(texts, parent, child, "wer")
    assert (rise.value, rise.low, rise.high) == pytest.approx((drop.value, drop.low, drop.high))


def test_transcripts_agree_when_their_texts_are_the_same():
    task_metrics = task_metrics_of("transcription", CHARACTERS)
    scores = task_metrics.as_scores(np.array(["a cab", "can"], dtype=object))
    hesitant = 0.4 * scores + 0.1
    other = hesitant.copy()
    other[1] = hesitant[0]
    assert task_metrics.agrees(scores, hesitant).tolist() == [True, True]
    assert task_metrics.agrees(scores, other).tolist() == [True, False]
    assert task_metrics.slices(np.array(["a"], dtype=object), CHARACTERS, scores, scores) == []


def test_unknown_characters_are_errors_when_test_texts_have_them():
    task_metrics, texts = task_metrics_of("transcription", CHARACTERS), np.array(["a zab"], dtype=object)
    found = task_metrics.compute(texts, task_metrics.as_scores(texts))
    assert found["wer"].value == 0.5
    assert found["cer"].value == 0.2

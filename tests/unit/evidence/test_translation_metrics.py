"""chrF and BLEU beside sacrebleu, on texts of both languages that are right, wrong, empty and too short for n-grams."""

import numpy as np
import pytest
from sacrebleu import corpus_bleu, corpus_chrf

from maas.evidence.translation_metrics import translation_metrics

PAIRS = [
    ("The meeting starts on Wednesday.", "The meeting starts on Wednesday."),
    ("The train leaves at 3:20, on Friday.", "The train leaves at 3:25 on Friday."),
    ("我们星期三见面。", "我们星期四见面。"),
    ("她要求三千二百零五元。", "她要求三千二百零五元。"),
    ("I  need\ttwo books. ", "I need three books."),
    ("", "The answer is nought."),
    ("a", "b"),
    ("ab", "abc"),
    ("yes yes yes yes", "yes"),
    ("naïve “quoted” — 50%", "naïve 'quoted' - 50 %"),
]


def texts(pairs):
    return [one for one, _ in pairs], [one for _, one in pairs]


@pytest.mark.parametrize("count", [1, 3, len(PAIRS)])
@pytest.mark.parametrize("start", range(len(PAIRS)))
def test_metrics_are_those_of_sacrebleu_when_texts_are_compared(start, count):
    found, wanted = texts((PAIRS * 2)[start : start + count])
    metrics = translation_metrics(found, wanted)
    assert metrics["chrf"].value == pytest.approx(corpus_chrf(found, [wanted]).score, abs=1e-9)
    assert metrics["bleu"].value == pytest.approx(corpus_bleu(found, [wanted], tokenize="zh").score, abs=1e-9)
    assert metrics["exact_match"].value == np.mean([one == other for one, other in zip(found, wanted, strict=True)])


def test_intervals_hold_the_value_and_narrow_when_there_are_more_texts():
    few, many = translation_metrics(*texts(PAIRS)), translation_metrics(*texts(PAIRS * 20))
    for name in ("chrf", "bleu", "exact_match"):
        assert few[name].low <= few[name].value <= few[name].high
        assert many[name].high - many[name].low < few[name].high - few[name].low
    assert few == translation_metrics(*texts(PAIRS))


def test_metrics_are_best_when_all_texts_are_right():
    found = translation_metrics(texts(PAIRS)[1], texts(PAIRS)[1])
    for name in ("chrf", "bleu"):
        assert (found[name].value, found[name].low) == pytest.approx((100, 100))
    assert found["exact_match"].value == 1

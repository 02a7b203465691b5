"""What a user would pick instead."""

import numpy as np

from maas.data.splits import Split, Splits
from maas.evidence.baselines import tfidf_logistic
from maas.runtime.evidence import DataRecord


def test_baseline_tells_texts_apart_and_never_reads_test_targets_when_it_is_fitted():
    texts = [f"很好 {index}" if index % 2 else f"太差 {index}" for index in range(40)]
    train = Split(texts, np.arange(40) % 2)
    test = Split(["很好 很好", "太差了", "真的很好"], np.array([0, 0, 0]))
    splits = Splits(train, test, test, ("bad", "good"), DataRecord("", {}, {}))
    assert tfidf_logistic([1, 2])(splits).tolist() == [1, 0, 1]

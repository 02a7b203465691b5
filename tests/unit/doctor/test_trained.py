"""A model that finds the majority and nothing else."""

import numpy as np

from maas.doctor.trained import finding_of_predictions

TARGETS = np.array([0] * 27 + [1] * 3)
MAJORITY = np.tile([0.9, 0.1], (30, 1))


def test_label_is_named_when_it_is_predicted_for_all_rows():
    found = finding_of_predictions(MAJORITY, TARGETS, ["usual", "rare"])
    assert str(found).startswith(
        "warning: model: it predicts usual for all 30 validation rows, of which 90.0% are. Weigh rare labels "
    )


def test_nothing_is_found_when_one_row_is_predicted_otherwise():
    scores = MAJORITY.copy()
    scores[29] = [0.4, 0.6]
    assert finding_of_predictions(scores, TARGETS, ["usual", "rare"]) is None


def test_nothing_is_found_when_rows_are_few_of_one_label_or_numbers():
    assert finding_of_predictions(MAJORITY[:19], TARGETS[:19], ["usual", "rare"]) is None
    assert finding_of_predictions(MAJORITY, np.zeros(30, dtype=int), ["usual", "rare"]) is None
    assert finding_of_predictions(np.zeros((30, 1)), np.zeros(30), []) is None

"""The table of a sweep has the best trial first, whichever way is better."""

import pytest
from rich.console import Console

from maas.sweeping.closing import best_trial_of, table
from maas.sweeping.folder import TrialRecord

TRIALS = [
    TrialRecord(["optimizer.lr=0.1"], 0.4),
    TrialRecord(["optimizer.lr=0.2"], None, "it failed"),
    TrialRecord(["optimizer.lr=0.3"], 0.9),
    TrialRecord(["optimizer.lr=0.4"], 0.4),
]


@pytest.mark.parametrize(("metric", "best", "order"), [("accuracy", 2, "3 1 4 2"), ("log_loss", 0, "1 4 3 2")])
def test_best_trial_is_the_first_of_the_table_when_less_or_more_is_better(metric, best, order):
    assert best_trial_of(TRIALS, metric) is TRIALS[best]
    rows = table(TRIALS, ["optimizer.lr"], metric, "digits")
    console = Console(width=80)
    with console.capture() as captured:
        console.print(rows)
    numbers = [line.split("│")[1].strip() for line in captured.get().splitlines() if "│" in line and "0." in line]
    assert " ".join(numbers) == order

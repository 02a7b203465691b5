"""Whether an alias moves, on cases that are computed by hand."""

import numpy as np
import pytest

from maas.errors import DataError
from maas.evidence.task_metrics import task_metrics_of
from maas.lifecycle.registering import comparison_of
from maas.records.evidence import EVIDENCE_VERSION, DataRecord, Evidence, Interval, Machine
from maas.registry.promotion import Comparison, Decision, decide, decide_by, without_comparing


def comparison(value: float, low: float, high: float) -> Comparison:
    return Comparison("accuracy", 0.9 + value / 100, 0.9, Interval(value, low, high))


@pytest.mark.parametrize(
    ("gain", "margin", "moves"),
    [
        ((1.0, 0.1, 1.9), 1.0, True),  # surely better
        ((0.4, -0.9, 1.7), 1.0, True),  # better, and at worst nine tenths of a point worse
        ((0.4, -1.0, 1.8), 1.0, False),  # the lower end is the margin itself
        ((0.4, -0.9, 1.7), 0.5, False),
        ((-0.1, -0.2, 0.0), 1.0, False),  # within the margin, but the value itself is lower
        ((0.0, -0.3, 0.3), 1.0, True),
        ((0.0, 0.0, 0.0), 0.0, True),  # the same predictions: no margin is touched
        ((0.1, 0.0, 0.2), 0.0, False),
        ((0.2, 0.1, 0.3), 0.0, True),
    ],
)
def test_alias_moves_as_value_and_interval_say_when_the_version_is_newer(gain, margin, moves):
    assert decide_by(comparison(*gain), version=2, champion=1, margin=margin).moves is moves


@pytest.mark.parametrize(
    ("gain", "moves"), [((0.0, 0.0, 0.0), False), ((0.0, -0.3, 0.3), False), ((0.2, 0.1, 0.3), True)]
)
def test_older_version_takes_the_alias_back_only_when_it_is_better(gain, moves):
    assert decide_by(comparison(*gain), version=1, champion=2, margin=1.0).moves is moves


def test_reason_holds_values_and_interval_when_the_alias_stays():
    decision = decide_by(comparison(0.4, -1.25, 2.05), version=3, champion=2, margin=1.0)
    assert decision.why == (
        "accuracy 0.9040 against 0.9000 of version 2, +0.40 percentage points [-1.25, +2.05]; it may be worse by 1 "
        "percentage points or more. Set registry.margin, or registry.promote=always to move it all the same"
    )


@pytest.mark.parametrize(
    ("champion", "promote", "metric", "decision"),
    [
        (3, "never", "accuracy", Decision(True, "it does already")),
        (2, "always", "accuracy", Decision(True, "promote is always")),
        (2, "never", "accuracy", Decision(False, "promote is never")),
        (None, "not_worse", "accuracy", Decision(True, "there is no other version to compare with")),
        (2, "not_worse", None, Decision(True, "there is no metric to compare with version 2 by")),
        (4, "not_worse", None, Decision(False, "there is no metric to compare with version 4 by")),
        (2, "not_worse", "accuracy", None),
    ],
)
def test_decision_needs_no_numbers_when_rule_or_versions_settle_it(champion, promote, metric, decision):
    assert without_comparing(version=3, champion=champion, promote=promote, metric=metric) == decision


def evidence(fingerprint: str) -> Evidence:
    machine = Machine("cpu", 2, 1, "Linux", "3.11", "1")
    return Evidence(EVIDENCE_VERSION, "", "2026", machine, DataRecord(fingerprint, {}, {}), {}, (), None, {})


def refuse() -> Comparison:
    raise DataError("their labels differ.")


@pytest.mark.parametrize(
    ("old", "compare", "why"),
    [
        (None, lambda: comparison(1, 1, 1), "the bundle of version 1 cannot be opened"),
        (evidence("others"), lambda: comparison(1, 1, 1), "version 1 was measured on other rows"),
        (evidence("rows"), None, "there are no rows to compare with version 1 on"),
        (evidence("rows"), refuse, "version 1 cannot be compared: their labels differ"),
    ],
)
def test_alias_stays_with_the_reason_when_two_pieces_of_evidence_cannot_be_comparison_of(old, compare, why):
    decision = decide(evidence("rows"), old, compare, version=2, champion=1, margin=1.0)
    assert decision == Decision(False, f"{why}; to move it all the same set registry.promote=always")


def test_decision_holds_the_interval_when_two_pieces_of_evidence_are_comparison_of():
    rows = evidence("rows")
    decision = decide(rows, rows, lambda: comparison(0.4, -0.2, 1.0), version=2, champion=1, margin=1.0)
    assert (decision.moves, decision.gain) == (True, Interval(0.4, -0.2, 1.0))


def one_hot(labels: np.ndarray) -> np.ndarray:
    return np.eye(2, dtype=np.float32)[labels]


@pytest.mark.parametrize(
    ("won", "lost", "moves"),
    [(50, 50, True), (100, 100, False), (60, 40, True), (130, 120, False), (40, 60, False)],
)
def test_paired_interval_is_mc_nemars_when_two_bundles_answer_2000_rows(won, lost, moves):
    """Of 2,000 rows `won` are right now and were wrong, `lost` the other way; (won − lost)/N has the variance
    (won + lost − (won − lost)²/N)/N²."""
    targets = np.arange(2000) % 2
    new, old = targets.copy(), targets.copy()
    new[:lost] = 1 - new[:lost]
    old[lost : lost + won] = 1 - old[lost : lost + won]
    found = comparison_of(
        task_metrics_of("classification", "ab"), targets, one_hot(new), one_hot(old), metric="accuracy"
    )
    value = 100 * (won - lost) / 2000
    deviation = 100 * np.sqrt(won + lost - (won - lost) ** 2 / 2000) / 2000
    assert found.gain.value == pytest.approx(value)
    assert found.gain.low == pytest.approx(value - 1.96 * deviation, abs=0.1)
    assert found.gain.high == pytest.approx(value + 1.96 * deviation, abs=0.1)
    assert (found.new, found.old) == (1 - lost / 2000, 1 - won / 2000)
    assert decide_by(found, version=2, champion=1, margin=1.0).moves is moves


def test_gain_is_nought_when_two_bundles_answer_alike():
    targets = np.arange(40) % 2
    found = comparison_of(
        task_metrics_of("classification", "ab"), targets, one_hot(targets), one_hot(targets), metric="f1"
    )
    assert found.gain == Interval(0, 0, 0)
    assert "+0.00 percentage points [+0.00, +0.00]" in decide_by(found, version=2, champion=1, margin=1.0).why


@pytest.mark.parametrize(("metric", "values"), [("mae", (2.0, 5.0)), ("rmse", (2.0, 5.0))])
def test_less_is_better_and_the_unit_is_percent_when_the_metric_is_an_error(metric, values):
    """Each row of the new bundle is off by 2, of the old one by 5: every resampling gives 3 of 5."""
    targets = np.linspace(100, 200, 60)
    signs = np.where(np.arange(60) % 3, 1.0, -1.0)
    new, old = (targets + signs * off for off in values)
    found = comparison_of(task_metrics_of("regression", ""), targets, new[:, None], old[:, None], metric=metric)
    assert (found.new, found.old) == pytest.approx(values)
    assert [found.gain.value, found.gain.low, found.gain.high] == pytest.approx([60, 60, 60])
    assert found.unit == "percent of the error"
    assert decide_by(found, version=2, champion=1, margin=0.0).moves
    swapped = comparison_of(task_metrics_of("regression", ""), targets, old[:, None], new[:, None], metric=metric)
    assert not decide_by(swapped, version=2, champion=1, margin=10.0).moves


def test_points_are_hundredths_of_r2_when_the_metric_is_r2():
    """y is ±10 around its mean, so Σ(y − ȳ)² = 100 N; errors of 1 and 2 give R² 0.99 and 0.96."""
    targets = np.where(np.arange(400) % 2, 10.0, -10.0) + 7
    signs = np.where(np.arange(400) % 4 < 2, 1.0, -1.0)
    found = comparison_of(
        task_metrics_of("regression", ""),
        targets,
        (targets + signs)[:, None],
        (targets + 2 * signs)[:, None],
        metric="r2",
    )
    assert (found.new, found.old, found.gain.value) == pytest.approx((0.99, 0.96, 3.0))
    assert found.unit == "percentage points"
    assert found.gain.low == pytest.approx(3.0, abs=0.1)

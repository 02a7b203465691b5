"""Each limit speaks for itself, with both numbers."""

import msgspec
import pytest

import maas
from maas.compression.budget import Budget
from maas.lifecycle.recipe import BuiltRecipe
from maas.records.evidence import CandidateRecord, Interval, Latency

PARENT = CandidateRecord("fp32", "", "0" * 64, 1000, 0.0)
GOOD = CandidateRecord(
    "int8",
    "0" * 64,
    "1" * 64,
    400,
    1.0,
    metric=Interval(0.9, 0.88, 0.92),
    drop=Interval(0.1, -0.2, 0.4),
    agreement=0.995,
    batch_effect=1e-7,
    latency=Latency(32, 1, 1.0, 0.1, 0.8, 0.7, 0.9),
    parent="fp32",
)
BAD = {
    "bytes": (1000, "it has 1000 bytes, the model as exported 1000"),
    "latency": (
        Latency(32, 1, 1.0, 0.1, 1.25, 1.1, 1.3),
        "a batch takes 1 ms, by the model as exported 0.8: 0.8 times as fast, required is 1",
    ),
    "drop": (Interval(0.9, 0.5, 1.34), "it may lose 1.34 percentage points, allowed is 1"),
    "agreement": (0.9876, "0.9876 of the predictions stay, required is 0.99"),
    "batch_effect": (0.0123, "other rows in the batch change a score by 0.012, allowed is 1e-06"),
}


def reasons(budget: Budget, **changes: object) -> list[str]:
    return list(budget.reasons(msgspec.structs.replace(GOOD, **changes), PARENT))


def test_nothing_speaks_against_it_when_every_limit_is_kept():
    assert reasons(Budget()) == []


@pytest.mark.parametrize("field", BAD)
def test_reason_holds_both_numbers_when_one_limit_is_broken(field):
    value, message = BAD[field]
    assert reasons(Budget(), **{field: value}) == [message]


def test_every_reason_is_given_when_all_limits_are_broken():
    found = reasons(Budget(), **{field: value for field, (value, _) in BAD.items()})
    assert sorted(found) == sorted(message for _, message in BAD.values())


def test_size_alone_speaks_when_all_limits_are_lifted():
    lifted = Budget(max_drop=None, min_agreement=None, max_batch_effect=None, speedup=None)
    assert reasons(lifted, **{field: value for field, (value, _) in BAD.items()}) == [BAD["bytes"][1]]


def test_limit_itself_is_allowed_when_a_value_lies_on_it():
    on_it = {"drop": Interval(0.5, 0, 1.0), "agreement": 0.99, "batch_effect": 1e-6}
    assert reasons(Budget(), **on_it, latency=Latency(1, 1, 1, 0, 1.0, 1, 1)) == []


def test_nothing_is_said_when_nothing_was_measured():
    assert list(Budget().reasons(CandidateRecord("x", "", "", 10, 0.0), PARENT)) == []


@pytest.mark.parametrize(
    ("written", "exported", "needed"), [(None, 0.97, 0.97), (0.95, 0.97, 0.97), (0.99, 0.97, 0.99)]
)
def test_nothing_is_chosen_that_export_would_refuse(written, exported, needed):
    budget = f"compress.budget.min_agreement={'null' if written is None else written}"
    config = maas.compose("digits_mlp", "compress=int8", budget, f"export.min_agreement={exported}")
    assert BuiltRecipe.of(config).compression.budget.min_agreement == needed

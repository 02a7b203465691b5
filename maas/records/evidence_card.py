"""Evidence as people see it: a table of metrics, and the card that a notebook shows in the place of a record."""

from typing import TYPE_CHECKING

from maas.cards import card

if TYPE_CHECKING:
    from maas.records.evidence import Evidence


def metric_table(evidence: "Evidence") -> tuple[list[str], list[list[str]]]:
    """Returns heads and lines of a table: each metric with its interval, of each model that was evaluated."""
    names = dict.fromkeys(name for metrics in evidence.metrics.values() for name in metrics)
    lines = [[name, *(str(one.get(name, "")) for one in evidence.metrics.values())] for name in names]
    return ["metric", *evidence.metrics], lines


def evidence_card(evidence: "Evidence") -> str:
    """Returns when, where and on what a bundle was measured, and its metrics, as HTML."""
    machine, compression = evidence.machine, evidence.compression
    facts = [
        ("measured", evidence.measured_at),
        ("machine", f"{machine.processor}, {machine.cores} cores, {machine.system}"),
        ("rows", ", ".join(f"{name} {count:,}" for name, count in evidence.data.rows.items())),
        ("compression", f"{compression.chosen}: {compression.reason}" if compression else ""),
    ]
    return card("Evidence", "what was measured of a bundle", facts, *metric_table(evidence))

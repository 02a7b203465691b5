"""Small bundles with evidence that a test can compute by hand, and a reader of pages."""

import hashlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from maas.data.splits import Split
from maas.records.evidence import (
    CandidateRecord,
    CompressionRecord,
    DataRecord,
    Evidence,
    Interval,
    Latency,
    Machine,
    Parity,
    RobustnessCurve,
)
from maas.reporting.held_out import HeldOutRows
from maas.runtime.bundle import Bundle

EMPTY = {"area", "br", "hr", "img", "input", "link", "meta", "image", "use"}
MACHINE = Machine("A Processor <9>", 4, 8_000_000_000, "Linux x86_64", "3.11.7", "1.31.1")
LATENCIES = (Latency(1, 1, 0.5, 0.1, 0.8, 0.7, 0.9), Latency(32, 1, 4.0, 0.2, 0.9, 0.8, 1.0))
REASON = "drop is 7.5 percentage points, at most 1 is allowed"


def interval(value: float, half: float = 0.02) -> Interval:
    return Interval(value, value - half, value + half)


def compression() -> CompressionRecord:
    """Three candidates: as exported, chosen, refused."""
    made = {"parent_sha256": "0" * 64, "seconds": 1.0, "latencies": LATENCIES, "latency": LATENCIES[0]}
    none = Interval(0.0, 0.0, 0.0)
    return CompressionRecord(
        metric="accuracy",
        budget={"max_drop": 1.0, "min_shrink": 2.0, "latency_ms": None},
        candidates=(
            CandidateRecord(name="fp32", sha256="1" * 64, bytes=4000, metric=interval(0.8), drop=none, **made),
            CandidateRecord(name="eight", sha256="2" * 64, bytes=1100, drop=Interval(0.2, 0.0, 0.4), **made),
            CandidateRecord(
                name="four", sha256="3" * 64, bytes=700, drop=Interval(7.5, 6, 9), reasons=(REASON,), **made
            ),
        ),
        chosen="eight",
        reason="It is the smallest within the budget.",
        rows=100,
        pruned_trials={"prune.fast": "it lost 12 points"},
    )


def with_evidence(folder: Path, **changes: Any) -> Bundle:
    """Writes evidence of a bundle of ten labels, unless others are given, and opens it."""
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    confusion = np.full((10, 10), 1) + np.diag([30] * 10)
    fields = {
        "schema_version": 3,
        "manifest_sha256": digest,
        "measured_at": "2026-01-02T03:04:05+00:00",
        "machine": MACHINE,
        "data": DataRecord("f" * 64, {"train": 4000, "validation": 400, "test": 400}, {"repeated": 12}),
        "metrics": {
            "trained": {"accuracy": interval(0.78), "f1": interval(0.77)},
            "shipped": {"accuracy": interval(0.775), "f1": interval(0.765)},
            "baseline": {"accuracy": interval(0.70)},
        },
        "parity": (Parity("torch", "onnxruntime", 400, 3e-7, 1e-5, interval(1.0, 0.0)),),
        "compression": compression(),
        "seconds": {"export": 1.5, "verify": 75.0},
        "confusion": tuple(tuple(row) for row in confusion.tolist()),
        "robustness": (
            RobustnessCurve(
                "noise", "standard deviations", "accuracy", 400, (0.0, 0.5), (interval(0.77), interval(0.5))
            ),
        ),
    }  # fmt: skip
    content = msgspec.json.encode(Evidence(**{**fields, **changes}))
    (folder / "evidence.json").write_bytes(content)
    return Bundle.open(folder)


@pytest.fixture
def digits(bundles, tmp_path) -> Bundle:
    """Rows of numbers, ten labels, with evidence."""
    return with_evidence(bundles.array_bundle(tmp_path / "digits"))


@pytest.fixture(scope="session")
def held_out() -> Callable[..., HeldOutRows]:
    """Rows of numbers for `digits`, some of which its labels are right for."""

    def make(bundle: Bundle, count: int = 60) -> HeldOutRows:
        rows = np.random.default_rng(3).integers(0, 17, (count, 64)).tolist()
        targets = bundle.predictor.scores(rows).argmax(axis=1)
        targets[::3] = (targets[::3] + 1) % 10
        labels = tuple(bundle.manifest.postprocessor["labels"])
        return HeldOutRows(Split(rows, targets), labels, "rows_of_test")

    return make


class PageReader(HTMLParser):
    """What a page holds: its text, its elements, and whether each is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += f"{data} "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="session")
def read() -> type[PageReader]:
    return PageReader

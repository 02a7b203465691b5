"""What was measured of a bundle: `evidence.json`. It is about one manifest, named by digest, and can be made again."""

from typing import Any

import msgspec

SCHEMA_VERSION = 2


class Interval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value and the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Four digits: `0.8543 [0.8370, 0.8705]`."""
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where something was measured."""

    processor: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    onnxruntime: str


class DataRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data that was used.

    Args:
        fingerprint: digest of the rows of all splits.
        rows: rows left in each split.
        removed: rows taken out before splitting, by reason.
    """

    fingerprint: str
    rows: dict[str, int]
    removed: dict[str, int]


class Latency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run of the graph, measured in turns with its rival.

    Args:
        batch_size: rows in the run.
        threads: intra-op threads.
        median_ms: milliseconds a run.
        iqr_ms: distance between the quartiles, in milliseconds.
        ratio: median over the turns of (this model's time / the fp32 model's time); below 1 is faster.
        ratio_low: the ratio's lower quartile.
        ratio_high: the ratio's upper quartile.
    """

    batch_size: int
    threads: int
    median_ms: float
    iqr_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float


class CandidateRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way of compressing that was tried, with what it gave.

    Args:
        name: the pass's key in the recipe; `fp32` is the model as exported.
        parent_sha256: digest of the artifact that the pass was given.
        sha256: digest of what it made; empty if it failed.
        bytes: size of the ONNX file.
        seconds: spent on making it.
        target: the pass's import path.
        settings: the pass's settings.
        metric: the recipe's metric on validation data.
        drop: parent's metric minus its own on the same rows, in points (hundredths), with a paired interval.
        agreement: share of validation rows with the parent's answer, as the judge of this kind of answer sees it.
        batch_effect: largest change of a plain number when a row shares its batch with others.
        latency: against the fp32 model.
        reasons: why it was refused; empty if it may be chosen.
    """

    name: str
    parent_sha256: str
    sha256: str
    bytes: int
    seconds: float
    target: str = ""
    settings: dict[str, Any] = {}
    metric: Interval | None = None
    drop: Interval | None = None
    agreement: float | None = None
    batch_effect: float | None = None
    latency: Latency | None = None
    reasons: tuple[str, ...] = ()

    @property
    def time_ratio(self) -> float:
        """Time of a batch against the fp32 model's; 1 where it was not measured."""
        return self.latency.ratio if self.latency else 1.0


class CompressionRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The search: what was allowed, what was tried, what was chosen and why."""

    metric: str | None
    budget: dict[str, float | None]
    candidates: tuple[CandidateRecord, ...]
    chosen: str
    reason: str
    rows: int

    def candidate(self, name: str) -> CandidateRecord:
        """Returns a candidate by name."""
        return next(candidate for candidate in self.candidates if candidate.name == name)


class Parity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two ways of computing the same answers, compared on the same raw rows.

    Args:
        left: the reference.
        right: what is checked against it.
        rows: how many rows.
        max_difference: largest absolute difference of a plain number: a probability, a value, a vector's component.
        tolerance: the largest that is allowed; null where only answers are compared.
        agreement: share of rows with the same answer, with a Wilson interval: the same label; a value within a
            hundredth of the values' spread; a vector whose cosine is at least 0.99.
    """

    left: str
    right: str
    rows: int
    max_difference: float
    tolerance: float | None
    agreement: Interval


class RobustnessCurve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the shipped model's metric falls as its inputs get worse.

    Args:
        name: of what is done to the inputs.
        unit: of the strengths.
        metric: which metric.
        rows: how many test rows, the same for each strength.
        strengths: in order; 0 is nothing.
        values: the metric at each strength.
    """

    name: str
    unit: str
    metric: str
    rows: int
    strengths: tuple[float, ...]
    values: tuple[Interval, ...]


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is claimed of a bundle.

    Args:
        schema_version: of this file.
        manifest_sha256: the bundle that this is about.
        measured_at: time in UTC, ISO 8601.
        machine: where.
        data: on which rows.
        metrics: of the `trained` net, the `shipped` model and the `baseline`, each by metric, on the test split; of
            `cross_validated` nets on all rows. Empty where rows have no targets.
        parity: every comparison that was made.
        compression: the search, or null where none was made.
        seconds: wall time by stage.
        confusion: counts of the shipped model's answers on the test rows, true labels × predicted ones; null where
            answers are no labels.
        robustness: how the metric falls as inputs get worse.
    """

    schema_version: int
    manifest_sha256: str
    measured_at: str
    machine: Machine
    data: DataRecord
    metrics: dict[str, dict[str, Interval]]
    parity: tuple[Parity, ...]
    compression: CompressionRecord | None
    seconds: dict[str, float]
    confusion: tuple[tuple[int, ...], ...] | None = None
    robustness: tuple[RobustnessCurve, ...] = ()

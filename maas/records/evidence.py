"""What was measured of a bundle: `evidence.json`. It is about one manifest, which it names by digest."""

from typing import Any

import msgspec

from maas.records.evidence_card import evidence_card

EVIDENCE_VERSION = 3


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
        rows: number of rows left in each split.
        removed: number of rows removed before splitting, by reason.
    """

    fingerprint: str
    rows: dict[str, int]
    removed: dict[str, int]


class Latency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run of the graph, measured in turns with the fp32 model.

    Args:
        batch_size: number of rows in the run.
        threads: number of intra-op threads.
        median_ms: median time of a run, in milliseconds.
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


class AppliedPass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pass over checkpoints, as it was applied.

    Args:
        name: key of the pass in the recipe.
        target: import path.
        settings: settings of the pass.
        sha256: digest of the checkpoint that it made.
        seconds: time spent on it, in seconds.
    """

    name: str
    target: str
    settings: dict[str, Any]
    sha256: str
    seconds: float


class Slice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the rows: what they have in common, how many they are, and their metric drop (percentage points)."""

    name: str
    rows: int
    drop: float


class CandidateRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way of compressing that was tried, with what it gave.

    Args:
        name: key of the ONNX pass, after that of the pipeline of passes over checkpoints if there was one;
            `fp32` is the model as exported.
        parent: name of the candidate whose ONNX file it was made of; empty for one that was exported.
        parent_sha256: digest of that file.
        sha256: digest of its own file; empty if it failed.
        bytes: size of the ONNX file in bytes.
        gzip_bytes: size of the compressed ONNX file in bytes; null for a large one, or one that failed.
        seconds: time spent on making it in seconds, the pipeline not counted.
        target: import path of the pass; empty for one that was exported.
        settings: settings of the pass.
        applied_passes: pipeline that made its checkpoint; none for the root's.
        seed: random seed.
        parameters: number of parameters of the checkpoint's net; null where the model is imported.
        macs: multiply-accumulates of that net for a row.
        metric: the recipe's metric on validation data.
        drop: the fp32 model's metric minus its own on the same rows, in percentage points, with a paired interval.
        drop_from_parent: likewise against the candidate that it was made of; null for one that was exported.
        worst_slice: part of the rows on which it loses most against the fp32 model.
        agreement: fraction of validation rows with the prediction of what it was made of: of the parent, or of its
            checkpoint by its own framework.
        batch_effect: largest change of a score when a row shares its batch with others.
        latency: latency compared with the fp32 model, at the batch size and threads that the budget names.
        latencies: latencies at batches of one, of the declared size and of 32, on one thread and on two.
        load_ms: time in milliseconds until ONNX Runtime has opened the file, in a separate process.
        peak_bytes: largest memory of this process in bytes while it predicted a batch.
        perplexity_ratio: perplexity divided by that of the fp32 model on the same tokens, with a paired interval; null
            where no texts are generated.
        changed_texts: number of greedy texts that are others alone than in a batch; null where none are generated.
        reasons: reasons why it was refused; empty if it may be chosen.
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
    parent: str = ""
    applied_passes: tuple[AppliedPass, ...] = ()
    seed: int = 0
    gzip_bytes: int | None = None
    parameters: int | None = None
    macs: int | None = None
    drop_from_parent: Interval | None = None
    worst_slice: Slice | None = None
    latencies: tuple[Latency, ...] = ()
    load_ms: float | None = None
    peak_bytes: int | None = None
    perplexity_ratio: Interval | None = None
    changed_texts: int | None = None

    @property
    def time_ratio(self) -> float:
        """Time of a batch divided by the fp32 model's; 1 where it was not measured."""
        return self.latency.ratio if self.latency else 1.0


class CalibrationRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What dividing logits by a temperature does to probabilities, on the rows that it was fitted on.

    Args:
        temperature: what logits are divided by.
        rows: number of validation rows.
        log_loss_before: mean of −ln p of the rows' labels, as trained.
        log_loss: likewise, calibrated.
        ece_before: calibration error in 15 bins, as trained.
        ece: likewise, calibrated.
    """

    temperature: float
    rows: int
    log_loss_before: Interval
    log_loss: Interval
    ece_before: Interval
    ece: Interval


class CompressionRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The search: what was allowed, what was tried, what was chosen and why.

    Args:
        metric: the recipe's metric.
        budget: its limits.
        candidates: all that was tried, the model as exported first.
        chosen: the name of what ships.
        reason: with numbers.
        rows: validation rows, or tokens of texts, that candidates were evaluated on.
        pruned_trials: pipelines that were not followed to their end, by name, and why.
        scratch_baselines: names of candidates of the chosen one's shape that were trained from scratch.
        calibration: of the model as exported; null where probabilities were not calibrated.
    """

    metric: str | None
    budget: dict[str, float | None]
    candidates: tuple[CandidateRecord, ...]
    chosen: str
    reason: str
    rows: int
    pruned_trials: dict[str, str] = {}
    scratch_baselines: tuple[str, ...] = ()
    calibration: CalibrationRecord | None = None

    @property
    def is_unmet(self) -> bool:
        """Whether nothing that was tried keeps the budget, so that the model ships as exported."""
        was_tried = len(self.candidates) > 1 or bool(self.pruned_trials)
        return was_tried and self.chosen == self.candidates[0].name

    def candidate(self, name: str) -> CandidateRecord:
        """Returns a candidate by name."""
        return next(candidate for candidate in self.candidates if candidate.name == name)


class Parity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two ways of computing the same predictions, compared on the same raw rows.

    Args:
        left: name of the reference.
        right: name of what is compared with it.
        rows: number of rows.
        max_difference: largest absolute difference of a score: a probability, a value, a vector's component.
        tolerance: largest difference allowed; null where only predictions are compared.
        agreement: fraction of rows with the same prediction, with a Wilson interval: the same label; a value within a
            hundredth of the values' spread; a vector whose cosine is at least 0.99.
        max_log_difference: largest difference of the logarithm of a probability above 1e-30, as a share of the
            logarithm where that is beyond ±1; null where it was not compared.
        log_tolerance: largest difference allowed; null where it was not compared.
    """

    left: str
    right: str
    rows: int
    max_difference: float
    tolerance: float | None
    agreement: Interval
    max_log_difference: float | None = None
    log_tolerance: float | None = None


class RobustnessCurve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the shipped model's metric falls as its inputs get worse.

    Args:
        name: name of what is done to the inputs.
        unit: unit of the strengths.
        metric: name of the metric.
        rows: number of test rows, the same for each strength.
        strengths: strengths in order; 0 is nothing.
        values: metric at each strength.
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
        schema_version: version of this file's form.
        manifest_sha256: digest of the manifest of the bundle that this is about.
        measured_at: time in UTC, ISO 8601.
        machine: machine that it was measured on.
        data: rows that it was measured on.
        metrics: metrics of the `trained` net, or of the bundle that was made smaller, the `shipped` model and the
            `baseline`, each by metric, on the test split; of `cross_validated` nets on all rows. Empty where rows have
            no targets.
        parity: all comparisons.
        compression: the search; null where none was made.
        seconds: wall time in seconds by stage.
        confusion: counts of the shipped model's predictions on the test rows, true labels × predicted ones; null where
            predictions are no labels.
        robustness: how the metric falls as inputs get worse.
        parent_sha256: digest of the manifest of the bundle that was made smaller; empty for one of a checkpoint.
        reference_faults: nodes that onnx's reference evaluator is known to get wrong, with how; where there are any, it
            is left out, and the agreement of the model's own framework and ONNX Runtime suffices.
        thresholds: probability from which a label is predicted, by label, as chosen on validation rows; none where the
            most probable label is.
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
    parent_sha256: str = ""
    reference_faults: tuple[str, ...] = ()
    thresholds: dict[str, float] = {}

    def _repr_html_(self) -> str:
        return evidence_card(self)

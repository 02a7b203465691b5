"""What compression may cost, compared with the model as exported."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from maas.bounds import BatchSize, ClosedFraction, Count, NonNegative, Positive, Threads
from maas.records.evidence import CandidateRecord


@dataclass(frozen=True)
class Budget:
    """The limits of the `compress` section; null lifts one.

    Args:
        min_shrink: smallest ratio of the file's bytes before and after.
        max_bytes: largest size of the ONNX file, in bytes.
        max_drop: largest metric drop on validation rows against the model as exported, in percentage points: the upper
            end of the paired 95 % interval.
        min_agreement: smallest fraction of validation rows whose prediction an ONNX pass leaves.
            `export.min_agreement` holds here too, so that nothing is chosen that export would refuse.
        max_batch_effect: largest change of a row's scores by the rows that share its batch, unless the model as
            exported shows as much. Dynamic quantisation scales activations by the whole batch and breaks this: the same
            request would be answered differently under load.
        speedup: smallest ratio of a batch's time before and after; 1 refuses what is slower.
        latency_ms: longest time of a batch on this machine, in milliseconds.
        batch_size: number of rows of the batch that is timed; null takes what the model is served with.
        threads: number of threads that it is timed on; null takes what the model is served with.
        max_perplexity_ratio: largest perplexity of a model that generates texts, divided by that of the model as
            exported: the upper end of the paired 95 % interval. A text that is another one alone than in a batch is
            never allowed, unless the model as exported has as many.
        max_minutes: minutes after which the search makes no new proposals; a pipeline at work and the from-scratch
            baselines are finished. A resumed search counts from its new beginning.
    """

    min_shrink: Positive | None = 1.0
    max_bytes: Count | None = None
    max_drop: NonNegative | None = 1.0
    min_agreement: ClosedFraction | None = 0.99
    max_batch_effect: NonNegative | None = 1e-6
    speedup: Positive | None = 1.0
    latency_ms: Positive | None = None
    batch_size: BatchSize | None = None
    threads: Threads | None = None
    max_minutes: Positive | None = None
    max_perplexity_ratio: Positive | None = None

    def agreeing(self, least: float) -> Self:
        """Returns the same budget, with `min_agreement` no smaller than `least`."""
        return replace(self, min_agreement=max(self.min_agreement or 0.0, least))

    def reasons(self, candidate: CandidateRecord, root: CandidateRecord) -> Iterator[str]:
        """Yields why a measured candidate is refused, each with both numbers."""
        yield from self.lasting_reasons(candidate, root)
        yield from self.timed_reasons(candidate)

    def timed_reasons(self, candidate: CandidateRecord) -> Iterator[str]:
        """Yields the reasons that were read off a clock."""
        took = candidate.latency
        if took and self.speedup is not None and took.ratio * self.speedup > 1:
            yield (
                f"a batch takes {took.median_ms:.3g} ms, by the model as exported {took.median_ms / took.ratio:.3g}: "
                f"{1 / took.ratio:.3g} times as fast, required is {self.speedup:g}"
            )
        if took and _exceeds(took.median_ms, self.latency_ms):
            yield f"a batch takes {took.median_ms:.3g} ms, allowed are {self.latency_ms:g}"

    def lasting_reasons(self, candidate: CandidateRecord, root: CandidateRecord) -> Iterator[str]:
        """Yields the reasons that are the same in every run."""
        if candidate.bytes >= root.bytes:
            yield f"it has {candidate.bytes} bytes, the model as exported {root.bytes}"
        elif _exceeds(self.min_shrink, root.bytes / candidate.bytes):
            yield f"it is {root.bytes / candidate.bytes:.2f} times smaller, required is {self.min_shrink:g}"
        if _exceeds(candidate.bytes, self.max_bytes):
            yield f"it has {candidate.bytes} bytes, allowed are {self.max_bytes}"
        if candidate.drop and _exceeds(candidate.drop.high, self.max_drop):
            yield f"it may lose {candidate.drop.high:.2f} percentage points, allowed is {self.max_drop:g}"
        if candidate.perplexity_ratio and _exceeds(candidate.perplexity_ratio.high, self.max_perplexity_ratio):
            ratio = f"{candidate.perplexity_ratio.high:.4f}, allowed is {self.max_perplexity_ratio:g}"
            yield f"its perplexity may be that of the model as exported times {ratio}"
        if _exceeds(candidate.changed_texts, root.changed_texts):
            yield f"{candidate.changed_texts} texts are others alone than in a batch, allowed are {root.changed_texts}"
        if candidate.parent and _exceeds(self.min_agreement, candidate.agreement):
            yield f"{candidate.agreement:.4f} of the predictions stay, required is {self.min_agreement:g}"
        if _exceeds(candidate.batch_effect, self._allowed_batch_effect(root)):
            effect = f"{candidate.batch_effect:.2g}, allowed is {self.max_batch_effect:g}"
            yield f"other rows in the batch change a score by {effect}"

    def excess(self, candidate: CandidateRecord) -> float:
        """Returns a candidate's metric drop beyond the allowed one, in percentage points; below 0 if it is smaller."""
        return candidate.drop.high - self.max_drop if candidate.drop and self.max_drop is not None else 0.0

    def _allowed_batch_effect(self, root: CandidateRecord) -> float | None:
        """No less than what the model as exported shows itself, e.g. where its matrix products depend on the batch."""
        return None if self.max_batch_effect is None else max(self.max_batch_effect, root.batch_effect or 0.0)


def _exceeds(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value > limit

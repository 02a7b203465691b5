"""What compression may cost."""

from collections.abc import Iterator
from dataclasses import dataclass

from maas.bounds import NonNegative, Positive, Share
from maas.runtime.evidence import CandidateRecord


@dataclass(frozen=True)
class Budget:
    """The limits of the `compress` section; null lifts one.

    Args:
        min_shrink: how many times smaller the file must become to be worth the change.
        max_drop: points (hundredths) of the recipe's metric on validation data that may be lost: the upper end of the
            paired 95 % interval.
        min_agreement: share of validation rows whose answer must stay.
        max_batch_effect: how much a row's plain numbers may depend on the rows that share its batch, unless the model
            as exported lets them depend as much. Dynamic quantisation scales activations by the whole batch and breaks
            this: the same request would be answered differently under load.
        max_latency_ratio: time of a batch against the uncompressed model's.
    """

    min_shrink: Positive | None = 1.0
    max_drop: NonNegative | None = 1.0
    min_agreement: Share | None = 0.99
    max_batch_effect: NonNegative | None = 1e-6
    max_latency_ratio: Positive | None = 1.0

    def reasons(self, candidate: CandidateRecord, parent: CandidateRecord) -> Iterator[str]:
        """Yields why a measured candidate is refused, each with both numbers."""
        if candidate.bytes >= parent.bytes:
            yield f"it has {candidate.bytes} bytes, the model as exported {parent.bytes}"
        elif _exceeds(self.min_shrink, parent.bytes / candidate.bytes):
            yield f"it is {parent.bytes / candidate.bytes:.2f} times smaller, required is {self.min_shrink:g}"
        if _exceeds(candidate.time_ratio, self.max_latency_ratio):
            yield f"a batch takes {candidate.time_ratio:.3f} times as long, allowed is {self.max_latency_ratio:g}"
        if candidate.drop and _exceeds(candidate.drop.high, self.max_drop):
            yield f"it may lose {candidate.drop.high:.2f} points, allowed is {self.max_drop:g}"
        if _exceeds(self.min_agreement, candidate.agreement):
            yield f"{candidate.agreement:.4f} of the answers stay, required is {self.min_agreement:g}"
        if _exceeds(candidate.batch_effect, self._allowed_batch_effect(parent)):
            yield f"batch mates change an answer by {candidate.batch_effect:.2g}, allowed is {self.max_batch_effect:g}"

    def _allowed_batch_effect(self, parent: CandidateRecord) -> float | None:
        """No less than what the model as exported shows itself, e.g. where its matrix products depend on the batch."""
        return None if self.max_batch_effect is None else max(self.max_batch_effect, parent.batch_effect or 0.0)


def _exceeds(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value > limit

"""What compression may cost."""

from collections.abc import Iterator
from dataclasses import dataclass

from maas.bounds import NonNegative, Positive
from maas.runtime.evidence import Interval, Latency


@dataclass(frozen=True)
class Budget:
    """The limits of the `compress` section; null lifts one.

    Args:
        max_drop: points (hundredths) of the recipe's metric on validation data that may be lost: the upper end of the
            paired 95 % interval.
        min_label_agreement: share of validation rows whose label must stay.
        max_batch_effect: how much a row's probabilities may depend on the rows that share its batch. Dynamic
            quantisation scales activations by the whole batch and breaks this: the same request would be answered
            differently under load.
        max_latency_ratio: time of a batch against the uncompressed model's.
    """

    max_drop: NonNegative | None = 1.0
    min_label_agreement: NonNegative | None = 0.99
    max_batch_effect: NonNegative | None = 1e-6
    max_latency_ratio: Positive | None = 1.0

    def reasons(
        self, *, drop: Interval, label_agreement: float, batch_effect: float, latency: Latency, shrinks: bool
    ) -> Iterator[str]:
        """Yields why a candidate is refused, each with both numbers."""
        if not shrinks:
            yield "it is not smaller"
        if self.max_latency_ratio is not None and latency.ratio > self.max_latency_ratio:
            yield f"a batch takes {latency.ratio:.2f} times as long, allowed is {self.max_latency_ratio:g}"
        if self.max_drop is not None and drop.high > self.max_drop:
            yield f"it loses up to {drop.high:.2f} points, allowed is {self.max_drop:g}"
        if self.min_label_agreement is not None and label_agreement < self.min_label_agreement:
            yield f"{label_agreement:.4f} of the labels stay, required is {self.min_label_agreement:g}"
        if self.max_batch_effect is not None and batch_effect > self.max_batch_effect:
            yield f"a row's batch mates change its answer by {batch_effect:.2g}, allowed is {self.max_batch_effect:g}"

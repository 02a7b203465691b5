"""The graph alone: ONNX Runtime's session in a loop over prepared inputs, of the rows that are sent to servers."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from maas.runtime.bundle import Bundle

HEAVY_S = 0.001
LIGHT_SECONDS, HEAVY_SECONDS = 2.0, 10.0
"""Of one measurement: a heavy model gives so few replies in a second that p99 is the slowest of them."""


@dataclass(frozen=True)
class Sent:
    """What is sent to the servers of a model, and for how long.

    Args:
        rows: one a request, in turn; all have the same padded length. A light model gets one alone, so that the load
            generator has nothing to do but to send it.
        seconds: duration of one measurement.
    """

    rows: list[Any]
    seconds: float

    @classmethod
    def to(cls, bundle: Bundle, seconds: float | None = None) -> "Sent":
        """Returns golden inputs of a bundle."""
        if is_heavy(bundle):
            return cls(commonest(bundle), seconds or HEAVY_SECONDS)
        return cls(bundle.golden.inputs[:1], seconds or LIGHT_SECONDS)


def is_heavy(bundle: Bundle) -> bool:
    """Whether a run of one row takes more than a millisecond."""
    return 1 / raw_rate(bundle, bundle.golden.inputs[:1], 1, 0.2) > HEAVY_S


def commonest(bundle: Bundle) -> list[Any]:
    """Returns the golden inputs of that padded length which most of them have."""
    rows, processor = bundle.golden.inputs, bundle.predictor.processor
    buckets = [processor.bucket(features) for features in bundle.predictor.preprocess(rows)]
    most = Counter(buckets).most_common(1)[0][0]
    return [row for row, bucket in zip(rows, buckets, strict=True) if bucket == most]


def batch_sizes(bundle: Bundle) -> list[int]:
    """Returns 1, 2, 4, … up to the largest batch that the server makes."""
    largest = bundle.predictor.batch_size
    return [*(2**power for power in range(largest.bit_length()) if 2**power < largest), largest]


def raw_rate(bundle: Bundle, rows: list[Any], batch: int, seconds: float) -> float:
    """Returns rows a second in runs of `batch` rows, with the bundle's threads."""
    predictor = bundle.predictor
    features = predictor.preprocess([rows[index % len(rows)] for index in range(batch)])
    inputs, run = predictor.processor.batch(features), predictor.session.run
    run(None, inputs)
    runs, start = 0, time.perf_counter()
    while (passed_s := time.perf_counter() - start) < seconds:
        run(None, inputs)
        runs += 1
    return runs * batch / passed_s

"""How long a model's work takes on this machine: measured when it is loaded, up to its worst case, then estimated.

The worst case is a full batch of the longest rows. What takes longer than is worth running on the event loop is not
measured any further: a server must start quickly.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from msgspec.json import encode

from maas.errors import InputError, one_line
from maas.runtime.codec import Codec, Features, nbytes_of
from maas.runtime.graph import ORT_ERRORS
from maas.runtime.model import Predictor
from maas.serving.call import Row
from maas.serving.executors import BESIDE_ABOVE_S, INLINE_BELOW_S

log = logging.getLogger("maas.serving")

MOST_DOUBLINGS = 24
ENOUGH_S = 0.02
"""Seconds that one measurement is repeated for, at most ten times."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of work by its size.

    Args:
        shortest_run_s: one run of one of the shortest golden rows, in seconds.
        run_s_per_byte: time of the largest run that was measured by its preprocessed rows' bytes, in seconds.
        preprocess_s_per_byte: time to preprocess by raw bytes, the slowest that was seen, in seconds; infinite where
            the size of a row does not show how much there is to decode.
        rows: number of the longest rows in the largest run that was measured.
        longest_run_s: that run, in seconds.
    """

    shortest_run_s: float
    run_s_per_byte: float
    preprocess_s_per_byte: float
    rows: int
    longest_run_s: float

    def run_s(self, preprocessed_bytes: int) -> float:
        """Returns the estimated time of a run, in seconds."""
        return max(self.shortest_run_s, self.run_s_per_byte * preprocessed_bytes)

    def preprocess_s(self, raw_bytes: int) -> float:
        """Returns the estimated time to preprocess, in seconds."""
        return self.preprocess_s_per_byte * raw_bytes

    def bytes_preprocessed_in(self, seconds: float) -> float:
        """Returns the number of raw bytes whose preprocessing is estimated to take some seconds."""
        return seconds / self.preprocess_s_per_byte if self.preprocess_s_per_byte else math.inf

    def in_a_thread(self) -> "Costs":
        """Returns costs by which the event loop runs nothing: where a row does not show how long it takes."""
        return replace(self, shortest_run_s=max(self.shortest_run_s, 2 * INLINE_BELOW_S))

    @property
    def is_inline(self) -> bool:
        """Whether the longest run is short enough for the event loop."""
        return max(self.shortest_run_s, self.longest_run_s) <= INLINE_BELOW_S  # of short runs either may be the longer

    @property
    def is_long(self) -> bool:
        """Whether a run of one row is long enough for several at one time."""
        return self.shortest_run_s > BESIDE_ABOVE_S


def measured(predictor: Predictor, golden: Sequence[Row]) -> Costs:
    """Measures runs of 1, 2, 4, … of a model's longest rows, until a batch is full or a run is too long for the loop.

    Args:
        predictor: the model.
        golden: raw rows that the model takes.
    """
    processor = predictor.processor
    order = sorted(processor.preprocess(golden), key=size_of)
    row = longest_row(processor, golden)
    shortest, longest = order[0], max(order[-1], processor.preprocess([row])[0], key=size_of)
    if not _is_run(predictor, longest):
        longest = order[-1]
    shortest_s = _quickest_s(lambda: predictor.run([shortest]))
    rows, longest_s = 1, _quickest_s(lambda: predictor.run([longest]))
    while rows < predictor.batch_size and longest_s <= INLINE_BELOW_S:
        rows = min(2 * rows, predictor.batch_size)
        longest_s = _quickest_s(partial(predictor.run, [longest] * rows))
    return Costs(
        shortest_run_s=shortest_s,
        run_s_per_byte=longest_s / (rows * max(1, size_of(longest))),
        preprocess_s_per_byte=_preprocess_s_per_byte(processor, [golden[0], row]),
        rows=rows,
        longest_run_s=longest_s,
    )


def _is_run(predictor: Predictor, longest: Features) -> bool:
    """Whether a model runs a row that is longer than the golden ones, which it is known to run."""
    try:
        predictor.run([longest])
    except ORT_ERRORS as error:
        log.warning("The model cannot run its longest rows, which will be answered by 500: %s.", one_line(error))
        return False
    return True


def longest_row(processor: Codec, golden: Sequence[Row]) -> Row:
    """Returns the golden row whose preprocessed form is largest, with its texts repeated until it grows no more."""
    sizes = [size_of(features) for features in processor.preprocess(golden)]
    row, size = golden[sizes.index(max(sizes))], max(sizes)
    if processor.decodes_files:
        return row
    for _ in range(MOST_DOUBLINGS):
        doubled = _doubled(row)
        try:
            found = size_of(processor.preprocess([doubled])[0])
        except InputError:  # the text is one of a few that are allowed
            break
        if found <= size:
            break
        row, size = doubled, found
    return row


def size_of(features: Features) -> int:
    """Returns the bytes of one preprocessed row."""
    return nbytes_of(features)


def _doubled(value: Row) -> Row:
    """Returns a value whose texts are twice as long."""
    if isinstance(value, str):
        return f"{value} {value}"
    if isinstance(value, dict):
        return {key: _doubled(one) for key, one in value.items()}
    return value


def _preprocess_s_per_byte(processor: Codec, rows: Sequence[Row]) -> float:
    if processor.decodes_files:
        return math.inf
    return max(_quickest_s(partial(processor.preprocess, [row])) / len(encode(row)) for row in rows)


def _quickest_s(work: Callable[[], object]) -> float:
    times: list[float] = []
    while len(times) < 2 or (len(times) < 10 and sum(times) < ENOUGH_S):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)

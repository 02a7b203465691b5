"""Which rates are measured: those that were chosen, or those that close in on the highest that is kept."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from maas.load_testing.generator import Generator
from maas.load_testing.measurement import Load
from maas.load_testing.settings import LoadSettings

HALVINGS = 7
"""Of a search: the rate is then known to about one part in a hundred of the capacity."""
MOST_REQUESTS_PER_S = 50_000
"""More than the generator can send."""


def measured_loads(settings: LoadSettings, generator: Generator) -> Iterator[Load]:
    """Yields what is measured at each rate.

    Args:
        settings: of the test.
        generator: sends the requests.
    """
    warm_up_rate = min(settings.rates, default=10.0)
    generator.run(arrivals(settings.arrivals, warm_up_rate, settings.warm_up_s), settings.warm_up_s)
    if settings.rates:
        yield from (_measured(settings, generator, rate) for rate in settings.rates)
    else:
        yield from _search(settings, generator, capacity(generator, settings.warm_up_s))


def highest_kept(loads: list[Load], p99_ms: float) -> Load | None:
    """Returns the load of the highest rate at which nothing failed and the 99th percentile was kept; null for none."""
    return max((load for load in loads if load.keeps(p99_ms)), key=lambda load: load.rate, default=None)


def capacity(generator: Generator, seconds: float) -> float:
    """Returns how many requests a second are answered where each connection always has one."""
    return generator.run(np.zeros(int(MOST_REQUESTS_PER_S * seconds)), seconds).answered_per_s


def arrivals(kind: str, rate: float, seconds: float) -> NDArray[np.float64]:
    """Returns the moments at which requests are due, in seconds; the same ones for the same arguments.

    Args:
        kind: `poisson`, whose distances are exponential, or `even`.
        rate: requests a second on average.
        seconds: time in which they are due.
    """
    count = max(1, round(rate * seconds))
    if kind == "even":
        return np.arange(count) / rate
    return np.sort(np.random.default_rng(0).uniform(0, seconds, count))


def _measured(settings: LoadSettings, generator: Generator, rate: float) -> Load:
    return generator.run(arrivals(settings.arrivals, rate, settings.seconds), settings.seconds)


def _search(settings: LoadSettings, generator: Generator, highest: float) -> Iterator[Load]:
    """Halves the range between a rate that is kept and one that is not."""
    low, high = 0.0, max(highest, 1.0)
    for _ in range(HALVINGS):
        load = _measured(settings, generator, (low + high) / 2)
        yield load
        if load.keeps(settings.p99_ms):
            low = load.rate
        else:
            high = load.rate

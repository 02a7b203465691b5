"""What a load test says: a table for people, and a record for programs."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from maas.load_testing.measurement import PERCENTILES, Load
from maas.load_testing.rates import highest_kept
from maas.load_testing.settings import LoadSettings
from maas.load_testing.target import LoadTarget

HEADER = "  rate/s  answered/s " + "".join(f"{f'p{percent:g}':>9}" for percent in PERCENTILES) + "      max ms   failed"


def headline(settings: LoadSettings, target: LoadTarget) -> str:
    """Returns what is sent, in a line, and the table's header."""
    what = f"{settings.arrivals} arrivals over at most {settings.connections} connections"
    return f"{settings.url}{settings.path}: {what}; requests: {target.summary}\n{HEADER}"


def table_line(load: Load) -> str:
    """Returns one line of the table, and under it what failed and what limited the load."""
    numbers = "".join(_milliseconds(load.percentile_ms(percent)) for percent in PERCENTILES)
    failed = sum(load.errors.values())
    line = f"{load.rate:8.1f}{load.answered_per_s:12.1f} {numbers}{_milliseconds(load.longest_ms)}   {failed:9}"
    notes = [f"{count} × {name}" for name, count in sorted(load.errors.items())]
    if load.limit:
        notes.append(f"the load itself was limited: {load.limit}")
    if load.queued_fraction > 0.01:
        notes.append(f"{load.queued_fraction:.0%} waited for a free connection")
    return "\n".join([line, *(f"          {note}" for note in notes)])


def verdict(settings: LoadSettings, loads: Sequence[Load]) -> str:
    """Returns the highest rate that was kept, in a line."""
    best = highest_kept(list(loads), settings.p99_ms)
    if best is None:
        return f"No rate was kept with p99 ≤ {settings.p99_ms:g} ms and no failure."
    limited = " The load itself was limited: the server may do more." if any(load.limit for load in loads) else ""
    return f"Kept with p99 ≤ {settings.p99_ms:g} ms and no failure: {best.rate:.0f} requests a second.{limited}"


def record_of(settings: LoadSettings, target: LoadTarget, loads: Sequence[Load]) -> dict[str, Any]:
    """Returns settings and measurements for JSON."""
    best = highest_kept(list(loads), settings.p99_ms)
    return {
        "settings": asdict(settings),
        "requests": target.summary,
        "loads": [load.record() for load in loads],
        "highest_kept_rate": None if best is None else round(best.rate, 3),
    }


def _milliseconds(value: float) -> str:
    """Returns a time in a column of nine letters; a dash where requests failed that it would count."""
    if math.isinf(value):
        return f"{'–':>9}"
    return f"{value:9.2f}" if value < 1000 else f"{value:9.0f}"

"""What compression makes of a recipe over several seeds, beside nets of the same shape that were trained from scratch.

    python -m tests.benchmarks.bench_small RECIPE.yaml [SEEDS] [key=value …]

Takes the recipe through the line with seeds 0, 1, … (5 unless told otherwise; runs that are finished are taken as they
lie) and prints a row for each, and their mean ± standard deviation. Points lost are of test rows, against the fp32
model; *above scratch* compares on validation rows, where alone the controls are judged.
"""

import statistics
import sys
from collections.abc import Sequence

import numpy as np

import maas
from maas.config import compose
from maas.runtime.evidence import CandidateRecord, Evidence

HEAD = (
    "| seed | ships | test metric, fp32 | test metric, small | points lost | points above scratch | times smaller | "
    "times faster, batch 1 | batch 32 | seconds |\n|---|---|---|---|---|---|---|---|---|---|"
)


def main(recipe: str, seeds: int, overrides: Sequence[str]) -> None:
    """Runs and prints."""
    sys.stdout.write(f"{HEAD}\n")
    rows = []
    for seed in range(seeds):
        line = maas.lifecycle.run(compose(recipe, f"seed={seed}", *overrides))
        evidence = line.bundle.evidence
        rows.append(figures(evidence))
        cells = " | ".join(f"{value:.4g}" for value in rows[-1])
        sys.stdout.write(f"| {seed} | {evidence.compression.chosen} | {cells} |\n")
        sys.stdout.flush()
    columns = np.array(rows).T
    cells = " | ".join(f"{np.nanmean(column):.4g} ± {np.nanstd(column, ddof=1):.2g}" for column in columns)
    sys.stdout.write(f"| mean | | {cells} |\n")


def figures(evidence: Evidence) -> list[float]:
    """Returns what a row says, from left to right; NaN where there is nothing to say."""
    found, metric = evidence.compression, evidence.compression.metric
    chosen, root = found.candidate(found.chosen), found.candidates[0]
    values = [evidence.metrics[who][metric].value for who in ("trained", "shipped")]
    rivals = [found.candidate(name) for name in found.controls]
    scratch = [one.metric.value for one in rivals if one.target == chosen.target]
    above = 100 * (chosen.metric.value - statistics.fmean(scratch)) if scratch else float("nan")
    speed = [1 / ratio_at(chosen, size) for size in (1, 32)]
    seconds = sum(one.seconds for one in found.candidates) + sum(link.seconds for link in chosen.links)
    return [*values, 100 * (values[0] - values[1]), above, root.bytes / chosen.bytes, *speed, seconds]


def ratio_at(candidate: CandidateRecord, batch_size: int) -> float:
    """Returns the time of a batch on one thread against fp32's."""
    return next(one.ratio for one in candidate.latencies if (one.batch_size, one.threads) == (batch_size, 1))


if __name__ == "__main__":
    numbers = [one for one in sys.argv[2:] if one.isdigit()]
    main(sys.argv[1], int(numbers[0]) if numbers else 5, [one for one in sys.argv[2:] if "=" in one])

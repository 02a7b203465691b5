"""What compression makes of a recipe over several seeds, beside nets of the same shape that were trained from scratch.

    python -m tests.benchmarks.bench_small RECIPE.yaml [SEEDS] [key=value …]

Takes the recipe through the line with seeds 0, 1, … (5 unless told otherwise; nets that are trained and candidates that
are made already are taken as they lie). The first table has a row for each seed and their mean ± standard deviation:
points lost are of test rows, against the fp32 model. The second has every candidate, the controls among them, on
validation rows, as means over the seeds.
"""

import sys
from collections.abc import Iterable, Sequence

import numpy as np

import maas
from maas.config import RunConfig, compose
from maas.errors import ConfigError
from maas.runtime.evidence import CandidateRecord, CompressionRecord, Evidence

SHIPPED = (
    "| seed | ships | test metric, fp32 | test metric, small | points lost | times smaller | times faster, batch 1 | "
    "batch 32 | seconds |\n|---|---|---|---|---|---|---|---|---|"
)
TRIED = (
    "| candidate | parameters | metric | points lost | times smaller | times faster, batch 1 | batch 32 | seeds |\n"
    "|---|---|---|---|---|---|---|---|"
)


def main(recipe: str, seeds: int, overrides: Sequence[str]) -> None:
    """Runs and prints."""
    _say(SHIPPED)
    rows, searches = [], []
    for seed in range(seeds):
        evidence = _evidence(compose(recipe, f"seed={seed}", *overrides))
        searches.append(evidence.compression)
        rows.append(_shipped(evidence))
        _say(f"| {seed} | {evidence.compression.chosen} | {' | '.join(f'{value:.4g}' for value in rows[-1])} |")
    _say(f"| mean | | {' | '.join(_means(rows))} |\n\n{TRIED}")
    for name in dict.fromkeys(one.name for found in searches for one in found.candidates):
        whose = [(found, one) for found in searches for one in found.candidates if one.name == name and one.metric]
        if whose:  # it could be measured
            _say(f"| {name} | {' | '.join(_means(_tried(*one) for one in whose))} | {len(whose)} |")


def _evidence(config: RunConfig) -> Evidence:
    """Returns what the bundle says of itself, made of the net that was trained by the same recipe before, if any."""
    lifecycle = maas.lifecycle
    try:
        checkpoint = lifecycle.newest_checkpoint(config)
    except ConfigError:
        checkpoint = lifecycle.train(config)
    return lifecycle.export(config, checkpoint, lifecycle.compress(config, checkpoint)).evidence


def _shipped(evidence: Evidence) -> list[float]:
    """Returns what the first table says of a seed, from left to right."""
    found, metric = evidence.compression, evidence.compression.metric
    chosen = found.candidate(found.chosen)
    before, after = (evidence.metrics[who][metric].value for who in ("trained", "shipped"))
    seconds = sum(one.seconds for one in found.candidates) + sum(link.seconds for link in chosen.links)
    return [before, after, 100 * (before - after), *_gains(found, chosen), seconds]


def _tried(found: CompressionRecord, one: CandidateRecord) -> list[float]:
    """Returns what the second table says of a candidate, from left to right."""
    return [one.parameters or 0, one.metric.value, one.drop.value, *_gains(found, one)]


def _gains(found: CompressionRecord, one: CandidateRecord) -> list[float]:
    """Returns how many times smaller a candidate is, and how many times faster on one thread at batches of 1 and 32."""
    raced = {(latency.batch_size, latency.threads): latency.ratio for latency in one.latencies}
    return [found.candidates[0].bytes / one.bytes, 1 / raced[1, 1], 1 / raced[32, 1]]


def _means(rows: Iterable[Sequence[float]]) -> list[str]:
    columns = np.array(list(rows)).T
    spread = columns.std(axis=1, ddof=1) if columns.shape[1] > 1 else np.full(len(columns), np.nan)
    return [f"{mean:.4g} ± {width:.2g}" for mean, width in zip(columns.mean(axis=1), spread, strict=True)]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    numbers = [one for one in sys.argv[2:] if one.isdigit()]
    main(sys.argv[1], int(numbers[0]) if numbers else 5, [one for one in sys.argv[2:] if not one.isdigit()])

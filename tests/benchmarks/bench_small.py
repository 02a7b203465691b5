"""What compression makes of a recipe over several seeds, beside nets of the same shape that were trained from scratch.

    python -m tests.benchmarks.bench_small RECIPE.yaml [key=value …] [--seeds 5] [--first 0] [--longer EPOCHS]

Takes the recipe through the line with seeds 0, 1, …, or from another first one on (nets that are trained and candidates
that are made already are taken as they lie). The first table has a row for each seed and their mean ± standard
deviation: metric drop are of test rows, against the fp32 model; with `--longer`, the last column has those against that
net trained for EPOCHS, which is to say as long as net and compression together. The second has every candidate, the
controls among them, on validation rows, as means over the seeds.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence

import numpy as np

import maas
from maas.config import RunConfig, compose
from maas.errors import ConfigError
from maas.records.evidence import CandidateRecord, CompressionRecord, Evidence
from maas.training.checkpoint import Checkpoint

SHIPPED = (
    "| seed | ships | test metric, fp32 | test metric, small | metric drop | times smaller | times faster, batch 1 | "
    "batch 32 | seconds |{}\n|---|---|---|---|---|---|---|---|---|{}"
)
LONGER = " metric drop against it, trained for {} epochs |", "---|"
TRIED = (
    "| candidate | parameters | metric | metric drop | times smaller | times faster, batch 1 | batch 32 | seeds |\n"
    "|---|---|---|---|---|---|---|---|"
)


def main(recipe: str, overrides: Sequence[str], seeds: Iterable[int], longer: int | None) -> None:
    """Runs and prints."""
    _say(SHIPPED.format(*(one.format(longer) for one in LONGER) if longer else ("", "")))
    rows, searches = [], []
    for seed in seeds:
        own = (f"seed={seed}", *overrides)
        evidence = _evidence(compose(recipe, *own))
        searches.append(evidence.compression)
        rows.append(_shipped(evidence))
        if longer:
            rows[-1].append(_points_lost(evidence, compose(recipe, *own, f"trainer.max_epochs={longer}")))
        _say(f"| {seed} | {evidence.compression.chosen} | {' | '.join(f'{value:.4g}' for value in rows[-1])} |")
    _say(f"| mean | | {' | '.join(_means(rows))} |\n\n{TRIED}")
    for name in dict.fromkeys(one.name for found in searches for one in found.candidates):
        whose = [(found, one) for found in searches for one in found.candidates if one.name == name and one.metric]
        if whose:  # it could be measured
            _say(f"| {name} | {' | '.join(_means(_tried(*one) for one in whose))} | {len(whose)} |")


def _evidence(config: RunConfig) -> Evidence:
    """Returns what the bundle of a compressed model says of itself."""
    checkpoint = _trained(config)
    return maas.lifecycle.export(config, checkpoint, maas.lifecycle.compress(config, checkpoint)).evidence


def _trained(config: RunConfig) -> Checkpoint:
    """Returns the net that was trained by the same recipe before, or trains it."""
    try:
        return maas.lifecycle.newest_checkpoint(config)
    except ConfigError:
        return maas.lifecycle.train(config)


def _points_lost(evidence: Evidence, config: RunConfig) -> float:
    """Returns what the shipped model loses on test rows against the fp32 model of another training."""
    metric = evidence.compression.metric
    larger = maas.lifecycle.export(config, _trained(config)).evidence
    return 100 * (larger.metrics["trained"][metric].value - evidence.metrics["shipped"][metric].value)


def _shipped(evidence: Evidence) -> list[float]:
    """Returns what the first table says of a seed, from left to right."""
    found, metric = evidence.compression, evidence.compression.metric
    chosen = found.candidate(found.chosen)
    before, after = (evidence.metrics[who][metric].value for who in ("trained", "shipped"))
    seconds = sum(one.seconds for one in found.candidates) + sum(applied.seconds for applied in chosen.applied_passes)
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", metavar="RECIPE.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--longer", type=int, metavar="EPOCHS")
    given = parser.parse_intermixed_args()
    main(given.recipe, given.overrides, range(given.first, given.first + given.seeds), given.longer)

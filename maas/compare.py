"""Compares models on the same test rows.

usage: python -m maas.compare MODEL MODEL … [out=FOLDER] [recipe=NAME key=value …]

    MODEL    a bundle's folder, or models:/NAME@ALIAS or models:/NAME/VERSION in the registry; the others are held
             against the first
    out      where comparison.json and comparison.png are written (nowhere)
    recipe   whose test rows are answered, with its overrides (the recipe of the first model)

example: python -m maas.compare runs/sentiment_zh/latest/bundle models:/sentiment_zh@champion
"""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

import maas
from maas import cli
from maas.config import recipe_names
from maas.errors import ConfigError
from maas.evidence.comparing import ComparedBundle, compare_bundles
from maas.evidence.comparing_texts import compare_texts, texts_metric
from maas.evidence.model_plots import comparison_picture
from maas.files import write_json
from maas.lifecycle.recipe import load_rows
from maas.outcomes import VerbOutcome, wants_json
from maas.runtime.bundle import Bundle

OUT, RECIPE = "out", "recipe="
log = logging.getLogger("maas")


class Compared(NamedTuple):
    """Models side by side, how many rows they predicted, and the metric that they are compared by."""

    models: list[ComparedBundle]
    rows: int
    metric: str | None


def main(arguments: Sequence[str] | None = None) -> None:
    """Compares."""
    with cli.reported("compare", is_json=wants_json(arguments)):
        line = cli.read("compare", arguments)
        if line.wants_help or not (line.names or line.overrides) or "help" in line.names:
            cli.say((__doc__ or "").strip())
            return
        models = list(dict.fromkeys(line.names))
        if len(models) < 2:
            named = "1 model was" if models else "No model was"
            raise ConfigError(f"{named} named; compare takes two or more. See maas compare --help.")
        bundles = {name: maas.load(name) for name in models}
        out, line = line.value(OUT), line.without([OUT])
        if not any(one.startswith(RECIPE) for one in line.overrides):
            line = replace(line, overrides=(*_origin(models[0], bundles[models[0]]), *line.overrides))
        cli.follow(line, partial(_compare, bundles), partial(_shown, Path(out) if out else None))


def _origin(name: str, bundle: Bundle) -> list[str]:
    """Returns the recipe and the overrides that a model was made by.

    Raises:
        ConfigError: no recipe of that name is known here.
    """
    lineage = bundle.manifest.lineage
    if lineage.recipe not in recipe_names():
        raise ConfigError(
            f"{name} was made by the recipe {lineage.recipe}, which is none of those known here. Name its file, for "
            "the test rows: recipe=FILE.yaml."
        )
    return [f"{RECIPE}{lineage.recipe}", *(one for one in lineage.overrides if not one.startswith(RECIPE))]


def _compare(bundles: Mapping[str, Bundle], config: maas.RunConfig) -> Compared:
    rows = load_rows(config)
    for name, bundle in bundles.items():
        if bundle.manifest.lineage.data_fingerprint != rows.record.fingerprint:
            log.info("%s was trained on other rows than these; it may have learnt some of them.", name)
    first = next(iter(bundles.values()))
    if first.manifest.search is not None:
        metric = texts_metric(first, config.metric)
        return Compared(compare_texts(bundles, rows.test, metric), len(rows.test), metric)
    return Compared(compare_bundles(bundles, rows.test, rows.labels, config.metric), len(rows.test), config.metric)


def _shown(out: Path | None, compared: Compared, _: maas.RunConfig) -> VerbOutcome:
    written = "" if out is None else f"written to {_written(out, compared.models, compared.metric)}"

    def show() -> None:
        console = Console(width=None if sys.stdout.isatty() else 120)
        console.print(_table(compared.models, compared.metric, compared.rows))
        if written:
            cli.say(written)

    return VerbOutcome({"rows": compared.rows, "metric": compared.metric, "models": compared.models}, show)


def _written(out: Path, found: list[ComparedBundle], metric: str | None) -> Path:
    """Writes numbers and a picture, and returns their folder."""
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "comparison.json", found)
    return comparison_picture(found, metric, out / "comparison.png").parent


def _table(found: list[ComparedBundle], metric: str | None, rows: int) -> Table:
    sizes = [one.batch_size for one in found[0].latencies]
    table = Table(title=f"{rows:,} test rows, intervals of 95 %; time and bytes against the first")
    for heading in ("model", metric or "metric", "metric drop", "other answers", "loses most on"):
        table.add_column(heading)
    for heading in ("bytes", *(f"ms, batch {size}" for size in sizes)):
        table.add_column(heading, justify="right")
    for one in found:
        table.add_row(*_cells(one, found[0]))
    return table


def _cells(one: ComparedBundle, first: ComparedBundle) -> Iterator[str]:
    yield f"{one.name}\n({one.precision})"
    yield str(one.metric) if one.metric else ""
    yield f"{one.drop.value:.2f} [{one.drop.low:.2f}, {one.drop.high:.2f}]" if one.drop else ""
    yield f"{one.disagreements:,} ({1 - one.agreement:.2%})" if one is not first else ""
    yield "\n".join(f"{part.name}: {part.drop:.1f} percentage points, {part.rows} rows" for part in one.slices)
    yield f"{one.bytes:,}\n÷ {first.bytes / one.bytes:.2f}" if one is not first else f"{one.bytes:,}"
    for latency in one.latencies:
        yield f"{latency.median_ms:.3g}\n× {latency.ratio:.2f}" if one is not first else f"{latency.median_ms:.3g}"


if __name__ == "__main__":
    main()

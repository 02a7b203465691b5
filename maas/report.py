"""Writes one page about a model, for people: what it is, how good it is, where it fails, and where it comes from.

usage: python -m maas.report MODEL [out=FILE.html] [lang=zh|en] [rows=ROWS] [examples=N] [recipe=NAME key=value …]

    MODEL     a bundle's folder, a run's folder (runs/NAME/latest), or models:/NAME@ALIAS or models:/NAME/VERSION in
              the registry
    out       the file that is written, or a folder for it (NAME-report.html here)
    lang      language of the page's own words; without it the page has English and Chinese, and a switch
    rows      test      the recipe's test rows, for calibration, curves, mistakes and slices (the default)
              golden    none but the few that the bundle holds; nothing is read
              none      no row is shown at all: for a page that leaves the house
              FILE      rows of a file, a folder or arrays, with input=COLUMN and label=COLUMN where it is a table
    examples  rows of each kind that are shown (6)
    recipe    whose test rows are read, with its overrides (the recipe of the model)

example: python -m maas.report runs/sentiment_zh/latest out=report.html
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import maas
from maas import cli
from maas.command_line import CommandLine
from maas.config import composed_config, recipe_names
from maas.errors import ConfigError, MaasError
from maas.files import write_atomically
from maas.lifecycle.recipe import load_rows
from maas.registry.reading.addresses import MODELS, default_tracking_uri
from maas.registry.tracking.logged import logged_training
from maas.reporting.figures import byte_size
from maas.reporting.findings import ReportSettings, findings_of
from maas.reporting.held_out import HeldOutRows, rows_to_show
from maas.reporting.page import report_page
from maas.reporting.subject import Gap, ReportedModel, TrainingHistory, reported_model
from maas.reporting.wording import LANGUAGES, Language
from maas.runtime.bundle import Bundle

OUT, LANG, ROWS, EXAMPLES, INPUT, LABEL = "out", "lang", "rows", "examples", "input", "label"
REPORT_KEYS = (OUT, LANG, ROWS, EXAMPLES, INPUT, LABEL)
TEST, GOLDEN_ROWS, NO_ROWS = "test", "golden", "none"
RECIPE_KEY = "recipe="
PAGE_ENDINGS = (".html", ".htm")
UNFIT = re.compile(r"[^\w.-]+")
"""What no name of a file should hold."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the page."""
    with cli.reported("report"):
        line = cli.read("report", arguments)
        if line.wants_help or not (line.names or line.overrides) or "help" in line.names:
            cli.say((__doc__ or "").strip())
            return
        if len(line.names) != 1:
            raise ConfigError(f"{len(line.names)} models were named; report takes one. See maas report --help.")
        _write(PageRequest.of(line))


@dataclass(frozen=True)
class PageRequest:
    """What is requested of a page.

    Args:
        model: address of the model, as it was typed.
        out: file or folder; None for a file here, of the model's name.
        language: of the page; None for all with a switch.
        rows: `test`, `golden`, `none`, or a path.
        examples: number of rows of each kind that are shown.
        line: the command line, less the entry's own keys.
        column: column of a table that holds the inputs; None for the processor's own name of a row.
        label: column of a table that holds the targets; None for none.
    """

    model: str
    out: Path | None
    language: Language | None
    rows: str
    examples: int
    line: CommandLine
    column: str | None
    label: str | None

    @classmethod
    def of(cls, line: CommandLine) -> "PageRequest":
        """Reads a command line.

        Raises:
            ConfigError: a value is none of those that there are.
        """
        out, language, examples = line.value(OUT), line.value(LANG), line.value(EXAMPLES) or "6"
        if out is not None and not Path(out).is_dir() and Path(out).suffix.lower() not in PAGE_ENDINGS:
            raise ConfigError(f"out is {out}; the page's file ends in .html. Set e.g. out={Path(out).stem}.html.")
        if language is not None and language not in LANGUAGES:
            raise ConfigError(f"lang is {language!r}; it must be {' or '.join(LANGUAGES)}, or be left out for both.")
        if not examples.isdecimal():
            raise ConfigError(f"examples is {examples!r}; it must be a whole number, 0 or more.")
        rows = line.value(ROWS) or TEST
        if rows not in (TEST, GOLDEN_ROWS, NO_ROWS) and not Path(rows).exists():
            raise ConfigError(f"rows is {rows!r}; it must be test, golden, none, or a file or folder that exists.")
        return cls(
            line.names[0],
            Path(out) if out else None,
            language,
            rows,
            0 if rows == NO_ROWS else int(examples),
            line.without(REPORT_KEYS),
            line.value(INPUT),
            line.value(LABEL),
        )


def _write(request: PageRequest) -> None:
    bundle = maas.load(_bundle_of(request.model))
    model = _known(bundle, request.model)
    rows, baseline = _rows(request, bundle)
    settings = ReportSettings(examples=request.examples)
    page = report_page(findings_of(model, rows, settings, baseline=baseline), request.language).encode()
    out = _place(request.out, bundle.manifest.name)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, page)
    cli.say(f"written to {out} ({byte_size(len(page))})")


def _bundle_of(address: str) -> str:
    """Returns the address of a bundle; of a run's folder, the folder of its bundle.

    Raises:
        ConfigError: the run has none yet.
    """
    folder = Path(address)
    if address.startswith(MODELS) or not (folder / "run.json").is_file():
        return address
    if not (folder / "bundle").is_dir():
        raise ConfigError(f"{address} holds no bundle yet; run python -m maas.run with the same recipe to finish it.")
    return str(folder / "bundle")


def _known(bundle: Bundle, address: str) -> ReportedModel:
    """Returns what is known of a model, in the registry as well where it was opened by its address there."""
    if not address.startswith(MODELS):
        return reported_model(bundle, address)
    try:
        logged = logged_training(address, default_tracking_uri())
    except MaasError as error:
        found = reported_model(bundle, address, logged=TrainingHistory())
        return replace(found, gaps=(*found.gaps, Gap("gap_registry", {"error": error})))
    history = TrainingHistory(history=logged.history)
    return reported_model(bundle, address, logged=history, version=logged.version)


def _place(out: Path | None, name: str) -> Path:
    file = UNFIT.sub("-", name) + "-report.html"
    if out is None:
        return Path(file)
    return out / file if out.is_dir() else out


def _rows(request: PageRequest, bundle: Bundle) -> tuple[HeldOutRows | Gap | None, str]:
    """Returns the rows that are predicted, or why there are none, and the name of the recipe's baseline.

    Raises:
        MaasError: rows or a recipe that were named cannot be read; those of the model's own recipe are a gap.
    """
    if request.rows in (GOLDEN_ROWS, NO_ROWS):
        return Gap("gap_rows_unread", {"rows": request.rows}), ""
    if bundle.is_generative:
        return None, ""
    if request.rows != TEST:
        return rows_to_show(Path(request.rows), bundle, request.column, request.label), ""
    is_named = any(one.startswith(RECIPE_KEY) for one in request.line.overrides)
    if not is_named and bundle.manifest.lineage.recipe not in recipe_names(request.line.config_dir):
        return Gap("gap_recipe", {"recipe": bundle.manifest.lineage.recipe}), ""
    try:
        return _of_recipe(request, bundle, is_named=is_named)
    except MaasError as error:
        if is_named:
            raise
        return Gap("gap_rows", {"error": error}), ""


def _of_recipe(request: PageRequest, bundle: Bundle, *, is_named: bool) -> tuple[HeldOutRows | Gap, str]:
    lineage = bundle.manifest.lineage
    own = () if is_named else (f"{RECIPE_KEY}{lineage.recipe}", *_overrides(lineage.overrides))
    config = composed_config([*own, *request.line.overrides], request.line.config_dir)
    rows = load_rows(config)
    baseline = config.baseline.target.rpartition(".")[2] if config.baseline else ""
    if rows.record.fingerprint != lineage.data_fingerprint:
        return Gap("gap_other_rows"), baseline
    return HeldOutRows(rows.test, rows.labels, "rows_of_test"), baseline


def _overrides(overrides: Sequence[str]) -> list[str]:
    return [one for one in overrides if not one.startswith(RECIPE_KEY)]


if __name__ == "__main__":
    main()

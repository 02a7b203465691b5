"""All that a page shows of a model: what was known, and what its rows show."""

import logging
from dataclasses import dataclass, replace

from maas.errors import MaasError
from maas.reporting.examples import NO_EXAMPLES, ChosenExamples, NearRows, chosen_examples, neighbours, sample_texts
from maas.reporting.held_out import HeldOutRows
from maas.reporting.latencies import RowLatencies, row_latencies
from maas.reporting.predicting import PredictedRows, golden_rows, predicted_rows
from maas.reporting.subject import Gap, ReportedModel

log = logging.getLogger("maas")


@dataclass(frozen=True)
class ReportSettings:
    """What is done for a page beside reading what is there.

    Args:
        examples: rows of each kind that are shown; 0 shows no row at all.
        explains: whether parts of the shown rows are left out, to see what they add.
        measures: whether single rows are timed.
    """

    examples: int = 6
    explains: bool = True
    measures: bool = True


@dataclass(frozen=True)
class Findings:
    """What a page shows.

    Args:
        model: the model.
        rows: rows with targets and predictions; None where there are none.
        origin: where these come from: the key of a sentence.
        latencies: times of single rows; None where they were not measured.
        examples: rows to look at.
        near: pairs of rows whose vectors are near.
        texts: prompts and what follows them.
        baseline: name of what the evidence calls the baseline; empty where that is not known.
        shows_rows: whether rows may be shown.
        gaps: what is missing, and why.
    """

    model: ReportedModel
    rows: PredictedRows | None = None
    origin: str = ""
    latencies: RowLatencies | None = None
    examples: ChosenExamples = NO_EXAMPLES
    near: tuple[NearRows, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    baseline: str = ""
    shows_rows: bool = True
    gaps: tuple[Gap, ...] = ()


def findings_of(
    model: ReportedModel, rows: HeldOutRows | Gap | None, settings: ReportSettings, *, baseline: str = ""
) -> Findings:
    """Predicts rows, times some, and chooses what is shown; what fails is a gap.

    Args:
        model: the model.
        rows: rows that it has not learnt, or why there are none; None where none are wanted.
        settings: what is done.
        baseline: name of what the evidence calls the baseline.
    """
    empty = Findings(model, baseline=baseline, shows_rows=settings.examples > 0, gaps=model.gaps)
    if isinstance(rows, Gap):
        empty = replace(empty, gaps=(*empty.gaps, rows))
    try:
        return _of_texts(empty, settings) if model.bundle.is_generative else _of_rows(empty, rows, settings)
    except MaasError as error:
        return replace(empty, gaps=(*empty.gaps, Gap("gap_predictions", {"error": error})))


def _of_texts(empty: Findings, settings: ReportSettings) -> Findings:
    if not settings.examples or not settings.measures:
        return empty
    log.info("report    generating sample texts")
    return replace(empty, texts=tuple(sample_texts(empty.model.bundle, settings.examples)))


def _of_rows(empty: Findings, rows: HeldOutRows | Gap | None, settings: ReportSettings) -> Findings:
    bundle, found = empty.model.bundle, empty
    predicted = None
    if isinstance(rows, HeldOutRows):
        log.info("report    predicting rows")
        predicted = predicted_rows(bundle, rows.split, rows.labels)
        found = replace(found, rows=predicted, origin=rows.origin)
    shown = predicted or golden_rows(bundle)
    if settings.measures:
        found = replace(found, latencies=row_latencies(bundle, shown.inputs[:64]))
    if not settings.examples:
        return found
    if found.model.kind == "embedding":
        return replace(found, near=tuple(neighbours(bundle, shown)))
    log.info("report    choosing and explaining examples")
    return replace(found, examples=chosen_examples(bundle, shown, settings.examples, explains=settings.explains))

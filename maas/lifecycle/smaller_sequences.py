"""A bundle that translates or writes down speech, made smaller within a budget of chrF or word errors."""

import logging
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx

from maas.compression.candidates import CandidateBuilder
from maas.compression.naming import PARENT
from maas.compression.passes import PassContext
from maas.compression.search import Search
from maas.compression.sequence_evaluator import SequenceEvaluator
from maas.compression.store import CandidateStore
from maas.data.given import given_rows, parted
from maas.data.splits import Splits
from maas.errors import ConfigError, DataError, ParityError
from maas.evidence.comparing_texts import all_metrics, text_of_prediction, texts_drop, texts_metric, texts_value
from maas.evidence.machine import this_machine
from maas.evidence.metrics import wilson
from maas.evidence.model_plots import compression_picture
from maas.exporting.bundling import attach_evidence
from maas.exporting.sequence_bundling import rebuild_sequence_bundle
from maas.lifecycle.given import Given, new_folder
from maas.lifecycle.recipe import GraphRecipe
from maas.onnx_graphs.joining import parted_graphs
from maas.records.evidence import EVIDENCE_VERSION, CompressionRecord, Evidence, Parity
from maas.runtime.bundle import Bundle
from maas.runtime.bundle_files import EVIDENCE
from maas.runtime.postprocessors.translation import LOG_PROBABILITY

log = logging.getLogger("maas")


def compress_sequences(recipe: GraphRecipe, model: Bundle, given: Given, out: Path) -> CompressionRecord:
    """Writes the smallest bundle that keeps the budget, proven on rows that neither calibrated nor chose.

    Args:
        recipe: passes, budget and seed.
        model: a bundle in fp32 that translates or writes down speech.
        given: rows with the texts that they should become.
        out: folder to write, which must not be there.

    Raises:
        MaasError: rows, passes or model do not fit, or the proof contradicts the choice; nothing is written.
    """
    recipe.compression.require_no_pipeline(model.manifest.name)
    if model.manifest.precision != PARENT:
        raise ConfigError(
            f"{model.folder} holds {model.manifest.precision} of {model.manifest.name}; name the bundle in {PARENT} "
            "that it was made from."
        )
    if recipe.compression.budget.max_drop is None:
        raise ConfigError("compress.budget.max_drop is null, and nothing limits what texts may lose. Set e.g. 1.0.")
    model.check_golden()
    rows = _rows(model, given)
    with new_folder(out) as draft, tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        evaluator = SequenceEvaluator(model, rows.validation, place, recipe.seed)
        log.info("compress  %s; %s rows to choose by", ", ".join(recipe.compression.passes), evaluator.size)
        context = PassContext(None, rows, None, place / "candidates", recipe.seed)
        store = CandidateStore(place / "candidates", f"{recipe.digest} {rows.record.fingerprint}")
        found = Search(CandidateBuilder(evaluator, context, recipe.compression, store)).run()
        record = found.record
        log.info("compress  chosen: %s. %s", record.chosen, record.reason)
        graphs = parted_graphs(onnx.load(found.chosen.model(record.chosen)))
        bundle = rebuild_sequence_bundle(draft, parent=model, graphs=graphs, precision=record.chosen)
        attach_evidence(bundle, _proven(bundle, model, rows, record))
        compression_picture(record, draft / "compression.png")
    return record


def _rows(model: Bundle, given: Given) -> Splits:
    """Returns rows in thirds, with texts.

    Raises:
        DataError: they cannot be read, are too few, or have no texts.
    """
    table = given_rows(given.calibration, model.load_processor(), (), given.input, given.label)
    rows = parted(table, (), given.calibration, are_texts=True)
    if rows.validation.targets is None:
        raise DataError(f"{given.calibration} names no texts that its rows should become. Set label=COLUMN of a table.")
    return rows


def _proven(bundle: Bundle, parent: Bundle, rows: Splits, compression: CompressionRecord) -> Evidence:
    """Returns what is claimed of a bundle, on the last third of the rows.

    Raises:
        ParityError: it loses more than the budget allows, even at the lower end of the interval.
    """
    test, metric = rows.test, texts_metric(parent, None)
    wanted = list(test.targets if test.targets is not None else ())
    found = [one.make_predictor().predict(list(test.inputs)) for one in (parent, bundle)]
    before, after = (list(map(text_of_prediction, one)) for one in found)
    drop = texts_drop(metric, before, after, wanted)
    allowed = float(compression.budget["max_drop"] or 0.0)
    if compression.chosen != PARENT and drop.low > allowed:
        raise ParityError(
            f"On the rows of the proof, {compression.chosen} loses {drop.value:.2f} percentage points, at least "
            f"{drop.low:.2f}; allowed is {allowed:g}. Nothing was written. Give more rows, or leave the pass out.",
            found=drop.low,
            allowed=allowed,
        )
    same = wilson(sum(one == other for one, other in zip(before, after, strict=True)), len(wanted))
    logs = [np.array([one[LOG_PROBABILITY] for one in part]) for part in found]
    difference = float(np.abs(logs[0] - logs[1]).max())
    log.info("verify    %s %s, was %s", metric, texts_value(metric, after, wanted), texts_value(metric, before, wanted))
    return Evidence(
        schema_version=EVIDENCE_VERSION,
        manifest_sha256=bundle.digest,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=this_machine(),
        data=rows.record,
        metrics={name: all_metrics(parent, texts, wanted) for name, texts in (("trained", before), ("shipped", after))},
        parity=(
            *_parities_of(parent),
            Parity(PARENT, "shipped", len(wanted), difference, None, same),
        ),
        compression=compression,
        seconds={},
        parent_sha256=parent.digest,
    )


def _parities_of(parent: Bundle) -> tuple[Parity, ...]:
    """Returns how the parent itself compared with its framework; nothing where it has no evidence."""
    return parent.evidence.parity if (parent.folder / EVIDENCE).exists() else ()

"""What a model predicts for rows that it has not learnt: as many of them as a minute allows, evenly spaced."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.data.splits import Split
from maas.errors import DataError
from maas.evidence.transcript_metrics import plain_words
from maas.runtime.bundle import Bundle
from maas.runtime.postprocessors.translation import SPOKEN_TEXT, TRANSLATED_TEXT

MOST_ROWS, MOST_TEXTS = 20_000, 500
"""Rows that are predicted at most; of models that give texts, whose scores are long."""
TRIED_ROWS = 8
LIMIT_S = 45.0
"""Seconds that predictions may take, as far as the first few rows show."""


@dataclass(frozen=True)
class PredictedRows:
    """Raw rows with their predictions.

    Args:
        inputs: N raw rows.
        targets: positions of labels, numbers, or texts, (N,); None where rows have none.
        scores: plain numbers of the model, (N, K).
        predictions: as callers receive them, N.
        total: number of rows that there were.
        labels: the K names; none where predictions are no labels.
    """

    inputs: Sequence[Any]
    targets: NDArray[Any] | None
    scores: NDArray[Any]
    predictions: Sequence[dict[str, Any]]
    total: int
    labels: tuple[str, ...]

    @property
    def is_right(self) -> NDArray[np.bool_] | None:
        """Whether each prediction is the target, (N,); None where rows have none, or predictions are numbers."""
        if self.targets is None or self.targets.ndim != 1 or self.targets.dtype.kind == "f":
            return None
        if self.targets.dtype.kind == "O":
            pairs = zip(self.predictions, self.targets, strict=True)
            return np.array([is_same_text(prediction, str(wanted)) for prediction, wanted in pairs], dtype=bool)
        if not self.labels:
            return None
        same: NDArray[np.bool_] = self.scores.argmax(axis=1) == self.targets
        return same

    @property
    def errors(self) -> NDArray[np.float64] | None:
        """Predicted minus true number, (N,); None where predictions are no numbers or rows have no targets."""
        if self.targets is None or self.targets.ndim != 1 or self.targets.dtype.kind != "f":
            return None
        difference: NDArray[np.float64] = self.scores[:, 0].astype(np.float64) - self.targets
        return difference


def predicted_rows(bundle: Bundle, rows: Split, labels: Sequence[str], *, limit_s: float = LIMIT_S) -> PredictedRows:
    """Predicts rows.

    Args:
        bundle: a model that predicts.
        rows: that it has not learnt.
        labels: names of the targets, where they are labels.
        limit_s: seconds that it may take; of more rows, some are taken, evenly spaced.

    Raises:
        DataError: the targets are none of the model's.
        MaasError: a row cannot be understood, or the golden outputs are others.
    """
    kind, own = bundle.manifest.postprocessor["kind"], label_names(bundle)
    if own and rows.targets is not None and tuple(labels) != own:
        raise DataError(f"the rows have the labels {', '.join(labels) or 'none'}, the model {', '.join(own)}")
    predictor = bundle.checked_predictor
    started = time.monotonic()
    probed = list(rows.spread(1 if bundle.manifest.search else TRIED_ROWS).inputs)
    predictor.outputs(probed)
    row_s = (time.monotonic() - started) / len(probed)
    most = MOST_ROWS if kind in ("classification", "regression") else MOST_TEXTS
    chosen = rows.spread(max(1, min(most, int(limit_s / row_s))))
    inputs = list(chosen.inputs)
    outputs = predictor.outputs(inputs)
    scores, predictions = predictor.postprocessor.scores(outputs), predictor.postprocessor.predictions(outputs)
    return PredictedRows(inputs, chosen.targets, scores, predictions, len(rows), own)


def golden_rows(bundle: Bundle) -> PredictedRows:
    """Returns the golden inputs of a bundle that predicts, with what it gave to them when it was made."""
    golden = bundle.golden
    scores = np.asarray(golden.scores)
    return PredictedRows(golden.inputs, None, scores, golden.predictions, len(golden.inputs), label_names(bundle))


def label_names(bundle: Bundle) -> tuple[str, ...]:
    """Returns the names of which a model predicts one for each row; none where predictions are something else."""
    record = bundle.manifest.postprocessor
    return tuple(record["labels"]) if record.get("kind") == "classification" else ()


def is_same_text(prediction: dict[str, Any], wanted: str) -> bool:
    """Returns whether a predicted text is the one that is wanted; what is said is compared by its words alone."""
    found = text_of(prediction)
    return found == wanted or (SPOKEN_TEXT in prediction and plain_words(found) == plain_words(wanted))


def text_of(prediction: dict[str, Any]) -> str:
    """Returns the text of a prediction that is one."""
    return str(prediction.get(SPOKEN_TEXT, prediction.get(TRANSLATED_TEXT, "")))

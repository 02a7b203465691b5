"""Measuring candidates on validation rows, with the settings that the model is served with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maas.compression.passes import Calibration
from maas.compression.passes.base import Feeds
from maas.data.splits import Split
from maas.evidence.benchmark import interleaved, latency
from maas.evidence.judges import BaseJudge
from maas.evidence.judges.base import Predictions
from maas.runtime.evidence import Interval, Latency
from maas.runtime.predictor import Predictor

LATENCY_BATCHES = 8
BATCH_EFFECT_ROWS = 64


@dataclass(frozen=True)
class Bench:
    """Where candidates are judged.

    Args:
        parent: a predictor over the uncompressed model.
        validation: rows that training did not see; the test split is not touched.
        judge: of this kind of answer.
        metric: the recipe's metric; None where rows have no targets.
        calibration: training rows for passes.
    """

    parent: Predictor
    validation: Split
    judge: BaseJudge
    metric: str | None
    calibration: Calibration

    def predictor(self, model: Path) -> Predictor:
        """Builds a predictor like the parent's over another ONNX file."""
        parent = self.parent
        return Predictor(model, parent.processor, parent.answer, batch_size=parent.batch_size, threads=parent.threads)

    def predictions(self, predictor: Predictor) -> Predictions:
        """Returns the plain numbers of the validation rows, (N, K)."""
        return predictor.predictions(self.validation.inputs)

    def value(self, predictions: Predictions) -> Interval | None:
        """Returns the recipe's metric; None where rows have no targets."""
        if self.metric is None or self.validation.targets is None:
            return None
        return self.judge.metrics(self.validation.targets, predictions, self.calibration.seed)[self.metric]

    def drop(self, parent: Predictions, child: Predictions) -> Interval | None:
        """Returns the points that the child loses against the parent; None where rows have no targets."""
        if self.metric is None or self.validation.targets is None:
            return None
        return self.judge.drop(self.validation.targets, parent, child, self.metric, self.calibration.seed)

    def batch_effect(self, predictor: Predictor) -> float:
        """Returns the largest change of a plain number when a row is answered alone instead of in a full batch."""
        rows = self.validation.spread(BATCH_EFFECT_ROWS).inputs
        together = predictor.predictions(rows)
        alone = np.concatenate([predictor.predictions([row]) for row in rows])
        return float(np.abs(together - alone).max() / self.judge.scale(together))

    def latencies(self, predictors: Mapping[str, Predictor], against: str) -> dict[str, Latency]:
        """Times the same real batches on every model, in turns.

        Args:
            predictors: by name.
            against: the name that ratios refer to.
        """
        parent, feeds = self.parent, self.timed_feeds()

        def run(predictor: Predictor) -> None:
            for feed in feeds:
                predictor.session.run(None, feed)

        times = interleaved({name: (lambda one=one: run(one)) for name, one in predictors.items()})  # type: ignore[misc]
        return {
            name: latency(values / len(feeds), times[against] / len(feeds), parent.batch_size, parent.threads)
            for name, values in times.items()
        }

    def timed_feeds(self) -> list[Feeds]:
        """Returns the batches that models are timed on: full ones, evenly spread over the rows."""
        parent = self.parent
        features = parent.encode(self.validation.inputs)
        full = [batch for batch in parent.batches(features) if len(batch) == parent.batch_size]
        batches = _spread(full, LATENCY_BATCHES) or [list(range(len(features)))[: parent.batch_size]]
        return [parent.processor.collate([features[index] for index in batch]) for batch in batches]


def _spread(items: Sequence[Any], count: int) -> list[Any]:
    """Returns at most `count` items, evenly spaced."""
    return [items[index] for index in np.linspace(0, len(items) - 1, min(count, len(items))).astype(int)]

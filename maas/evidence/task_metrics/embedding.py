"""Vectors: nothing to be right or wrong about; two models can still be compared."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.errors import ConfigError
from maas.evidence.task_metrics.base import Scores, TaskMetrics
from maas.records.evidence import Interval

CLOSE_COSINE = 0.99
"""Two vectors agree if their cosine is at least this."""


class EmbeddingMetrics(TaskMetrics):
    """Compares vectors (N, D) with a reference's by their cosine."""

    kind: ClassVar[str] = "embedding"
    drop_scale: ClassVar[Mapping[str, float]] = {}

    def compute(self, targets: NDArray[Any], predictions: Scores, seed: int = 0) -> dict[str, Interval]:
        """Returns nothing: there are no right vectors.

        Raises:
            ConfigError: targets were given.
        """
        raise ConfigError("Embeddings have no targets to be evaluated with. Set data.target=none.")

    def drop(self, targets: NDArray[Any], parent: Scores, child: Scores, metric: str, seed: int = 0) -> Interval:
        """See `compute`."""
        raise ConfigError("Embeddings have no targets to be evaluated with. Set data.target=none.")

    def agrees(self, reference: Scores, found: Scores) -> NDArray[np.bool_]:
        """Compares directions."""
        lengths = np.linalg.norm(reference, axis=1) * np.linalg.norm(found, axis=1)
        near: NDArray[np.bool_] = (reference * found).sum(axis=1) >= CLOSE_COSINE * lengths
        return near

    def as_scores(self, targets: NDArray[Any]) -> Scores:
        """Returns the vectors."""
        return targets

"""Texts made of others, by how likely they are; what is right or wrong about them shows in the texts themselves."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.errors import ConfigError
from maas.evidence.task_metrics.base import Scores, TaskMetrics
from maas.records.evidence import Interval
from maas.runtime.postprocessors.translation import TOLERANCE_IN_NATS

NO_SCORES = (
    "How good translations are shows in their texts, and not in numbers: it is in the evidence of their export. "
    "Compare bundles by their evidence."
)


class TranslationMetrics(TaskMetrics):
    """Compares log probabilities (N, 1); `maas.evidence.translation_metrics` compares texts."""

    kind: ClassVar[str] = "translation"
    drop_scale: ClassVar[Mapping[str, float]] = {}

    def compute(self, targets: NDArray[Any], predictions: Scores, seed: int = 0) -> dict[str, Interval]:
        """Returns nothing: log probabilities are neither right nor wrong.

        Raises:
            ConfigError: targets were given.
        """
        raise ConfigError(NO_SCORES)

    def drop(self, targets: NDArray[Any], parent: Scores, child: Scores, metric: str, seed: int = 0) -> Interval:
        """See `compute`."""
        raise ConfigError(NO_SCORES)

    def agrees(self, reference: Scores, found: Scores) -> NDArray[np.bool_]:
        """Compares log probabilities: those of other texts are other ones."""
        near: NDArray[np.bool_] = (np.abs(reference - found) <= TOLERANCE_IN_NATS).all(axis=1)
        return near

    def as_scores(self, targets: NDArray[Any]) -> Scores:
        """Returns the log probabilities."""
        return targets

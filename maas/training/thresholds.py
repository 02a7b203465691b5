"""Thresholds of labels, chosen on validation rows; they travel with the postprocessor from then on."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.errors import ConfigError
from maas.runtime.postprocessors import Postprocessor, load_postprocessor
from maas.scoring.thresholds import ThresholdRule, chosen_threshold

log = logging.getLogger("maas")


def with_thresholds(
    postprocessor: Postprocessor, targets: NDArray[Any], probabilities: NDArray[Any], rule: ThresholdRule
) -> Postprocessor:
    """Returns a postprocessor that predicts labels by thresholds.

    Args:
        postprocessor: names the labels.
        targets: positions of labels, (N,), or which labels rows have, (N, K).
        probabilities: (N, K), of rows that training did not see.
        rule: how a threshold is chosen: that of the second of two labels, or that of each label against the rest; of
            sets, that of each label by itself.

    Raises:
        ConfigError: rows have one label alone, nothing reaches what is required, or several labels compete for it.
    """
    labels = postprocessor.labels
    if targets.ndim == 2:
        found = {name: _threshold(targets[:, at] > 0, probabilities[:, at], rule) for at, name in enumerate(labels)}
        return _with(postprocessor, found, rule)
    if len(labels) > 2 and rule.at_least is not None:
        raise ConfigError(
            f"threshold is {rule}, and there are {len(labels)} labels, which compete for a row: none is sure to reach "
            "it. Set e.g. threshold=f1."
        )
    if len(np.unique(targets)) < 2:
        raise ConfigError(
            f"threshold is {rule}, and all {len(targets):,} validation rows have one label. Set threshold=null, or see "
            "how the rows were split."
        )
    compared = [1] if len(labels) == 2 else list(range(len(labels)))
    found = {labels[label]: _threshold(targets == label, probabilities[:, label], rule) for label in compared}
    return _with(postprocessor, found, rule)


def _with(postprocessor: Postprocessor, found: Mapping[str, float], rule: ThresholdRule) -> Postprocessor:
    log.info("train     %s by %s", ", ".join(f"{name} from {value:.4f}" for name, value in found.items()), rule)
    return load_postprocessor({**postprocessor.record(), "thresholds": list(found.values())})


def _threshold(is_own: NDArray[np.bool_], probabilities: NDArray[Any], rule: ThresholdRule) -> float:
    """Returns a label's threshold; a half where no row, or every row, is of the label."""
    return chosen_threshold(is_own, probabilities, rule) if 0 < is_own.sum() < len(is_own) else 0.5

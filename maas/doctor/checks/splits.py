"""Splits on which figures mean nothing: rows that come again, metrics that cannot move."""

import math
import unicodedata
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.data.contents import content_digest
from maas.data.splits import Split
from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck

MOST_LEAKED = 0.01
"""Fraction of a held-out split that training has seen: one in a hundred moves a metric by about a point."""
FLAGRANT = 0.05
"""Fraction from which figures on that split mean nothing for new rows."""
MOST_REPEATED = 0.2
"""Fraction of training rows that repeat another: then an epoch is in truth shorter, and some rows count twice."""
MOST_FILES = 2000
"""Files of a split that are read; of other rows, all are."""


def check_repeats(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Evaluating on rows that training has seen, the best known leak; texts are equal whatever their case and blanks.

    Source:
        Kapoor and Narayanan, Leakage and the reproducibility crisis in ML-based science, arXiv:2207.07048, L1.4.
    """
    keys = {name: _keys(split) for name, split in recipe.by_name.items()}
    for name in ("validation", "test"):
        fraction = np.isin(keys[name], keys["train"]).sum() / max(1, len(keys[name]))
        if fraction > MOST_LEAKED:
            yield Finding(
                "error" if fraction > FLAGRANT else "warning",
                f"data, the {name} split",
                f"{fraction:.1%} of its rows stand in training, too (case, blanks and forms of characters aside).",
                "Remove the repeats, or split by what they share, e.g. with maas.data.splits.prepare.",
            )
    fraction = _repeated(keys["train"], recipe.targets("train"))
    if fraction > MOST_REPEATED:
        yield Finding(
            "warning",
            "data, the train split",
            f"{fraction:.1%} of its rows repeat another one.",
            "Remove the repeats, and weigh classes by objective.loss.class_weights if that was their purpose.",
        )


def _repeated(keys: NDArray[np.int64], targets: NDArray[Any]) -> float:
    """Returns the fraction of rows that repeat another's key and target."""
    if not len(keys):
        return 0.0
    columns = [keys, *np.atleast_2d(targets[: len(keys)].T)] if len(targets) else [keys]
    order = np.lexsort(columns)
    differs = np.any([column[order][1:] != column[order][:-1] for column in columns], axis=0)
    return 1 - (1 + float(differs.sum())) / len(keys)


def _keys(split: Split) -> NDArray[np.int64]:
    """Returns a hash of each row, 64 bits: among n rows, n² / 2⁶⁵ of them are taken for repeats by chance.

    It is one of text, as Python's of numbers is not that good: those of -1 and -2 are the same.
    """
    is_files = len(split) and isinstance(split.inputs[0], Path)
    looked_at = split.spread(MOST_FILES) if is_files else split
    keys = map(content_digest if is_files else _key, looked_at.inputs)
    return np.fromiter((hash(repr(key)) for key in keys), np.int64, len(looked_at))


def _key(value: object) -> Hashable:
    """Returns what equal rows share."""
    if isinstance(value, str):
        return " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    if isinstance(value, dict):
        return tuple(_key(value[name]) for name in sorted(value))
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    if isinstance(value, list | tuple):
        return tuple(_key(one) for one in value)
    if isinstance(value, float):
        return "missing" if math.isnan(value) else int(value) if value.is_integer() else float(value)
    return value if isinstance(value, Hashable) else content_digest(value)


LARGEST_MAJORITY = 0.95
"""Fraction of one label from which always answering it looks like a good accuracy."""
FEWEST_VALIDATION_ROWS = 10
"""With fewer, one row moves a fraction by more than ten points."""


def check_dead_metric(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Choosing an epoch by a figure that stays as it is: one target to validate on, or accuracy where one label is all.

    Source:
        He and Garcia, Learning from imbalanced data, 2009, §4.1: accuracy is blind to a rare label.
    """
    targets, metric = recipe.targets("validation"), recipe.training.metric
    if metric is None or not len(targets):
        return
    values, counts = np.unique(targets, return_counts=True)
    fraction = counts.max() / counts.sum()
    if len(values) == 1:
        yield Finding(
            "error",
            "data, the validation split",
            f"all {len(targets)} rows have the same target, so {metric} means nothing.",
            "Raise data.validation_fraction, or see how the rows were split.",
        )
    elif recipe.labels and metric == "accuracy" and fraction >= LARGEST_MAJORITY:
        label = recipe.labels[int(values[counts.argmax()])]
        yield Finding(
            "warning",
            "metric",
            f"{fraction:.1%} of the validation rows are {label}: predicting it always has accuracy {fraction:.3f}.",
            "Set metric=f1.",
        )
    elif len(targets) < FEWEST_VALIDATION_ROWS:
        remedy = "Raise data.validation_fraction, or add rows."
        yield Finding("warning", "data, the validation split", f"it has {len(targets)} rows.", remedy)

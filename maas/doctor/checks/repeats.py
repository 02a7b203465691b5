"""Rows that come again, in training and across splits."""

import math
import unicodedata
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from maas.data.splits import Split, content_digest
from maas.doctor.finding import Finding
from maas.doctor.patient import Patient

MOST_LEAKED = 0.01
"""Share of a judging split that training has seen: one in a hundred moves a metric by about a point."""
FLAGRANT = 0.05
"""Share from which figures on that split no longer say anything of new rows."""
MOST_REPEATED = 0.2
"""Share of training rows that repeat another: then an epoch is in truth shorter, and some rows count several times."""
MOST_FILES = 2000
"""Files of a split that are read; of other rows all are looked at."""


def check(patient: Patient) -> Iterator[Finding]:
    """Judging by rows that training has seen, the best known leak; texts are equal whatever their case and blanks.

    Source:
        Kapoor and Narayanan, Leakage and the reproducibility crisis in ML-based science, arXiv:2207.07048, L1.4.
    """
    keys = {name: _keys(split) for name, split in patient.by_name.items()}
    seen = set(keys["train"])
    for name in ("validation", "test"):
        share = sum(key in seen for key in keys[name]) / max(1, len(keys[name]))
        if share > MOST_LEAKED:
            yield Finding(
                "error" if share > FLAGRANT else "warning",
                f"data, the {name} split",
                f"{share:.1%} of its rows stand in training, too (case, blanks and forms of characters aside).",
                "Remove the repeats, or split by what they share, e.g. with maas.data.splits.prepare.",
            )
    targets = patient.targets("train")
    rows = list(zip(keys["train"], targets.tolist(), strict=False)) if len(targets) else keys["train"]
    share = 1 - len(set(rows)) / max(1, len(rows))
    if share > MOST_REPEATED:
        yield Finding(
            "warning",
            "data, the train split",
            f"{share:.1%} of its rows repeat another one.",
            "Remove the repeats, and weigh classes by objective.loss.class_weights if that was their purpose.",
        )


def _keys(split: Split) -> list[Hashable]:
    if len(split) and isinstance(split.inputs[0], Path):
        return [content_digest(path) for path in split.spread(MOST_FILES).inputs]
    return [_key(value) for value in split.inputs]


def _key(value: Any) -> Hashable:
    """Returns what equal rows share."""
    if isinstance(value, str):
        return " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    if isinstance(value, dict):
        return tuple(_key(value[name]) for name in sorted(value))
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    if isinstance(value, list | tuple):
        return tuple(_key(one) for one in value)
    if isinstance(value, float) and math.isnan(value):
        return "missing"
    return value if isinstance(value, Hashable) else content_digest(value)

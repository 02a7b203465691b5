"""Rows that a page may measure a model on: those of a split, or of a file that a user names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maas.data.given import given_rows
from maas.data.splits import Split
from maas.errors import DataError
from maas.reporting.predicting import label_names
from maas.runtime.bundle import Bundle


@dataclass(frozen=True)
class HeldOutRows:
    """Rows to measure a model on.

    Args:
        split: the rows.
        labels: names of the targets; none where they are no labels.
        origin: where they come from: the key of a sentence.
    """

    split: Split
    labels: tuple[str, ...]
    origin: str


def rows_to_show(path: Path, bundle: Bundle, column: str | None, label: str | None) -> HeldOutRows:
    """Reads all rows of a file; where some have targets, those alone.

    Args:
        path: a folder of pictures or sounds, a file of lines, a table, or arrays.
        bundle: the model, whose processor says what a row is.
        column: column of a table that holds the inputs; None for the processor's own name of a row.
        label: column of a table that holds the targets; None for rows without targets.

    Raises:
        DataError: the rows cannot be read as such, or their targets are none of the model's.
    """
    labels = label_names(bundle)
    table = given_rows(path, bundle.load_processor(), labels, column, label)
    wanted = list(table["label"])
    kept = [place for place, value in enumerate(wanted) if value is not None]
    everything = Split(table["input"], None)
    if not kept:
        return HeldOutRows(everything, labels, "rows_of_file")
    targets = _targets([str(wanted[place]) for place in kept], bundle, labels, path)
    return HeldOutRows(Split(everything.picked(kept).inputs, targets), labels, "rows_of_file")


def _targets(wanted: Sequence[str], bundle: Bundle, labels: Sequence[str], path: Path) -> NDArray[np.generic]:
    if labels:
        if unknown := sorted(set(wanted) - set(labels)):
            raise DataError(f"{path} has the labels {', '.join(unknown)}; those of the model are {', '.join(labels)}.")
        positions = {name: place for place, name in enumerate(labels)}
        return np.array([positions[value] for value in wanted])
    if bundle.manifest.postprocessor.get("kind") != "regression":
        return np.array(wanted, dtype=object)
    try:
        return np.array(wanted, dtype=np.float64)
    except ValueError as error:
        raise DataError(f"{path} has targets that are no numbers: {error}. Name another column by label=.") from error

"""Golden outputs: on a machine that may serve a bundle, it predicts some inputs as it did when it was made."""

import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.records.older import golden_today
from maas.runtime.bundle_files import read_record
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors import Postprocessor

TOLERANCE = 1e-4
"""In the unit of the prediction: of a probability, of a vector of length 1, or in standard deviations of values."""


class GoldenOutputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the bundle gave when it was made.

    Args:
        scores: those of the model, a row each.
        predictions: what a caller received, a row each.
    """

    scores: list[list[float]]
    predictions: list[dict[str, Any]]


@dataclass(frozen=True)
class Golden:
    """Raw inputs and what the bundle gave for them when it was made.

    Args:
        inputs: raw rows.
        scores: those of the model, a row each.
        predictions: what a caller received, a row each.
    """

    inputs: list[Any]
    scores: list[list[float]]
    predictions: list[dict[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads them from a bundle's folder of golden rows.

        Raises:
            BundleError: a file is missing or cannot be read.
        """
        inputs = read_record(folder / "inputs.json", list[Any])
        outputs = read_record(folder / "outputs.json", GoldenOutputs, today=golden_today)
        return cls(inputs, outputs.scores, outputs.predictions)


def compared_with_golden(
    golden: Golden, postprocessor: Postprocessor, outputs: Outputs, tolerance: float
) -> tuple[float, str]:
    """Compares what a model gives for the golden inputs with what it gave.

    Numbers may differ by what the kind of prediction tolerates. Names must be the same, unless two of a row's
    predictions are so close that they may have changed places: labels that were exchanged since are found.

    Args:
        golden: inputs and outputs.
        postprocessor: names the outputs.
        outputs: of the graph for these inputs.
        tolerance: the largest difference allowed, in the unit of the prediction.

    Returns:
        The largest difference of a prediction, and what is wrong, as the rest of a sentence; empty if nothing is.
    """
    tensors = postprocessor.tensors(outputs)
    for spec in postprocessor.specs:
        if not spec.matches(tensors[spec.name]):
            shapes = f"{tensors[spec.name].shape}, while its manifest's postprocessor has {spec.shape}"
            return np.inf, f"gives {spec.name} of shape {shapes}. Export the model again."
    found = postprocessor.scores(outputs).astype(np.float64)
    widths = sorted({len(row) for row in golden.scores})
    if found.shape != (len(golden.scores), *widths):
        shape = (len(golden.scores), *widths)
        return np.inf, f"has golden outputs of shape {shape}, the model's are {found.shape}."
    wanted = np.array(golden.scores)
    differences, allowed = np.abs(found - wanted), postprocessor.tolerated(wanted, tolerance)
    worst = np.unravel_index(np.argmax(np.nan_to_num(differences / allowed, nan=np.inf)), differences.shape)
    largest = float(differences.max())
    if not (differences <= allowed).all():
        return largest, (
            f"predicts its golden inputs otherwise than when it was made: a prediction differs by "
            f"{differences[worst]:.3g}, at most {allowed[worst]:g} is allowed. It must not be served on this machine."
        )
    return largest, _other_names(golden, postprocessor.predictions(outputs), postprocessor.ties(wanted, allowed))


def _other_names(golden: Golden, found: list[dict[str, Any]], is_close: NDArray[np.bool_]) -> str:
    """Returns which answer has another name than it had; empty where all are alike."""
    if len(found) != len(golden.predictions):
        return f"has {len(golden.predictions)} golden outputs for {len(found)} inputs; export the model again."
    for row, (one, other) in enumerate(zip(found, golden.predictions, strict=True)):
        if one.keys() != other.keys() or (_names(one) != _names(other) and not is_close[row]):
            return (
                f"predicts golden input {row} by {_shown(one)}, and did by {_shown(other)} when it was made, while its "
                "numbers are the same: its manifest was altered. Export the model again."
            )
    return ""


def _names(prediction: dict[str, Any]) -> dict[str, str]:
    """Returns what a prediction names: a label or a text; of labels those that are there, and all; ranked items."""
    named = {key: value for key, value in prediction.items() if isinstance(value, str)}
    for key, value in prediction.items():
        if isinstance(value, dict) or (isinstance(value, list) and all(isinstance(one, str) for one in value)):
            named[key] = ", ".join(value)
        elif isinstance(value, list) and isinstance(value[0], dict):
            named[key] = ", ".join(name for one in value for name in one.values() if isinstance(name, str))
    return named


def _shown(postprocessor: dict[str, Any]) -> str:
    return reprlib.repr(", ".join(_names(postprocessor).values() or postprocessor))

"""Does a checkpoint hold all of a model? Opened again, it must give rows the outputs that the model in memory gives."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from maas.errors import CheckpointError
from maas.importing.base import ImportedModel
from maas.runtime.codec import ModelInputs, Outputs, Run
from maas.runtime.model import outputs_in_batches
from maas.runtime.processors import Processor
from maas.training.held_state import Held, differences

REOPENED_ROWS = 256
"""Validation rows that both answer: enough to meet what is rare, few enough for a big net."""
REOPENED_TEXTS = 8
"""Likewise of a net that gives logits at each token, which take much memory."""
BATCH_ROWS = 32
REOPENED_TOLERANCE = 1e-5
"""Of an output, as a fraction of the outputs' spread: the same operations on one machine give the same bits, but where
a kernel adds up weights in another order because they lie otherwise in memory."""
ULPS = 4
"""Steps of float32 at the largest output that count as rounding, however narrow the spread is."""


TOKEN_LOGITS = 3
"""Axes of logits at each token or frame, (N, T, V)."""


class Reopened(Protocol):
    """A checkpoint, once it is opened again."""

    def model(self) -> nn.Module | ImportedModel:
        """Returns the model that it holds."""

    def processor(self) -> Processor:
        """Returns the processor that it holds."""


def require_same_outputs(
    name: str, model: nn.Module | ImportedModel, processor: Processor, reopened: Reopened, rows: Sequence[Any]
) -> None:
    """Compares a model with what its checkpoint gives.

    Args:
        name: of the model, for messages.
        model: in memory: a net in evaluation mode, on the CPU, or an imported model.
        processor: that it was trained with.
        reopened: the checkpoint, which gives a model and a processor.
        rows: raw inputs.

    Raises:
        CheckpointError: they answer otherwise, or the model does so each time; the attribute is named.
    """
    few, again, run = rows[:BATCH_ROWS], reopened.model(), outputs_of(model)
    if differing(_answered(run, processor, few), _answered(run, processor, few)).any():
        raise CheckpointError(
            f"{name} is random: it gives other outputs each time for the same rows, so nothing that is made of it can "
            "answer alike. Pass training=self.training to functional dropout, and draw random numbers in training "
            "alone."
        )
    expected = _answered(run, processor, rows)
    found = _answered(outputs_of(again), reopened.processor(), rows)
    wrong = differing(expected, found)
    if wrong.any():
        raise CheckpointError(
            f"{name} gives {int(wrong.sum())} of {len(rows)} validation rows other outputs once its checkpoint is "
            f"opened again. {_reason(model, again, processor, reopened.processor(), rows[int(np.argmax(wrong))])}"
        )


def outputs_of(model: nn.Module | ImportedModel) -> Run:
    """Returns how a model gives plain outputs, before any activation, under the name `outputs`."""

    def run(model_inputs: ModelInputs) -> Outputs:
        if isinstance(model, ImportedModel):
            return {"outputs": model.outputs(model_inputs)}
        with torch.inference_mode():
            found = model(**{name: torch.from_numpy(array) for name, array in model_inputs.items()})
            mean = found.mean(1) if found.ndim == TOKEN_LOGITS else found  # batches may have other numbers of tokens
            return {"outputs": mean.float().numpy()}

    return run


def differing(expected: NDArray[Any], found: NDArray[Any]) -> NDArray[np.bool_]:
    """Returns for each row whether its outputs differ by more than rounding.

    Args:
        expected: (N, …)
        found: (N, …)

    Returns:
        bool (N,)
    """
    if expected.shape != found.shape:
        return np.ones(len(expected), dtype=bool)
    left, right = (array.reshape(len(array), -1).astype(np.float64) for array in (expected, found))
    finite = left[np.isfinite(left)]
    spread, largest = (np.ptp(finite), np.abs(finite).max()) if finite.size else (0.0, 0.0)
    allowed = REOPENED_TOLERANCE * spread + ULPS * np.finfo(np.float32).eps * largest
    with np.errstate(invalid="ignore"):
        is_same = (np.abs(left - right) <= allowed) | (left == right) | (np.isnan(left) & np.isnan(right))
    wrong: NDArray[np.bool_] = ~is_same.all(axis=1)
    return wrong


def to_blame(net: nn.Module, reopened: nn.Module, model_inputs: ModelInputs) -> list[Held]:
    """Returns what a net holds beside its weights and its outputs depend on.

    Args:
        net: in memory.
        reopened: the same net, built again, with the same weights; it is left as it is.
        model_inputs: of some rows, for which both give other outputs.

    Returns:
        What changes the outputs of `reopened` when it alone is carried over; all that differs, where nothing does.
    """
    held = list(differences(net, reopened))
    before = outputs_of(reopened)(model_inputs)["outputs"]
    return [one for one in held if _matters(one, reopened, model_inputs, before)] or held


def _matters(one: Held, net: nn.Module, model_inputs: ModelInputs, before: NDArray[Any]) -> bool:
    one.put_(net, one.here)
    try:
        return bool(differing(before, outputs_of(net)(model_inputs)["outputs"]).any())
    except Exception:  # noqa: BLE001 - carried over alone, it may not fit what else the module holds
        return True
    finally:
        one.put_(net, one.there)


def _reason(
    model: nn.Module | ImportedModel,
    again: nn.Module | ImportedModel,
    processor: Processor,
    processor_again: Processor,
    row: object,
) -> str:
    """Says what is lost, and what to do."""
    model_inputs, model_inputs_again = (one.batch(one.preprocess([row])) for one in (processor, processor_again))
    if any(not np.array_equal(model_inputs[name], model_inputs_again[name], equal_nan=True) for name in model_inputs):
        return (
            f"The {processor.kind} processor gives other inputs once it is opened: its save() loses what fit() learnt."
        )
    if not (isinstance(model, nn.Module) and isinstance(again, nn.Module)):
        return "Its save() and load() lose what fit() learnt."
    blamed = to_blame(model, again, model_inputs)
    if not blamed:
        return (
            "A checkpoint holds parameters and buffers, and no attribute of the net's modules differs: look for state "
            "in global variables and closures, and keep it in a buffer."
        )
    named, more = ", ".join(map(str, blamed[:3])), f" and {len(blamed) - 3} more" if len(blamed) > 3 else ""
    return (
        f"A checkpoint holds parameters and persistent buffers, and not {named}{more}: {blamed[0].remedy}, and train "
        "again."
    )


def _answered(run: Run, processor: Processor, rows: Sequence[Any]) -> NDArray[Any]:
    return outputs_in_batches(processor, rows, BATCH_ROWS, run)["outputs"]

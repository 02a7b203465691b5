"""Logits and targets that do not fit, and losses that are no number."""

import math
from collections.abc import Iterator

from torch import Tensor

from maas.doctor.finding import Finding
from maas.doctor.patient import Patient

WARNED = "Using a target size"
"""How torch begins to warn of losses between unequal shapes."""


def check(patient: Patient) -> Iterator[Finding]:
    """Letting (N, 1) meet (N,): the difference is N×N, the loss falls, and every answer becomes the mean.

    Source:
        The broadcasting rules, docs.pytorch.org/docs/stable/notes/broadcasting.html; torch warns of it in its own
        losses alone.
    """
    if not patient.is_trained_here:
        return
    fault = None if patient.logits is None else _misfit(patient, patient.logits)
    trial = patient.trial
    if fault:
        yield Finding("error", "model", fault, "Let forward return one row of K outputs for each row, (N, K).")
    elif trial.squares or any(WARNED in warning for warning in trial.warned):
        yield Finding(
            "error",
            "model" if patient.is_guest else "objective.loss",
            "outputs (N, 1) meet targets (N,) in the loss, which silently compares every row with every other.",
            "Take outputs.squeeze(1), so that both are (N,).",
        )
    elif trial.error is not None and "deterministic" not in str(trial.error):
        yield Finding(
            "warning" if patient.is_guest else "error",
            "model",
            f"step {len(trial.losses) + 1} of training fails: {_first_line(trial.error)}.",
            "Mend the net or the objective; the loss must be one number of a batch's logits (N, K) and targets (N,).",
        )
    elif trial.losses and not math.isfinite(trial.losses[0]):
        yield Finding(
            "error",
            "objective",
            f"the first loss is {trial.losses[0]}, before anything was learnt.",
            "Look for logarithms of 0, roots of negative numbers, and missing values in the data.",
        )


def _misfit(patient: Patient, logits: Tensor) -> str | None:
    rows = len(patient.probe[1])
    wanted = (rows, patient.family.facts(patient.splits.train)["outputs"])
    if tuple(logits.shape) == wanted:
        return None
    return f"{rows} rows give outputs of shape {tuple(logits.shape)}; the task wants {wanted}."


def _first_line(error: Exception) -> str:
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return f"{type(error).__name__}: {line.strip()[:200].rstrip('.')}"

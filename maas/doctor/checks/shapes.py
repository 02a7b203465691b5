"""Logits and targets that do not fit, and losses that are no number."""

import math
from collections.abc import Iterator

from maas.doctor.finding import Finding
from maas.doctor.patient import Patient
from maas.training.smoke_run import first_line

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
    fault, trial = patient.fault, patient.trial
    if fault is not None and fault.kind == "form":
        yield Finding("error", "model", fault.what, fault.remedy)
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
            f"step {len(trial.losses) + 1} of training fails: {first_line(trial.error)}.",
            "Mend the net or the objective; the loss must be one number of a batch's logits (N, K) and targets (N,).",
        )
    elif trial.losses and not math.isfinite(trial.losses[0]):
        yield Finding(
            "error",
            "objective",
            f"the first loss is {trial.losses[0]}, before anything was learnt.",
            "Look for logarithms of 0, roots of negative numbers, and missing values in the data.",
        )

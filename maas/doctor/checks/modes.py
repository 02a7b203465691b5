"""Layers that train while a net is evaluated, or do not while it is trained."""

from collections.abc import Iterator

from maas.doctor.finding import Finding
from maas.doctor.patient import Patient


def check(patient: Patient) -> Iterator[Finding]:
    """Dropping units or normalising by the batch where answers are given, or forgetting to return to training mode.

    Source:
        Karpathy, "most common neural net mistakes", no. 2: "you forgot to toggle train/eval mode for the net".
    """
    if not patient.is_trained_here:
        return
    if asleep := patient.trial.asleep:
        yield Finding(
            "warning",
            f"model.{asleep[0]}",
            f"{len(asleep)} module(s) with dropout or batch norm stay in evaluation mode while they are trained.",
            "Call train() on them at the end of __init__, or freeze their weights if that is meant.",
        )
    if patient.fault is not None and patient.fault.kind in ("random", "mates"):
        yield Finding("error", "model", patient.fault.what, patient.fault.remedy)

"""Layers that train while a net is evaluated, or do not while it is trained."""

from collections.abc import Iterator

import torch

from maas.doctor.finding import Finding
from maas.doctor.patient import Patient, answer_of

LARGEST_DIFFERENCE = 1e-3
"""Between two answers to the same rows, as a share of the outputs' size: far above float32's rounding."""


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
    feeds, logits = patient.probe[0], patient.logits
    again = answer_of(patient.net, feeds)
    if logits is None or again is None:
        return
    if _differ(logits, again):
        yield Finding(
            "error",
            "model",
            "in evaluation mode it gives other outputs each time for the same rows.",
            "Pass training=self.training to functional dropout, and draw random numbers in training alone.",
        )
        return
    half = len(logits) // 2
    alone = answer_of(patient.net, {name: feed[:half] for name, feed in feeds.items()}) if half else None
    if alone is not None and _differ(logits[:half], alone):
        yield Finding(
            "error",
            "model",
            "in evaluation mode a row's outputs depend on the other rows of its batch.",
            "Let batch norm use its running averages: track_running_stats=True, training=self.training.",
        )


def _differ(left: torch.Tensor, right: torch.Tensor) -> bool:
    if left.shape != right.shape:
        return True
    size = max(float(left.abs().max()), 1e-6)
    return float((left - right).abs().max()) > LARGEST_DIFFERENCE * size

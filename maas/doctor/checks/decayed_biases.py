"""Biases and norms that are shrunk."""

from collections.abc import Iterator

from maas.doctor.finding import Finding
from maas.doctor.patient import Patient


def check(patient: Patient) -> Iterator[Finding]:
    """Shrinking parameters whose size is no sign of overfitting: biases, and gains of norms, which begin at 1.

    Source:
        He et al., Bag of tricks, arXiv:1812.01187, §3.1.
    """
    if not patient.is_trained_here:
        return
    if names := patient.trial.decayed:
        where = "model" if patient.is_guest else "optimizer.weight_decay"
        groups = "Give the optimizer two groups, the one of biases and norms with weight_decay=0"
        remedy = f"{groups}." if patient.is_guest else f"Set objective.covers=weights. {groups}, if it makes its own."
        yield Finding("warning", where, f"weight decay also shrinks {_listed(names)}.", remedy)
    if not patient.is_guest and patient.objective.is_penalised:
        covered = patient.objective.covered(patient.net)
        if flat := [name for name, one in covered.items() if one.ndim < 2]:
            remedy = "Set objective.covers=weights."
            yield Finding("warning", "objective.covers", f"the penalty also shrinks {_listed(flat)}.", remedy)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more biases and norms" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"

"""Judges: how good answers are, and whether two sets of them agree. One kind of answer, one file with class `Judge`."""

import importlib
from collections.abc import Sequence

from maas.evidence.judges.base import BaseJudge

__all__ = ["BaseJudge", "judge_of"]


def judge_of(kind: str, labels: Sequence[str]) -> BaseJudge:
    """Returns the judge of a kind of answer.

    Args:
        kind: of the answer, e.g. `classification`.
        labels: the K names; none where answers are no labels.
    """
    judge: BaseJudge = importlib.import_module(f"{__name__}.{kind}").Judge(len(labels))
    return judge

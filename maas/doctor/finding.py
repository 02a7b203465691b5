"""One mistake that was found."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """What is wrong, where, and what to change.

    Args:
        severity: an `error` makes the trained model wrong or training impossible; a `warning` is likely not what was
            meant.
        where: the recipe's section or value, e.g. `objective.l2`, or a parameter's name below `model`.
        what: was found, with its numbers; a sentence.
        remedy: what to change; a sentence.
        check: the name of the check, filled in by `examine`.
    """

    severity: Severity
    where: str
    what: str
    remedy: str
    check: str = ""

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.what} {self.remedy} [{self.check}]"

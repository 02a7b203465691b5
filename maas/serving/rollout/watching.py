"""What is noted of a roll-out while its versions stay the same: outcomes against its bounds, or copies."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from maas.runtime.codec import Outputs
from maas.serving.call import Call
from maas.serving.faults import kind_of
from maas.serving.rollout.arms import CANDIDATE, STABLE, VersionsInRoles
from maas.serving.rollout.observing import Note
from maas.serving.rollout.records import Canary, RolloutRecord, Shadow
from maas.serving.rollout.returning import CandidateCheck, LatestRequests
from maas.serving.rollout.shadowing import Shadower

ERRORS = frozenset({"internal_error", "answer_not_finite", "overloaded"})
"""Kinds of faults that count against a version; deadlines are chosen by callers."""


class RolloutObserver(Protocol):
    """Sees what becomes of roll-outs."""

    def observe_shadow(self, model: str, result: str) -> None:
        """Counts a copy: `same`, `different`, `failed` or `dropped`."""

    def observe_return(self, model: str, rollout: str) -> None:
        """Counts a candidate that was returned."""


class Unobserved:
    """Nobody who sees what becomes of roll-outs."""

    def observe_shadow(self, model: str, result: str) -> None:
        """Counts nothing."""

    def observe_return(self, model: str, rollout: str) -> None:
        """Counts nothing."""


@dataclass(frozen=True, eq=False)
class RolloutWatch:
    """What is noted of a roll-out.

    Args:
        record: of the roll-out.
        versions: that have a part in it.
        notes: receive outcomes, by role.
        check: of the candidate; null where it has no bounds.
    """

    record: RolloutRecord
    versions: VersionsInRoles
    notes: Mapping[str, Note] = field(default_factory=dict)
    check: CandidateCheck | None = None


def watch_of(
    record: RolloutRecord,
    versions: VersionsInRoles,
    exceeded: Callable[[str, CandidateCheck], None],
    observer: RolloutObserver,
    draw: Callable[[], float] = random.random,
) -> RolloutWatch:
    """Returns what is to be noted of a roll-out.

    Args:
        record: of the roll-out.
        versions: that have a part in it.
        exceeded: receives the reason, and what was measured, when a candidate exceeds a bound.
        observer: sees copies.
        draw: returns a random number in [0, 1).
    """
    rollout, candidate = record.rollout, versions.by_role.get(CANDIDATE)
    if candidate is None:
        return RolloutWatch(record, versions)
    if isinstance(rollout, Shadow):
        count = partial(observer.observe_shadow, rollout.model)
        shadower = Shadower(rollout, versions.by_role[STABLE], candidate, count, draw)
        return RolloutWatch(record, versions, {STABLE: shadower.note})
    if isinstance(rollout, Canary) and rollout.bounds is not None:
        check = CandidateCheck(rollout.bounds)
        notes = {STABLE: partial(_count, check.stable), CANDIDATE: partial(_check, check, exceeded)}
        return RolloutWatch(record, versions, notes, check)
    return RolloutWatch(record, versions)


def _check(
    check: CandidateCheck,
    exceeded: Callable[[str, CandidateCheck], None],
    call: Call,
    outcome: Outputs | Exception,
    seconds: float,
) -> None:
    _count(check.candidate, call, outcome, seconds)
    if reason := check.exceeded():
        exceeded(reason, check)


def _count(latest: LatestRequests, call: Call, outcome: Outputs | Exception, seconds: float) -> None:  # noqa: ARG001
    """Counts a request to a version, unless it failed by its caller's fault."""
    if not isinstance(outcome, Exception):
        latest.add(seconds)
    elif kind_of(outcome) in ERRORS:
        latest.add(None)

"""Roll-outs applied to what is served at one moment: who may answer, and who answers a request.

A request that names its version is never touched. It sees the snapshot of the moment, where another version may be the
first of its model.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from maas.serving.protocols.operations import Request
from maas.serving.repository import PredictingDeployment, Snapshot
from maas.serving.rollout.assignment import point_of, role_at
from maas.serving.rollout.observing import ROLE, DeploymentInRole, Note, in_role
from maas.serving.rollout.records import AbTest, Rollout, Shadow

STABLE, CANDIDATE = "stable", "candidate"
MOST_REMEMBERED = 1024
"""Ways to assign all models at once, where several have a roll-out."""


class VersionsInRoles(NamedTuple):
    """The versions of a roll-out that are served.

    Args:
        by_role: the stable version always; of the others those that can have a part.
        missing: why others cannot, for people.
    """

    by_role: dict[str, PredictingDeployment]
    missing: tuple[str, ...] = ()


def versions_in_roles(rollout: Rollout, snapshot: Snapshot) -> VersionsInRoles | None:
    """Returns the versions of a roll-out that are served; None where its model is not.

    The stable version is the one that answers where none is named. It answers for a version that is not served,
    or that takes other inputs.
    """
    stable = snapshot.by_name.get(rollout.model)
    if stable is None:
        return None
    wanted = rollout.roles if isinstance(rollout, AbTest) else {CANDIDATE: rollout.candidate}
    found = {role: snapshot.version_of(rollout.model, str(version)) for role, version in wanted.items()}
    by_role, missing = {STABLE: stable}, list[str]()
    for role, one in found.items():
        fault = _fault(wanted[role], one, stable, may_be_stable=isinstance(rollout, AbTest))
        if one is None or fault:
            missing.append(fault)
        else:
            by_role[role] = one
    return VersionsInRoles(by_role, tuple(missing))


def _fault(
    version: str | int, found: PredictingDeployment | None, stable: PredictingDeployment, *, may_be_stable: bool
) -> str:
    """Returns why a version can have no part in a roll-out."""
    if found is None:
        return f"version {version} of {stable.name} is not served"
    if found is stable and not may_be_stable:
        return f"version {version} of {stable.name} is the stable version itself"
    if (found.task, found.signature.inputs) != (stable.task, stable.signature.inputs):
        return f"version {version} of {stable.name} takes other inputs than the stable version {stable.version}"
    return ""


class Arms:
    """A roll-out applied to a snapshot.

    Args:
        name: name of the roll-out.
        rollout: as it was written.
        versions: that are served.
        notes: receive outcomes, by role; those of callers who want a role by the header are not noted.
    """

    def __init__(self, name: str, rollout: Rollout, versions: VersionsInRoles, notes: Mapping[str, Note]) -> None:
        self.name, self.rollout, self.versions = name, rollout, versions
        answering = dict(versions.by_role)
        self._fractions: Mapping[str, float] = {}
        self._key = ""
        if isinstance(rollout, Shadow):
            answering.pop(CANDIDATE, None)  # it answers nobody
        else:
            self._fractions, self._key = rollout.fractions, rollout.key
        self._header = self._key.encode()
        self._counted = {role: in_role(one, role, notes.get(role)) for role, one in answering.items()}
        self._wanted = {role.encode(): in_role(one, role) for role, one in answering.items()}

    def chosen(self, request: Request, draw: Callable[[], float]) -> DeploymentInRole:
        """Returns who answers a request that names no version.

        Args:
            request: its headers, or its query, may want a role or have a key.
            draw: returns a random number in [0, 1).
        """
        wanted = self._wanted.get(request.metadata.get(ROLE, b""))
        if wanted is not None:
            return wanted
        if not self._fractions:
            return self._counted[STABLE]
        key = request.metadata.get(self._header) or request.query.get(self._key, "").encode()
        point = point_of(self.rollout.model, self.name, key) if key else draw()
        return self._counted.get(role_at(point, self._fractions)) or self._counted[STABLE]


@dataclass(frozen=True)
class AssignedSnapshot(Snapshot):
    """What is served, where roll-outs have decided which version of a model answers if none is named.

    Args:
        plain: without roll-outs.
    """

    plain: Snapshot = field(default_factory=Snapshot)

    @cached_property
    def digest(self) -> str:
        """That of what is served: what is made of a snapshot does not depend on a request."""
        return self.plain.digest

    @property
    def listed(self) -> tuple[PredictingDeployment, ...]:
        """Every version of every model, each once, for those who list them."""
        return self.plain.predicting

    def versions(self, name: str) -> tuple[PredictingDeployment, ...]:
        """Returns the versions of a model, each once."""
        return self.plain.versions(name)


class Assignment:
    """All roll-outs applied to one snapshot.

    Args:
        snapshot: what is served.
        arms: of each roll-out whose model is served.
        draw: returns a random number in [0, 1).
    """

    def __init__(self, snapshot: Snapshot, arms: Sequence[Arms], draw: Callable[[], float] = random.random) -> None:
        self.snapshot, self.arms, self._draw = snapshot, tuple(arms), draw
        self._assigned: dict[tuple[DeploymentInRole, ...], AssignedSnapshot] = {}

    def snapshot_for(self, request: Request) -> Snapshot:
        """Returns what is served as a request is to see it."""
        chosen = tuple([arms.chosen(request, self._draw) for arms in self.arms])
        found = self._assigned.get(chosen)
        if found is None:
            if len(self._assigned) >= MOST_REMEMBERED:
                self._assigned.clear()
            found = self._assigned[chosen] = with_first(self.snapshot, chosen)
        return found


def with_first(snapshot: Snapshot, chosen: Sequence[DeploymentInRole]) -> AssignedSnapshot:
    """Returns a snapshot where some deployments come first among the versions of their models.

    Each version stays where it was as well: it is found by its number there, in no role.

    Args:
        snapshot: what is served.
        chosen: one for each model at most.
    """
    left = {one.name: one for one in chosen}
    deployments: list[PredictingDeployment] = []
    for one in snapshot.predicting:
        if one.name in left:
            deployments.append(left.pop(one.name))
        deployments.append(one)
    return AssignedSnapshot(tuple(deployments), snapshot.labels, snapshot.generating, plain=snapshot)

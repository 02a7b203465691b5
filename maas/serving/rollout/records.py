"""What an administrator writes of a roll-out, and what is kept of it. JSON and YAML have the same fields."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from maas.bounds import ClosedFraction, Count, NonNegative, Positive

STATE_VERSION = 1
KEY_HEADER = "maas-user"
MOST_VERSIONS = 26
"""In an A/B test: each has a letter."""
RolloutName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][\w.-]{0,99}$(?!\n)", description="letters, digits, and . _ -")]
Percent = Annotated[float, Meta(ge=0, le=100, description="a percentage from 0 to 100", examples=[10])]
Percentile = Annotated[float, Meta(gt=0, le=100, description="a percentile in (0, 100]", examples=[95])]
Header = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}$(?!\n)", description="a header's name in lower case")]
Status: TypeAlias = Literal["active", "returned", "ended"]
AnyVersion: TypeAlias = str | int
"""A version or a label of one; YAML has numbers."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a candidate must not exceed; if it does, it gets no more requests.

    Args:
        max_error_fraction: of the candidate's latest requests, those that fail by the server's fault.
        max_latency_ratio: of the candidate's latency to that of the stable version, at a percentile.
        percentile: of latencies.
        min_requests: requests to a version before its latency or errors count.
    """

    max_error_fraction: ClosedFraction | None = None
    max_latency_ratio: Positive | None = None
    percentile: Percentile = 95.0
    min_requests: Count = 100

    def __post_init__(self) -> None:
        if self.max_error_fraction is None and self.max_latency_ratio is None:
            raise ValueError("bounds has no bound; set max_error_fraction, max_latency_ratio or both")


class Canary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="canary"):
    """A candidate answers some of the requests; the version that answers where none is named is the stable one.

    Args:
        model: name of the model.
        candidate: version, or a label of one.
        percent: of the requests that the candidate answers.
        key: header or query parameter whose value decides, so that a user always gets one version.
        bounds: of the candidate; null for none.
    """

    model: str
    candidate: AnyVersion
    percent: Percent = 0.0
    key: Header = KEY_HEADER
    bounds: Bounds | None = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "candidate", str(self.candidate))

    @property
    def fractions(self) -> dict[str, float]:
        """Fractions of the requests, by role."""
        return {"candidate": self.percent / 100, "stable": 1 - self.percent / 100}


class Shadow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="shadow"):
    """A candidate gets copies of requests, whose answers are compared with those that callers get.

    Args:
        model: name of the model.
        candidate: version, or a label of one.
        percent: of the requests that are copied.
        tolerance: largest difference between two scores, as a fraction of one beyond ±1; null compares labels alone
            where the model has some, and else allows 1e-4.
    """

    model: str
    candidate: AnyVersion
    percent: Percent = 100.0
    tolerance: NonNegative | None = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "candidate", str(self.candidate))


class AbTest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="ab"):
    """Versions share the requests by their weights: an A/B test.

    Args:
        model: name of the model.
        versions: weights by version, or by a label of one; the first is `a` in replies.
        key: header or query parameter whose value decides, so that a user always gets one version.
    """

    model: str
    versions: dict[str, NonNegative]
    key: Header = KEY_HEADER

    def __post_init__(self) -> None:
        if not 2 <= len(self.versions) <= MOST_VERSIONS:
            raise ValueError(f"versions has {len(self.versions)}; an A/B test has 2 to {MOST_VERSIONS}")
        if sum(self.versions.values()) <= 0:
            raise ValueError("versions has no weight above 0")

    @property
    def roles(self) -> dict[str, str]:
        """Versions by the letter that replies have."""
        return {chr(ord("a") + number): version for number, version in enumerate(self.versions)}

    @property
    def fractions(self) -> dict[str, float]:
        """Fractions of the requests, by role."""
        whole = sum(self.versions.values())
        return {role: self.versions[version] / whole for role, version in self.roles.items()}


Rollout: TypeAlias = Canary | Shadow | AbTest


class ReturnFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of the latest requests of a candidate and of the stable version.

    Args:
        requests: to the candidate.
        errors: of them, those that failed.
        latency_ms: of the candidate, at the percentile of its bounds; null where nothing was answered.
        stable_requests: to the stable version.
        stable_latency_ms: of the stable version, likewise.
    """

    requests: int = 0
    errors: int = 0
    latency_ms: float | None = None
    stable_requests: int = 0
    stable_latency_ms: float | None = None


class RolloutRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a roll-out.

    Args:
        rollout: as it was written.
        status: `returned` once a bound was exceeded, `ended` where an administrator deleted what a file has.
        since_s: when it got its status, in seconds since 1970.
        reason: why it was returned or ended.
        figures: at that moment.
        written: as the file of models had it; null where an administrator made it.
    """

    rollout: Rollout
    status: Status = "active"
    since_s: float = 0.0
    reason: str = ""
    figures: ReturnFigures | None = None
    written: Rollout | None = None


class RolloutDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A roll-out as administrators read it.

    Args:
        name: name of the roll-out.
        status: of its record.
        since_s: when it got its status, in seconds since 1970.
        reason: why it was returned or ended.
        rollout: as it was written.
        versions: that answer or get copies now, by role.
        missing: why others do not.
        figures: of this process now, or at its return.
    """

    name: str
    status: Status
    since_s: float
    reason: str
    rollout: Rollout
    versions: dict[str, str]
    missing: tuple[str, ...]
    figures: ReturnFigures | None


class RolloutState(msgspec.Struct, frozen=True, kw_only=True):
    """All roll-outs of a server.

    Args:
        schema_version: of this record.
        revision: grows with each change.
        rollouts: by name.
    """

    schema_version: int = STATE_VERSION
    revision: int = 0
    rollouts: dict[str, RolloutRecord] = {}

    def with_record(self, name: str, record: RolloutRecord | None) -> "RolloutState":
        """Returns the next state, where a roll-out has another record, or none."""
        others = {one: kept for one, kept in self.rollouts.items() if one != name}
        return self.with_records(others if record is None else {**others, name: record})

    def with_records(self, rollouts: Mapping[str, RolloutRecord]) -> "RolloutState":
        """Returns the next state with other roll-outs."""
        return msgspec.structs.replace(self, revision=self.revision + 1, rollouts=dict(rollouts))

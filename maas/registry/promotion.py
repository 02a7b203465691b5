"""Whether an alias moves to a new version: decided from what was measured, without a registry or a model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from maas.errors import MaasError
from maas.records.evidence import Evidence, Interval

ALWAYS = "registry.promote=always"
OTHERWISE = f"to move it all the same set {ALWAYS}"
Promote: TypeAlias = Literal["not_worse", "always", "never"]


@dataclass(frozen=True)
class Comparison:
    """Two bundles that answered the same rows.

    Args:
        metric: its name.
        new: its value for the new bundle.
        old: its value for the bundle that the alias points at.
        gain: by how much the new one is better, with the paired 95 % interval; above 0 is better, also of a metric of
            which less is better. In percentage points, unless `unit` says otherwise.
        unit: of the gain.
    """

    metric: str
    new: float
    old: float
    gain: Interval
    unit: str = "percentage points"


@dataclass(frozen=True)
class Decision:
    """Whether the alias moves, and why.

    Args:
        moves: whether the alias points at the new version in the end.
        why: the reason, with the numbers it rests on.
        gain: by how much the new version is better, with its 95 % interval; None where nothing was compared.
    """

    moves: bool
    why: str
    gain: Interval | None = None


def without_comparing(*, version: int, champion: int | None, promote: Promote, metric: str | None) -> Decision | None:
    """Decides what needs no numbers; None where the two versions must be compared.

    Args:
        version: number of the version that was registered, or registered again.
        champion: number of the version that the alias points at; None where it points at none.
        promote: the recipe's rule.
        metric: what versions are compared by; None where their rows have no targets.
    """
    if champion == version:
        return Decision(True, "it does already")
    if promote != "not_worse":
        return Decision(promote == "always", f"promote is {promote}")
    if champion is None:
        return Decision(True, "there is no other version to compare with")
    if metric is None:
        return Decision(version > champion, f"there is no metric to compare with version {champion} by")
    return None


def decide(
    new: Evidence,
    old: Evidence | None,
    compare: Callable[[], Comparison] | None,
    *,
    version: int,
    champion: int,
    margin: float,
) -> Decision:
    """Decides between two versions by their evidence.

    Args:
        new: evidence of the version that was registered, or registered again.
        old: evidence of the version that the alias points at; None where its bundle cannot be opened.
        compare: compares both on the rows that both were measured on; None where there are no rows at hand.
        version: number of the new version.
        champion: number of the version that the alias points at.
        margin: largest loss that may be left possible, in the unit of the gain.
    """
    if old is None:
        return Decision(False, f"the bundle of version {champion} cannot be opened; {OTHERWISE}")
    if new.data.fingerprint != old.data.fingerprint:
        return Decision(False, f"version {champion} was measured on other rows; {OTHERWISE}")
    if compare is None:
        return Decision(False, f"there are no rows to compare with version {champion} on; {OTHERWISE}")
    try:
        comparison = compare()
    except MaasError as error:
        return Decision(False, f"version {champion} cannot be compared: {str(error).rstrip('.')}; {OTHERWISE}")
    return decide_by(comparison, version=version, champion=champion, margin=margin)


def decide_by(comparison: Comparison, *, version: int, champion: int, margin: float) -> Decision:
    """Decides between two versions by a paired comparison.

    The alias moves if the new value is not below the old one, and the lower end of the paired 95 % interval of
    (new − old) lies above −`margin`: what may well be a loss of more than the margin moves nothing. Of two that are
    equally good, the newer one has the alias; two that answer alike are equally good whatever the margin.

    Args:
        comparison: what both answered.
        version: number of the version that was registered, or registered again.
        champion: number of the version that the alias points at.
        margin: largest loss that may be left possible, in the unit of the gain.
    """
    gain = comparison.gain
    numbers = (
        f"{comparison.metric} {comparison.new:.4f} against {comparison.old:.4f} of version {champion}, "
        f"{gain.value:+.2f} {comparison.unit} [{gain.low:+.2f}, {gain.high:+.2f}]"
    )
    if gain.value < 0:
        return Decision(False, numbers, gain)
    if gain.value == 0 and version < champion:
        return Decision(False, f"{numbers}, and version {champion} is newer", gain)
    are_alike = gain.low == gain.high == 0
    if gain.low <= -margin and not are_alike:
        what = f"it may be worse by {margin:g} {comparison.unit} or more"
        return Decision(False, f"{numbers}; {what}. Set registry.margin, or {ALWAYS} to move it all the same", gain)
    return Decision(True, numbers, gain)

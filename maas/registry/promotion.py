"""Whether an alias moves to a new version: a pure function of what was measured. It asks no registry and no model."""

from dataclasses import dataclass

from maas.records.evidence import Interval

ALWAYS = "registry.promote=always"


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
    """Whether the alias moves, and why."""

    moves: bool
    why: str


def decided(compared: Comparison, *, version: int, champion: int, margin: float) -> Decision:
    """Decides between the version that the alias points at and another one.

    The alias moves if the new value is not below the old one, and the lower end of the paired 95 % interval of
    (new − old) lies above −`margin`: what may well be a loss of more than the margin moves nothing. Of two that are
    equally good, the newer one has the alias; two that answer alike are equally good whatever the margin.

    Args:
        compared: what both answered.
        version: number of the one that was registered, or registered again.
        champion: number of the one that the alias points at.
        margin: the largest loss that may be left possible, in the unit of the gain.
    """
    gain = compared.gain
    numbers = (
        f"{compared.metric} {compared.new:.4f} against {compared.old:.4f} of version {champion}, "
        f"{gain.value:+.2f} {compared.unit} [{gain.low:+.2f}, {gain.high:+.2f}]"
    )
    if gain.value < 0:
        return Decision(False, numbers)
    if gain.value == 0 and version < champion:
        return Decision(False, f"{numbers}, and version {champion} is newer")
    are_alike = gain.low == gain.high == 0
    if gain.low <= -margin and not are_alike:
        what = f"it may be worse by {margin:g} {compared.unit} or more"
        return Decision(False, f"{numbers}; {what}. Set registry.margin, or {ALWAYS} to move it all the same")
    return Decision(True, numbers)

"""How the state of roll-outs changes. Each edit is made of the state that is kept, and may be made again of another."""

from collections.abc import Mapping
from functools import partial

import msgspec

from maas.errors import InputError, shortened_value
from maas.serving.faults import UnknownRolloutError
from maas.serving.rollout.records import ReturnFigures, Rollout, RolloutRecord, RolloutState
from maas.serving.rollout.state import Edit

ENDED = "ended by an administrator; the file of models still has it"


def put(name: str, rollout: Rollout, now_s: float) -> Edit:
    """Returns the edit that makes a roll-out, or another one of it; it is active.

    Args:
        name: name of the roll-out.
        rollout: as an administrator wrote it.
        now_s: seconds since 1970.
    """

    def edit(state: RolloutState) -> RolloutState:
        before = state.rollouts.get(name)
        written = before.written if before else None
        _require_one(name, rollout, state)
        return state.with_record(name, RolloutRecord(rollout=rollout, since_s=now_s, written=written))

    return edit


def delete(name: str, now_s: float) -> Edit:
    """Returns the edit that ends a roll-out; it is kept as ended where the file of models has it.

    Args:
        name: name of the roll-out.
        now_s: seconds since 1970.
    """

    def edit(state: RolloutState) -> RolloutState:
        before = kept_record(name, state)
        ended = msgspec.structs.replace(before, status="ended", since_s=now_s, reason=ENDED, figures=None)
        return state.with_record(name, None if before.written is None else ended)

    return edit


def returned(name: str, checked: RolloutRecord, reason: str, figures: ReturnFigures, now_s: float) -> Edit:
    """Returns the edit that returns a candidate, unless the roll-out has changed since it was checked.

    Args:
        name: name of the roll-out.
        checked: as it was then.
        reason: which bound was exceeded.
        figures: at that moment.
        now_s: seconds since 1970.
    """
    after = msgspec.structs.replace(checked, status="returned", since_s=now_s, reason=reason, figures=figures)
    return partial(_exchanged, name, checked, after)


def with_written(written: Mapping[str, Rollout], now_s: float) -> Edit:
    """Returns the edit that takes what a file of models has.

    A roll-out that stands in the file as it did stays as it is: returned, ended or changed by an administrator. One
    that the file has no more is gone.

    Args:
        written: roll-outs of the file, by name.
        now_s: seconds since 1970.
    """

    def edit(state: RolloutState) -> RolloutState:
        records = {name: one for name, one in state.rollouts.items() if one.written is None or name in written}
        for name, rollout in written.items():
            before = records.get(name)
            if before is None or before.written != rollout:
                records[name] = RolloutRecord(rollout=rollout, since_s=now_s, written=rollout)
        after = state if records == state.rollouts else state.with_records(records)
        for name, record in after.rollouts.items():
            if record.status == "active":
                _require_one(name, record.rollout, after)
        return after

    return edit


def kept_record(name: str, state: RolloutState) -> RolloutRecord:
    """Returns a roll-out.

    Raises:
        UnknownRolloutError: there is none of that name.
    """
    found = state.rollouts.get(name)
    if found is None:
        known = ", ".join(state.rollouts) or "none"
        raise UnknownRolloutError(f"There is no roll-out {shortened_value(name)}; there is {known}.")
    return found


def _exchanged(name: str, before: RolloutRecord, after: RolloutRecord, state: RolloutState) -> RolloutState:
    return state.with_record(name, after) if state.rollouts.get(name) == before else state


def _require_one(name: str, rollout: Rollout, state: RolloutState) -> None:
    """Refuses a second active roll-out of a model."""
    for other, record in state.rollouts.items():
        if other != name and record.status == "active" and record.rollout.model == rollout.model:
            raise InputError(
                f"Roll-outs {other} and {name} are both of model {rollout.model}. Delete or end one of them."
            )

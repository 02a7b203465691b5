"""Proposals for the settings of passes: Optuna looks where cheaper nets kept the budget."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from maas.compression.passes import Pass
from maas.compression.store import pass_settings
from maas.errors import BudgetError
from maas.searching.dimensions import Choices, NumberRange, Scalar

if TYPE_CHECKING:
    from maas.searching.studies import ProposedValues

WrittenDimension = Mapping[str, Any] | list[Any]
"""A setting's values as a recipe writes them."""
SettingDimension = Choices[Scalar] | NumberRange


@dataclass(frozen=True)
class Proposal:
    """Passes with settings to try.

    Args:
        passes: passes by name, in order.
        key: text that is the same for the same settings.
        proposed: values, by pass and setting.
    """

    passes: Mapping[str, Any]
    key: str
    proposed: "ProposedValues"


class Proposals:
    """Proposes settings within a space, one after another; the same results lead to the same proposals.

    Args:
        passes: passes by name, with the settings that are not searched.
        space: pass → setting → a list of values, or `{low, high}` with `step` or `log`.
        seed: random seed of the sampler.

    Raises:
        BudgetError: optuna is not installed, the space names a pass or setting that is not there, or a range cannot be
            read.
    """

    def __init__(
        self, passes: Mapping[str, Pass], space: Mapping[str, Mapping[str, WrittenDimension]], seed: int
    ) -> None:
        try:
            from maas.searching.studies import Proposer  # noqa: PLC0415 - optuna is an extra, and takes its time
        except ImportError as error:
            raise BudgetError("Searching compress.space needs optuna. Install maas[compress].") from error
        self._passes, self._space = passes, _read(passes, space)
        dimensions = {f"{name}.{key}": one for name, varied in self._space.items() for key, one in varied.items()}
        self._proposer = Proposer(dimensions, seed)

    def ask(self) -> Proposal:
        """Returns the next proposal."""
        proposed, passes = self._proposer.ask(), dict(self._passes)
        for name, varied in self._space.items():
            passes[name] = replace(passes[name], **{key: proposed.values[f"{name}.{key}"] for key in varied})
        return Proposal(passes, repr(sorted(proposed.values.items())), proposed)

    def tell(self, proposal: Proposal, cost: float, excess: float) -> None:
        """Reports the result of a proposal.

        Args:
            proposal: the proposal.
            cost: parameters times multiply-accumulates.
            excess: percentage points beyond the budget; 0 or less where it is kept.
        """
        self._proposer.tell(proposal.proposed, cost, excess)


def _read(
    passes: Mapping[str, Pass], space: Mapping[str, Mapping[str, WrittenDimension]]
) -> dict[str, dict[str, SettingDimension]]:
    """Returns a space whose values have the types of the settings.

    Raises:
        BudgetError: it names a pass or setting that is not there, or holds what the setting does not take.
    """
    found: dict[str, dict[str, SettingDimension]] = {}
    for name, ranges in space.items():
        if name not in passes:
            raise BudgetError(f"compress.space names the pass {name}; there are {', '.join(passes) or 'none'}.")
        known, types = pass_settings(passes[name]), get_type_hints(type(passes[name]), include_extras=True)
        for key, one in ranges.items():
            if key not in known:
                raise BudgetError(f"compress.space.{name} names the setting {key}; there are {', '.join(known)}.")
            found.setdefault(name, {})[key] = _choice(f"compress.space.{name}.{key}", one, types[key])
    return found


def _choice(path: str, one: WrittenDimension, kind: object) -> SettingDimension:
    if isinstance(one, list) and one:
        return Choices(tuple(_value(path, value, kind) for value in one))
    if not isinstance(one, Mapping) or not {"low", "high"} <= set(one) <= {"low", "high", "step", "log"}:
        raise BudgetError(
            f"{path} is {one}; it must be a list of values, or {{low: 0.3, high: 0.8}} and optionally step or log."
        )
    span = NumberRange(
        _value(path, one["low"], kind), _value(path, one["high"], kind), one.get("step"), is_log=bool(one.get("log"))
    )
    if not all(isinstance(end, int | float) for end in (span.low, span.high)) or not span.low < span.high:
        raise BudgetError(f"{path} goes from {span.low} to {span.high}; low must be a number below high.")
    if span.is_log and (span.step is not None or span.low <= 0):
        raise BudgetError(f"{path} has log, so low must be above 0, and step be left out; it is {one}.")
    return span


def _value(path: str, value: object, kind: object) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BudgetError(f"{path} holds {value!r}, which the setting does not take: {error}.") from error

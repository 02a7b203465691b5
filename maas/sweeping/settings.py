"""What `hydra.sweeper` says of a sweep that learns from its trials."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from maas.errors import ConfigError
from maas.sweeping.space import SweepSpace

SAMPLERS = ("tpe", "random", "grid")


@dataclass(frozen=True)
class SweepSettings:
    """The `hydra.sweeper` section of a sweep that learns from its trials, as `conf/hydra/sweeper/optuna.yaml` sets it.

    Args:
        n_trials: how many combinations are tried, failed ones counted.
        sampler: `tpe` learns from the trials that ended, `random` does not, `grid` tries every combination.
        max_batch_size: trials that are launched together; None for as many as the launcher runs at once.
    """

    n_trials: int = 20
    sampler: str = "tpe"
    max_batch_size: int | None = None

    @classmethod
    def target(cls) -> str:
        """Returns the import path that `hydra.sweeper._target_` has for such a sweep."""
        return f"{cls.__module__}.{cls.__qualname__}"

    def batch(self, launcher: Mapping[str, Any]) -> int:
        """Returns how many trials are launched together.

        Args:
            launcher: the `hydra.launcher` section.
        """
        at_once = launcher.get("n_jobs") or launcher.get("array_parallelism") or 1
        return int(self.max_batch_size or (at_once if at_once > 0 else len(os.sched_getaffinity(0))))


def require_fitting(sweeper: Mapping[str, Any], space: SweepSpace) -> None:
    """Refuses a sweep that its sweeper cannot make.

    Args:
        sweeper: the `hydra.sweeper` section.
        space: what is swept.

    Raises:
        ConfigError: what is wrong, a line each.
    """
    if sweeper["_target_"] != SweepSettings.target():
        spans = [f"{key}={space.written[key]}" for key, one in space.dimensions.items() if not one.grid()]
        if spans:
            raise ConfigError(
                f"{', '.join(spans)}: an interval has no list of values. Add hydra/sweeper=optuna, or name values, "
                "e.g. optimizer.lr=0.1,0.01."
            )
        return
    if find_spec("optuna") is None:
        raise ConfigError(
            "hydra/sweeper=optuna needs the package optuna, which is not installed. In a checkout of maas: "
            "pip install '.[sweep]'"
        )
    faults = list(_faults(sweeper, space))
    if faults:
        raise ConfigError("\n".join(faults))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _faults(sweeper: Mapping[str, Any], space: SweepSpace) -> Iterator[str]:
    if not _is_count(sweeper["n_trials"]):
        yield (
            f"hydra.sweeper.n_trials is {sweeper['n_trials']}; it must be a whole number, 1 or more. Set e.g. "
            "hydra.sweeper.n_trials=20."
        )
    if sweeper["sampler"] not in SAMPLERS:
        yield (
            f"hydra.sweeper.sampler is {sweeper['sampler']!r}; it must be one of {', '.join(SAMPLERS)}. Set e.g. "
            "hydra.sweeper.sampler=tpe."
        )
    if sweeper["max_batch_size"] is not None and not _is_count(sweeper["max_batch_size"]):
        yield f"hydra.sweeper.max_batch_size is {sweeper['max_batch_size']}; it must be 1 or more, or null."
    if not space.written:
        yield "Nothing is swept. Give a key many values, e.g. optimizer.lr=interval(0.001,0.1)."
    for key in space.written.keys() - space.dimensions.keys():
        yield f"{key}={space.written[key]}: hydra/sweeper=optuna takes no glob. Name the values: {key}=choice(…)."
    if sweeper["sampler"] == "grid":
        for key, dimension in space.dimensions.items():
            if not dimension.grid():
                yield f"{key}={space.written[key]}: a grid takes values. Write {key}=choice(…) or range(…)."

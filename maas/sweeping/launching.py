"""Running trials where `hydra/launcher` says: in this process, in several, or on a cluster."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from maas.config.hydra_composing import PRIMARY, hydra_overrides, own_hydra

RunTrial = Callable[[list[str]], object]
TRIAL = "trial"
"""Key by which Hydra passes the number of a trial on to the process that runs it."""


def launch(trials: Sequence[list[str]], run: RunTrial, hydra: Sequence[str], folder: Path) -> None:
    """Runs trials and waits for them.

    Hydra's launcher starts processes and passes a number to each; what is composed and done for the number is `run`'s.

    Args:
        trials: overrides of each.
        run: composes a trial's overrides and does what is to be done.
        hydra: overrides that choose the launcher.
        folder: for what launchers write.

    Raises:
        Exception: whatever a launcher raises when a process or a machine is lost, or `run` itself in a trial.
    """
    if not trials:
        return
    numbers = ",".join(map(str, range(len(trials))))
    quoted = str(folder).replace("'", "\\'")
    given = ["~recipe", f"+{TRIAL}={numbers}", *hydra, f"hydra.sweep.dir='{quoted}'"]
    with own_hydra() as state:
        if state.hydra is not None:
            state.hydra.multirun(
                PRIMARY, partial(_numbered, list(trials), run), hydra_overrides(given), with_log_configuration=False
            )


def _numbered(trials: list[list[str]], run: RunTrial, values: DictConfig) -> None:
    run(trials[int(values[TRIAL])])

"""Makes `hydra/sweeper=optuna` known to Hydra, which takes plugins from this namespace alone.

Hydra imports this at every start; what the sweeper does lies in `maas.sweeping.search`.
"""

from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class OptunaSweeperConf:
    """The `hydra.sweeper` section; `maas.sweeping.settings.Settings` says what the keys mean."""

    _target_: str = "hydra_plugins.maas_optuna_sweeper.OptunaSweeper"
    n_trials: int = 20
    sampler: str = "tpe"
    max_batch_size: int | None = None


class OptunaSweeper(Sweeper):
    """Tries the combinations that Optuna asks for."""

    def __init__(self, n_trials: int, sampler: str, max_batch_size: int | None) -> None:
        self._settings = {"n_trials": n_trials, "sampler": sampler, "max_batch_size": max_batch_size}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Takes what Hydra composed and makes the launcher."""
        self.config, self.hydra_context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Runs the trials."""
        from maas.sweeping.search import search  # noqa: PLC0415 - optuna takes a second, and need not be installed
        from maas.sweeping.settings import Settings  # noqa: PLC0415 - likewise

        loader = self.hydra_context.config_loader
        search(
            arguments,
            Settings(**self._settings),
            self.config,
            compose=lambda overrides: loader.load_sweep_config(self.config, overrides),
            launch=lambda batch, first: self.launcher.launch(batch, initial_job_idx=first),
        )


ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=OptunaSweeperConf, provider="maas")

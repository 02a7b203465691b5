"""Callbacks: which of Lightning's can be used here, of the others why not, and one that compiles the net.

Training keeps the weights of the best validated epoch, resumes at any step, and takes a net that knows no Lightning. A
callback that cannot be reconciled with that is refused before training.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch import callbacks as of_lightning
from torch import nn

from maas.config import Part
from maas.errors import ConfigError
from maas.training.recipe import TrainingRecipe
from maas.training.task import Task


class Unusable(NamedTuple):
    """A callback that cannot be used: where it stands, what is wrong with it, and what to do; sentences."""

    where: str
    what: str
    remedy: str


REFUSED_CALLBACKS: Mapping[type, tuple[str, str]] = {
    of_lightning.StochasticWeightAveraging: (
        "averages weights after the last epoch, when those of the best epoch are chosen already",
        "Take callbacks=[training_checkpoints,ema], or lightning.pytorch.callbacks.WeightAveraging.",
    ),
    of_lightning.BatchSizeFinder: ("tries batch sizes by restarting the training", "Set batch_size."),
    of_lightning.BasePredictionWriter: ("writes predictions, and training makes none", "Use bundle.predict."),
    of_lightning.ModelPruning: (
        "masks weights, which makes nothing smaller, and a resumed training would lose the masks",
        "Take the pass compress.passes.prune.",
    ),
    of_lightning.OnExceptionCheckpoint: (
        "lets training start from a checkpoint of its own, which holds no random states",
        "Leave it out: callbacks=[training_checkpoints] resumes exactly.",
    ),
}
"""Why a callback is refused, and what to do instead."""
REFUSED_FOR_NETS: Mapping[type, tuple[str, str]] = {
    of_lightning.GradientAccumulationScheduler: (
        "changes how many steps an epoch has, and schedules need their number",
        "Set +trainer.accumulate_grad_batches=N.",
    ),
    of_lightning.LearningRateFinder: (
        "sets `lr` of a LightningModule, and the net is none",
        "Set optimizer.lr, or compare several in a sweep.",
    ),
    of_lightning.BaseFinetuning: (
        "adds parameters to the optimizer during the training, which schedules refuse",
        "Set freeze: patterns of parameters that stay as they are throughout.",
    ),
}
"""Likewise, of callbacks that a LightningModule of the user's may use."""
LOGGING = (of_lightning.DeviceStatsMonitor, of_lightning.LearningRateMonitor, of_lightning.ThroughputMonitor)
"""What works with a logger alone."""


def require_usable(recipe: TrainingRecipe, *, is_custom_module: bool | None = None) -> None:
    """Looks at a recipe's callbacks before anything is trained.

    Args:
        recipe: whose callbacks are looked at.
        is_custom_module: whether the net is a LightningModule of the user's; None looks at what the recipe names,
            before rows are read, and takes a function that builds the net for one that may give such a module.

    Raises:
        ConfigError: some cannot be used here, a line each.
    """
    if is_custom_module is None:
        target = recipe.model.imported()
        is_custom_module = not isinstance(target, type) or issubclass(target, LightningModule)
    faults = [f"{one.where} is {one.what} {one.remedy}" for one in unusable(recipe, is_custom_module=is_custom_module)]
    if faults:
        raise ConfigError("\n".join(faults))


def unusable(recipe: TrainingRecipe, *, is_custom_module: bool) -> Iterator[Unusable]:
    """Yields a recipe's callbacks that cannot be used here.

    Args:
        recipe: whose callbacks are looked at.
        is_custom_module: whether the net is a LightningModule of the user's.
    """
    refused = {**REFUSED_CALLBACKS, **({} if is_custom_module else REFUSED_FOR_NETS)}
    if not recipe.trainer_settings.get("logger"):
        refused |= dict.fromkeys(LOGGING, ("writes to a logger, and the trainer has none", "Set +trainer.logger=…"))
    for where, part in callback_parts_of(recipe).items():
        kind = part.imported()
        for one, (reason, remedy) in refused.items():
            if isinstance(kind, type) and issubclass(kind, one):
                yield Unusable(where, f"{kind.__name__}, which {reason}.", remedy)


def callback_parts_of(recipe: TrainingRecipe) -> dict[str, Part[object]]:
    """Returns a recipe's callbacks by where they stand."""
    named: dict[str, Part[object]] = {f"callbacks.{name}": part for name, part in recipe.callbacks.items()}
    listed = recipe.trainer_settings.get("callbacks") or []
    return {**named, **{f"trainer.callbacks[{index}]": part for index, part in enumerate(listed)}}


class Compile(Callback):
    """Trains a net through `torch.compile`. It pays on a GPU, for nets that take seconds to compile and long to train.

    Weights, their names and checkpoints stay as they are, and what leaves training is the plain net.

    Args:
        backend: of torch.compile.
        mode: of torch.compile, e.g. `max-autotune`; null leaves the choice to torch.
        dynamic: whether code is made for batches of any size at once; null lets torch find out.
    """

    def __init__(self, backend: str = "inductor", mode: str | None = None, *, dynamic: bool | None = None) -> None:
        self._backend = backend
        self._mode = mode
        self._dynamic = dynamic

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Compiles at the first batch."""
        _trained_net(pl_module).compile(backend=self._backend, mode=self._mode, dynamic=self._dynamic)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leaves the plain net."""
        _trained_net(pl_module)._compiled_call_impl = None  # noqa: SLF001 - torch has no public way back


def _trained_net(module: LightningModule) -> nn.Module:
    return module.net if isinstance(module, Task) else module

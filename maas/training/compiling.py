"""Compiling a net for training."""

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from maas.training.task import Task


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
        _net(pl_module).compile(backend=self._backend, mode=self._mode, dynamic=self._dynamic)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leaves the plain net."""
        _net(pl_module)._compiled_call_impl = None  # noqa: SLF001 - torch has no public way back


def _net(module: LightningModule) -> nn.Module:
    return module.net if isinstance(module, Task) else module

"""When a trial is pruned. No threshold is guessed: only what finished trials have shown counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from maas.compression.pruning import macs, parameters
from maas.training.checkpoint import Checkpoint

SHARE = 0.25
"""Of a training's epochs, behind which a net is held against those that were refused."""


class PrunedTrial(Exception):  # noqa: N818
    """A pipeline cannot win; the message says what shows it.

    Args:
        reason: in words.
        size: of the net.
        excess: points beyond the budget that it is believed to have.
    """

    def __init__(self, reason: str, size: "Size", excess: float) -> None:
        super().__init__(reason)
        self.size = size
        self.excess = excess


@dataclass(frozen=True)
class Size:
    """Numbers that a net holds, and multiply-accumulates for a row."""

    parameters: int
    macs: int

    @property
    def cost(self) -> float:
        """Their product."""
        return float(self.parameters) * self.macs

    def covers(self, other: "Size") -> bool:
        """Tells whether another net is no larger, in both."""
        return self.parameters >= other.parameters and self.macs >= other.macs


@dataclass(frozen=True)
class Shown:
    """What a pipeline that was followed to its end has shown.

    Args:
        name: of the pipeline.
        size: of its net.
        histories: of its trainings by the pass that trained, an entry each epoch.
        excess: points beyond the budget; 0 or less where nothing but the clock may speak against it.
    """

    name: str
    size: Size
    histories: Mapping[str, tuple[dict[str, float], ...]]
    excess: float


class Pruner:
    """Watches a pipeline, and gives it up as soon as another one shows that it cannot win.

    Args:
        metric: that training logs for validation rows, by its name in the history.
        model_inputs: a batch of the net's inputs.
    """

    def __init__(self, metric: str, model_inputs: Mapping[str, Tensor]) -> None:
        self._metric = metric
        self._model_inputs = model_inputs
        self._shown: list[Shown] = []

    def size_of(self, checkpoint: Checkpoint) -> Size:
        """Measures a checkpoint's net."""
        net: Any = checkpoint.model()
        return Size(parameters(net), macs(net, self._model_inputs))

    def learn(self, shown: Shown) -> None:
        """Remembers a pipeline that was followed to its end."""
        self._shown.append(shown)

    def admit(self, size: Size) -> None:
        """Lets a net that was cut go on to training.

        Raises:
            PrunedTrial: a net that is no larger is good enough already.
        """
        for one in self._shown:
            if one.excess <= 0 and size.covers(one.size):
                raise PrunedTrial(f"{one.name} is good enough and no larger", size, 0.0)

    def watch(self, key: str, size: Size, epoch: int, epochs: int, values: Mapping[str, float]) -> None:
        """Looks at a training net once, behind a share of its epochs.

        Args:
            key: of the pass that trains it; only trainings by the same one are held against each other.
            size: of the net.
            epoch: that ended, from 0.
            epochs: in all.
            values: that were logged.

        Raises:
            PrunedTrial: a net that is no smaller was ahead at this epoch, and was refused all the same.
        """
        if epoch + 1 != max(1, round(SHARE * epochs)) or epoch + 1 >= epochs or self._metric not in values:
            return
        for one in self._shown:
            history = one.histories.get(key, ())
            then = history[epoch][self._metric] if len(history) == epochs else None
            if then is not None and one.excess > 0 and one.size.covers(size) and then >= values[self._metric]:
                raise PrunedTrial(
                    f"behind epoch {epoch + 1} its {self._metric} is {values[self._metric]:.4f}; that of {one.name}, "
                    f"which is no smaller and was refused, was {then:.4f}",
                    size,
                    one.excess,
                )

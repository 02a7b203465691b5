"""When a trial is pruned. No threshold is guessed: only what finished trials have shown counts."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from maas.compression.net_size import NetSize
from maas.errors import ExportError
from maas.training.checkpoint import Checkpoint

WATCHED_FRACTION = 0.25
"""Fraction of a training's epochs after which a net is compared with those that were refused."""


class PrunedTrial(Exception):  # noqa: N818 - Optuna's name for it
    """A trial cannot win; the message holds what shows it.

    Args:
        reason: reason in words.
        size: size of the net.
        excess: percentage points beyond the budget that it is believed to have.
    """

    def __init__(self, reason: str, size: NetSize, excess: float) -> None:
        super().__init__(reason)
        self.size = size
        self.excess = excess


@dataclass(frozen=True)
class FinishedTrial:
    """What a trial that was followed to its end has shown.

    Args:
        name: name of the pipeline.
        size: size of its net.
        histories: metrics of its trainings by the pass that trained, an entry for each epoch.
        excess: percentage points beyond the budget; 0 or less where only the clock may refuse it.
    """

    name: str
    size: NetSize
    histories: Mapping[str, tuple[dict[str, float], ...]]
    excess: float


class Pruner:
    """Watches a trial, and prunes it as soon as another one shows that it cannot win.

    Args:
        metric: name of the metric of validation rows in a training's history.
        model_inputs: batch of the net's inputs.
        is_smaller_better: whether less of the metric is better.
    """

    def __init__(self, metric: str, model_inputs: Mapping[str, Tensor], *, is_smaller_better: bool = False) -> None:
        self._metric = metric
        self._sign = -1 if is_smaller_better else 1
        self._model_inputs = model_inputs
        self._finished: list[FinishedTrial] = []

    def size_of(self, checkpoint: Checkpoint) -> NetSize:
        """Measures a checkpoint's net.

        Raises:
            ExportError: the model is no net.
        """
        net = checkpoint.model()
        if not isinstance(net, nn.Module):
            raise ExportError(f"{checkpoint.record.name} is no net that was trained here.")
        return NetSize.of(net, self._model_inputs)

    def record(self, finished: FinishedTrial) -> None:
        """Remembers a trial that was followed to its end."""
        self._finished.append(finished)

    def check_size(self, size: NetSize) -> None:
        """Checks a pruned net before it is trained.

        Raises:
            PrunedTrial: a net that is no larger is good enough already.
        """
        for one in self._finished:
            if one.excess <= 0 and size.covers(one.size):
                raise PrunedTrial(f"{one.name} is good enough and no larger", size, 0.0)

    def check_epoch(self, key: str, size: NetSize, epoch: int, epochs: int, values: Mapping[str, float]) -> None:
        """Checks a net in training once, after a fraction of its epochs.

        Args:
            key: name of the pass that trains it; only trainings by the same one are compared.
            size: size of the net.
            epoch: number of the epoch that ended, from 0.
            epochs: number of epochs in all.
            values: metrics of the epoch.

        Raises:
            PrunedTrial: a net that is no smaller was better at this epoch, and was refused all the same.
        """
        if epoch + 1 != max(1, round(WATCHED_FRACTION * epochs)) or epoch + 1 >= epochs or self._metric not in values:
            return
        for one in self._finished:
            history = one.histories.get(key, ())
            then = history[epoch][self._metric] if len(history) == epochs else None
            if then is None or one.excess <= 0 or not one.size.covers(size):
                continue
            if self._sign * then >= self._sign * values[self._metric]:
                raise PrunedTrial(
                    f"after epoch {epoch + 1} its {self._metric} is {values[self._metric]:.4f}; that of {one.name}, "
                    f"which is no smaller and was refused, was {then:.4f}",
                    size,
                    one.excess,
                )

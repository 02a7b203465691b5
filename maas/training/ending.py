"""The end of a training: its last batch, wherever in an epoch that lies, is validated."""

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loops.fetchers import _DataFetcher
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop


class ValidatedEnd(_TrainingEpochLoop):
    """Lightning's loop over the batches of an epoch; it validates after the last batch of a training in any case.

    Weights are kept where they were validated: steps after the last validation would be lost.
    """

    def __init__(self, trainer: Trainer) -> None:
        replaced = trainer.fit_loop.epoch_loop
        super().__init__(trainer, replaced.min_steps, replaced.max_steps)

    def _should_check_val_fx(self, data_fetcher: _DataFetcher) -> bool:
        """Tells whether a validation comes next."""
        is_due: bool = super()._should_check_val_fx(data_fetcher)
        return is_due or (self.trainer.enable_validation and is_last_batch(self.trainer))


def is_last_batch(trainer: Any) -> bool:
    """Tells whether training ends with the batch that was just trained on.

    Args:
        trainer: Lightning's, in training.
    """
    epochs = trainer.fit_loop
    if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
        return True
    if trainer.should_stop and epochs._can_stop_early:  # noqa: SLF001 - Lightning has no public word for it
        return True
    is_epoch_end: bool = epochs.epoch_loop._num_ready_batches_reached()  # noqa: SLF001
    return is_epoch_end and epochs.max_epochs != -1 and epochs.epoch_progress.current.processed + 1 >= epochs.max_epochs

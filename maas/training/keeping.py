"""Which epoch's weights are kept."""

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor


class LatestBest(ModelCheckpoint):
    """Keeps the best epoch, and of equally good ones the last.

    Few validation rows make ties, and under a falling learning rate the later weights are the better ones.
    """

    def check_monitor_top_k(self, trainer: Trainer, current: Tensor | None = None) -> bool:
        """Tells whether an epoch is at least as good as the one that is kept."""
        is_tie = current is not None and self.best_model_score is not None and bool(current == self.best_model_score)
        return is_tie or super().check_monitor_top_k(trainer, current)

"""Which epoch's weights are kept."""

from pathlib import Path
from typing import Any

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

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on with the best epoch so far, wherever its folder was moved to; Lightning would forget its score."""
        moved = {
            key: self._here(state_dict[key]) for key in ("best_model_path", "kth_best_model_path", "last_model_path")
        }
        kept = {self._here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **moved, "best_k_models": kept, "dirpath": self.dirpath})

    def _here(self, path: str) -> str:
        return str(Path(self.dirpath or "") / Path(path).name) if path else path

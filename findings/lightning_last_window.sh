#!/usr/bin/env bash
# Lightning divides each accumulated gradient by accumulate_grad_batches, also in an epoch's last window, which has fewer
# batches: with 5 batches and k = 4 the last step is a quarter of what its own batch asks for.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 lightning==2.6.6 "numpy==2.4.6"
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import logging
import sys

import lightning
import torch
from lightning.pytorch import LightningModule, Trainer

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Slope(LightningModule):
    """The loss is −w, whose gradient is −1 in every batch: each step of SGD with lr 1 should add 1."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(1))
        self.after = []

    def training_step(self, batch, _):
        return -self.w.sum()

    def on_before_zero_grad(self, _):
        self.after.append(self.w.item())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


slope = Slope()
quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
trainer = Trainer(max_epochs=1, accelerator="cpu", devices=1, accumulate_grad_batches=4, **quiet)
trainer.fit(slope, torch.utils.data.DataLoader(torch.zeros(5, 1), batch_size=1))
first = slope.after[1]
last = slope.w.item() - first
print(f"torch {torch.__version__}, lightning {lightning.__version__}")
print("5 batches, accumulate_grad_batches=4, gradient -1 in each, lr 1: two steps")
print("expected: each step is the mean over its own batches, 1.0 and 1.0")
print(f"seen:     {first} and {last}")
sys.exit(0 if (first, last) == (1.0, 0.25) else 1)
PY

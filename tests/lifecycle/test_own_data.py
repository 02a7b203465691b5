"""A user's own table, net and recipe, from a folder outside the checkout, by command line alone."""

import os
import subprocess
import sys
from pathlib import Path

import maas

RECIPE = """\
# My reviews.
defaults:
  - override /data: files
  - override /model: mine
name: my_reviews
data:
  source: {path: reviews.csv, input: review, label: stars}
  test_fraction: 0.2
processor: {vocabulary_size: 300, max_tokens: 16}
trainer: {max_epochs: 2}
registry: null
"""

NET = """\
from torch import nn


class Bag(nn.Module):
    def __init__(self, vocabulary_size: int, outputs: int, width: int = 8) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, width, padding_idx=0)
        self.head = nn.Linear(width, outputs)

    def forward(self, input_ids):
        return self.head(self.embedding(input_ids).sum(dim=1))
"""


def test_csv_net_and_recipe_of_ones_own_need_no_code_in_maas(tmp_path: Path) -> None:
    rows = [f"good thing number {i},five" for i in range(60)] + [f"bad thing number {i},one" for i in range(60)]
    (tmp_path / "reviews.csv").write_text("review,stars\n" + "\n".join(rows) + "\n")
    (tmp_path / "parts" / "model").mkdir(parents=True)
    (tmp_path / "parts" / "recipes").mkdir()
    (tmp_path / "parts" / "model" / "mine.yaml").write_text("_target_: my_net.Bag\nwidth: 16\n")
    (tmp_path / "parts" / "recipes" / "my_reviews.yaml").write_text(RECIPE)
    (tmp_path / "my_net.py").write_text(NET)
    command = [sys.executable, "-m", "maas.run", "-cd", "parts", "recipe=my_reviews"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    bundle = maas.load(tmp_path / "runs" / "my_reviews" / "latest" / "bundle")
    assert bundle.manifest.answer["labels"] == ["five", "one"]
    assert bundle.predict(["good thing number 99"])[0]["label"] in ("five", "one")
    assert bundle.evidence.data.rows == {"train": 84, "validation": 12, "test": 24}

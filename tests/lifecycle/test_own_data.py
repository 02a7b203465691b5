"""A user's own data, net and recipe, from a folder outside the checkout, by command line alone."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

import maas
import maas.run

SHORT = "registry: null\ntrainer: {max_epochs: 2}\nexport: {robustness_rows: 12}\n"
TEXTS = """\
# My reviews.
defaults:
  - override /data: files
  - override /model: mine
name: my_reviews
data:
  source: {path: reviews.csv, input: review, label: stars}
  test_fraction: 0.2
processor: {vocabulary_size: 300, max_tokens: 16}
"""
IMAGES = """\
# My pictures.
defaults:
  - override /data: image_folder
  - override /processor: image
  - override /model: mine
name: my_images
data: {source: {path: images}, test_fraction: 0.2}
processor: {height: 16, width: 16, channels: 3}
"""
SOUNDS = """\
# My words.
defaults:
  - override /data: audio_folder
  - override /processor: audio
  - override /model: keyword_cnn
name: my_words
data: {source: {path: words}, test_fraction: 0.2}
processor: {rate: 8000, seconds: 0.5}
"""
COLUMNS = """\
# My prices.
defaults:
  - override /data: columns
  - override /processor: tabular
  - override /model: tabular_mlp
  - override /objective: mse
name: my_prices
task: regression
metric: r2
data: {source: {path: prices.parquet, target: price}, test_fraction: 0.2}
processor: {numbers: [rooms, age], categories: [town]}
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
LIGHTNING = """\
import torch
from lightning.pytorch import LightningModule
from torch import nn


class Pictures(LightningModule):
    def __init__(self, in_channels: int, outputs: int, width: int = 8) -> None:
        super().__init__()
        self.body = nn.Conv2d(in_channels, width, 3, stride=2)
        self.head = nn.Linear(width, outputs)

    def forward(self, pixels):
        return self.head(self.body(pixels.permute(0, 3, 1, 2) / 255).relu().mean(dim=(2, 3)))

    def training_step(self, batch, _):
        model_inputs, targets = batch
        loss = nn.functional.cross_entropy(self(**model_inputs), targets)
        self.log("my_loss", loss)
        return loss

    def validation_step(self, batch, _):
        pass

    def configure_optimizers(self):
        return torch.optim.RMSprop(self.parameters(), lr=1e-2)
"""


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with parts of one's own, in which one works."""
    (tmp_path / "parts" / "model").mkdir(parents=True)
    (tmp_path / "parts" / "recipes").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_net", raising=False)
    return tmp_path


def written(house: Path, recipe: str, net: str, target: str) -> list[str]:
    """Writes a recipe, and a net where there is one; returns the arguments that run it."""
    name = next(line.removeprefix("name: ") for line in recipe.splitlines() if line.startswith("name: "))
    (house / "parts" / "recipes" / f"{name}.yaml").write_text(recipe + SHORT)
    if net:
        (house / "my_net.py").write_text(net)
        (house / "parts" / "model" / "mine.yaml").write_text(f"_target_: my_net.{target}\nwidth: 16\n")
    return ["-cd", "parts", f"recipe={name}"]


@pytest.fixture
def run(house: Path, entered: Callable[..., Any], few_turns: None) -> Callable[..., maas.Bundle]:
    """Writes a recipe and runs the line by command, entered in this process: seconds of importing are saved."""

    def enter(recipe: str, *, net: str = "", target: str = "") -> maas.Bundle:
        status, _, told = entered(maas.run.main, *written(house, recipe, net, target))
        assert status == 0, told
        return maas.load(next(house.glob("runs/*/latest/bundle")))

    return enter


def test_csv_of_texts_and_a_net_of_ones_own_need_no_code_in_maas(house: Path) -> None:
    """By a command in a process of its own, which finds the net in the working directory."""
    rows = [f"good thing number {i},five" for i in range(60)] + [f"bad thing number {i},one" for i in range(60)]
    (house / "reviews.csv").write_text("review,stars\n" + "\n".join(rows) + "\n")
    command = [sys.executable, "-m", "maas.run", *written(house, TEXTS, NET, "Bag")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    bundle = maas.load(house / "runs/my_reviews/latest/bundle")
    assert bundle.manifest.postprocessor["labels"] == ["five", "one"]
    assert bundle.predict(["good thing number 99"])[0]["label"] in ("five", "one")
    assert bundle.evidence.data.rows == {"train": 84, "validation": 12, "test": 24}
    assert [(curve.name, curve.rows) for curve in bundle.evidence.robustness] == [("typos", 12)]


def test_folder_of_images_and_a_lightning_module_of_ones_own_need_no_code_in_maas(
    house: Path, run: Callable[..., maas.Bundle]
) -> None:
    random = np.random.default_rng(0)
    for label, level in (("bright", 200), ("dark", 40)):
        (house / "images" / label).mkdir(parents=True)
        for index in range(40):
            pixels = (level + random.integers(-30, 30, (20, 24, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(house / "images" / label / f"{index}.{'png' if index % 2 else 'JPG'}", "PNG")
    bundle = run(IMAGES, net=LIGHTNING, target="Pictures")
    answer = bundle.predict([house / "images" / "dark" / "1.png"])
    assert answer == bundle.predict([(house / "images" / "dark" / "1.png").read_bytes()])
    trained, shipped = (bundle.evidence.metrics[one] for one in ("trained", "shipped"))
    assert {name: one.value for name, one in trained.items()} == pytest.approx(
        {name: one.value for name, one in shipped.items()}, abs=1e-6
    )
    assert all(set(epoch) >= {"my_loss", "validation_accuracy"} for epoch in history(house, "my_images"))


def test_folder_of_words_needs_no_code(house: Path, run: Callable[..., maas.Bundle]) -> None:
    random, seconds = np.random.default_rng(0), np.arange(3200) / 8000
    for label, hertz in (("high", 1500), ("low", 200)):
        (house / "words" / label).mkdir(parents=True)
        for index in range(30):
            tone = 0.4 * np.sin(2 * np.pi * hertz * seconds) + 0.02 * random.normal(size=3200)
            soundfile.write(house / "words" / label / f"{index}.wav", tone, 8000)
    bundle = run(SOUNDS)
    assert bundle.predict([house / "words" / "low" / "0.wav"])[0]["label"] in ("high", "low")
    assert bundle.manifest.task == "audio-classification"


def test_parquet_of_columns_needs_no_code(house: Path, run: Callable[..., maas.Bundle]) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"rooms": random.integers(1, 9, 400), "age": random.normal(40, 9, 400)})
    table["town"] = random.choice(["Ulm", "Köln"], 400)
    table["price"] = 30 * table["rooms"] - table["age"] + 50 * (table["town"] == "Ulm") + random.normal(0, 1, 400)
    table.loc[::7, "age"] = None
    table.to_parquet(house / "prices.parquet")
    bundle = run(COLUMNS)
    assert set(bundle.predict([{"rooms": 3, "town": "Ulm"}])[0]) == {"value"}
    assert set(bundle.evidence.metrics["shipped"]) == {"r2", "mae", "rmse", "mape"}


def history(house: Path, name: str) -> list[dict[str, float]]:
    from maas.training.checkpoint import Checkpoint

    return list(Checkpoint.open(house / "runs" / name / "latest" / "train").record.history)

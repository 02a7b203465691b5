"""Tokens a second of training a language model: the recipe, and a loop written by hand around the same net.

    python tests/benchmarks/bench_language.py [key=value …]

Both train `bible_gpt`, or what the overrides make of it, on the same few chapters with AdamW and clipped gradients, and
take turns in one process; what counts are the ratios of a round. Each trains two epochs, of which the second is timed:
the steps alone, without validation.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import maas
from maas.data.packing import NO_TARGET, PackedTexts
from maas.data.splits import Splits
from maas.models.gpt import GPT
from maas.runtime.processors import Processor
from maas.training.fitting import fit_recipe
from maas.training.recipe import TrainingRecipe, required

ROUNDS, EPOCHS = 5, 2
FEW = ["+data.max_rows=40", f"trainer.max_epochs={EPOCHS}", "schedule=constant"]


def ours(recipe: TrainingRecipe, splits: Splits, processor: Processor) -> float:
    """The recipe, in sequences a second."""
    rates: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        fit_recipe(recipe, splits, processor, Path(folder), lambda _, values: rates.append(values["rows_per_second"]))
    return rates[-1]


def by_hand(recipe: TrainingRecipe, splits: Splits, processor: Processor) -> float:
    """A loop as a tutorial has it, over sequences that lie in memory."""
    packed = PackedTexts(processor, splits.train.inputs)
    rows = TensorDataset(*map(torch.from_numpy, packed.take(range(len(packed)))))
    loader = DataLoader(rows, batch_size=recipe.batch_size, shuffle=True)
    net = GPT(**recipe.model, **processor.net_arguments).train()
    optimizer = torch.optim.AdamW(net.parameters(), **required(recipe.optimizer, "optimizer"), fused=True)
    begun = 0.0
    for _ in range(EPOCHS):
        begun = time.monotonic()
        for tokens, documents, targets in loader:
            logits = net(tokens, documents)
            loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=NO_TARGET)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), recipe.trainer_settings["gradient_clip_val"])
            optimizer.step()
    return len(rows) / (time.monotonic() - begun)


CONTESTANTS = {"maas": ours, "by hand": by_hand}


def main(*overrides: str) -> None:
    """Lets them take turns and prints a table."""
    recipe = TrainingRecipe.of(maas.compose("bible_gpt", *FEW, *overrides))
    splits = recipe.rows()
    processor = recipe.fitted_processor(splits.train.inputs)
    length = processor.settings()["max_tokens"]
    rates: dict[str, list[float]] = {contestant: [] for contestant in CONTESTANTS}
    for _ in range(ROUNDS):
        for contestant, train in CONTESTANTS.items():
            rates[contestant].append(train(recipe, splits, processor))
    print(f"{ROUNDS} rounds, medians, {torch.get_num_threads()} threads")
    print("| loop | tokens/s | fraction of the loop by hand |\n|---|---|---|")
    for contestant, found in rates.items():
        fractions = [one / other for one, other in zip(found, rates["by hand"], strict=True)]
        print(f"| {contestant} | {length * statistics.median(found):,.0f} | {statistics.median(fractions):.2f} |")
        print(f"|  | rounds | {', '.join(f'{fraction:.2f}' for fraction in fractions)} |")


if __name__ == "__main__":
    main(*sys.argv[1:])

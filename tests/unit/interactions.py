"""Interactions of users with a taste each: groups of items, of which a user has one group's in a random order."""

from pathlib import Path

import numpy as np
import pandas as pd

GROUPS, GROUP_ITEMS = 6, 12


def tastes(users: int = 240, seed: int = 0) -> pd.DataFrame:
    """Returns a table of user, item and time; items are named by their group, `g3_07`."""
    random, rows = np.random.default_rng(seed), []
    for user in range(users):
        group, count = random.integers(GROUPS), random.integers(7, GROUP_ITEMS)
        own = random.permutation(GROUP_ITEMS)[:count]
        times = np.sort(random.uniform(0, 1000, count))
        rows += [(f"u{user:03}", f"g{group}_{item:02}", time) for item, time in zip(own, times, strict=True)]
    return pd.DataFrame(rows, columns=["user", "item", "time"])


def written(folder: Path, frame: pd.DataFrame) -> Path:
    """Writes a table as CSV and returns its path."""
    path = folder / "had.csv"
    frame.to_csv(path, index=False)
    return path

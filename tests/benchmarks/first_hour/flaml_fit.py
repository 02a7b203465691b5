"""FLAML on a table, in an environment of its own: `python flaml_fit.py FOLDER`.

FOLDER holds `train.csv` and `test.csv` with the column `target` last, and `terms.json`: task, metric, seconds, seed,
and the columns that are categories. It prints the metric of the test rows. maas is not needed, nor imported.
"""

import json
import sys
from pathlib import Path

import pandas as pd
from flaml import AutoML
from sklearn.metrics import accuracy_score, balanced_accuracy_score, r2_score

MEASURES = {"accuracy": accuracy_score, "balanced_accuracy": balanced_accuracy_score, "r2": r2_score}
SEARCHED = {"accuracy": "accuracy", "balanced_accuracy": "macro_f1", "r2": "r2"}
"""What FLAML maximises; it has no balanced accuracy."""


def main(folder: Path) -> None:
    """Fits for as many seconds as the terms say, and prints one number."""
    terms = json.loads((folder / "terms.json").read_text())
    kinds = {**dict.fromkeys(terms["categories"], str), "target": float if terms["task"] == "regression" else str}
    train, test = (pd.read_csv(folder / f"{split}.csv", dtype=kinds) for split in ("train", "test"))
    for name in terms["categories"]:
        known = pd.CategoricalDtype(train[name].dropna().unique())
        train[name], test[name] = train[name].astype(known), test[name].astype(known)
    search = AutoML()
    search.fit(
        train.drop(columns="target"),
        train["target"],
        task=terms["task"],
        metric=SEARCHED[terms["metric"]],
        time_budget=terms["seconds"],
        seed=terms["seed"],
        n_jobs=2,
        verbose=0,
    )
    print(MEASURES[terms["metric"]](test["target"], search.predict(test.drop(columns="target"))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The recipes of docs/importing.md compose as they stand; the one of a file of XGBoost imports it."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import maas

PAGE = (Path(__file__).parents[2] / "docs/importing.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"^```yaml\n(defaults:.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the files that the recipes name."""
    xgboost = pytest.importorskip("xgboost")
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"distance": generator.normal(size=200), "hour": generator.integers(0, 24, 200)})
    late = (table["distance"] > 0).to_numpy()
    table.assign(late=late.astype(int)).to_csv(tmp_path / "flights.csv", index=False)
    xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(table.to_numpy(), late).save_model(tmp_path / "late.json")
    (tmp_path / "pets").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_recipes_of_the_page_compose_and_a_file_is_imported(place):
    assert len(RECIPES) == 2
    configs = {}
    for number, recipe in enumerate(RECIPES):
        file = place / f"recipe_{number}.yaml"
        file.write_text(recipe, encoding="utf-8")
        config = maas.compose(str(file), "registry=null", "baseline=null", f"runs_dir={place}")
        configs[config.name] = config
    assert configs["pets"].freeze
    checkpoint = maas.lifecycle.train(configs["late"])
    rows = pd.read_csv("flights.csv")[["distance", "hour"]].to_dict("records")[:20]
    model_inputs = checkpoint.processor().batch(checkpoint.processor().preprocess(rows))
    found = checkpoint.model().outputs(model_inputs)
    assert found.argmax(axis=1).tolist() == [int(row["distance"] > 0) for row in rows]

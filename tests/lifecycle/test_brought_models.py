"""Models that people bring: each trained or imported, exported, proven on 1,000 rows, and served."""

import asyncio
import json
import string
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import yaml

import maas
from maas.lifecycle.recipe import load_rows
from maas.serving.repository import Repository
from maas.serving.transports.http import HttpApp

ROWS = 2400
NUMBERS, CATEGORIES = ["distance", "hour"], ["carrier", "origin"]
NULLS = ("objective", "optimizer", "schedule", "trainer")
COMMON = ("compress=none", "registry=null", "baseline=null", "export.robustness_rows=0")
SMALL = {"n_estimators": 20, "random_state": 0, "n_jobs": 1}
STEPS = [
    {"_target_": "sklearn.impute.SimpleImputer", "add_indicator": True},
    {"_target_": "sklearn.preprocessing.StandardScaler"},
]
COLUMNS = {
    "_target_": "sklearn.compose.ColumnTransformer",
    "transformers": [
        [
            "numbers",
            {"_target_": "sklearn.pipeline.Pipeline", "steps": [["fill", STEPS[0]], ["scale", STEPS[1]]]},
            NUMBERS,
        ],
        ["hot", {"_target_": "sklearn.preprocessing.OneHotEncoder", "handle_unknown": "ignore"}, ["carrier"]],
        [
            "places",
            {
                "_target_": "sklearn.preprocessing.OrdinalEncoder",
                "handle_unknown": "use_encoded_value",
                "unknown_value": -1,
                "encoded_missing_value": -2,
            },
            ["origin"],
        ],
    ],
}


def pipeline(last: dict[str, Any]) -> dict[str, Any]:
    return {"_target_": "sklearn.pipeline.Pipeline", "steps": [["columns", COLUMNS], ["last", last]]}


ESTIMATORS = {
    "forest": pipeline({"_target_": "sklearn.ensemble.RandomForestClassifier", **SMALL}),
    "histograms": pipeline({"_target_": "sklearn.ensemble.HistGradientBoostingClassifier", "max_iter": 20}),
    "boosting": pipeline({"_target_": "sklearn.ensemble.GradientBoostingClassifier", "n_estimators": 20}),
    "xgboost": {"_target_": "xgboost.XGBClassifier", **SMALL, "enable_categorical": True},
    "xgboost in a pipeline": pipeline({"_target_": "xgboost.XGBClassifier", **SMALL}),
    "lightgbm": {"_target_": "lightgbm.LGBMClassifier", **SMALL, "verbosity": -1},
    "lightgbm in a pipeline": pipeline({"_target_": "lightgbm.LGBMClassifier", **SMALL, "verbosity": -1}),
}
UNUSUAL = {"distance": 1e300, "hour": None, "carrier": "never seen"}


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of two numbers and two categories, some of each missing, whose label hangs on three of them."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"distance": generator.gamma(2, 400, ROWS).round(1), "hour": generator.integers(0, 24, ROWS)})
    frame["carrier"] = generator.choice(["UA", "AA", "DL", "07"], ROWS)
    frame["origin"] = generator.choice([f"{one}FK" for one in string.ascii_uppercase[:9]], ROWS)
    score = frame["distance"] / 800 + frame["carrier"].isin(["UA", "07"]) + (frame["origin"] < "D") * 1.5
    frame["late"] = np.where(score + generator.normal(0, 0.2, ROWS) > 2.3, "late", "in time")
    for place, name in enumerate([*NUMBERS, *CATEGORIES]):
        frame.loc[frame.index % 13 == place, name] = None
    path = tmp_path_factory.mktemp("flights") / "flights.csv"
    frame.to_csv(path, index=False)
    return path


def composed(folder: Path, name: str, recipe: dict[str, Any], *overrides: str) -> maas.RunConfig:
    """Writes a recipe as a user would, and composes it."""
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump({"name": name, **recipe}, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return maas.compose(str(file), *COMMON, f"runs_dir={folder / 'runs'}", *overrides)


def of_table(folder: Path, table: Path, model: dict[str, Any]) -> maas.RunConfig:
    sections = {"data": "columns", "processor": "tabular", "model": "estimator"}
    recipe = {
        "defaults": [
            *({f"override /{section}": part} for section, part in sections.items()),
            *({f"override /{section}": None} for section in NULLS),
        ],
        "data": {"target": "label", "source": {"path": str(table), "target": "late"}, "test_fraction": 0.5},
        "processor": {"numbers": NUMBERS, "categories": CATEGORIES},
        "model": model,
    }
    return composed(folder, "brought", recipe)


def served(bundle: maas.Bundle, path: str, content: dict[str, Any]) -> httpx.Response:
    """Sends one request to a server in this process."""
    repository = Repository()
    repository.open(bundle.folder)

    async def ask() -> httpx.Response:
        app = HttpApp(repository)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.post(path, json=content)
        await app.close()
        return response

    return asyncio.run(ask())


def require_proven(bundle: maas.Bundle) -> None:
    parity = [one for one in bundle.evidence.parity if one.right == "onnxruntime"]
    assert max(one.rows for one in parity) >= 1000
    assert all(one.agreement.value == 1 for one in parity)


def require_served(bundle: maas.Bundle, path: str, key: str, rows: list[Any]) -> None:
    for row in rows:
        reply = served(bundle, path, {key: row})
        assert reply.status_code == 200, reply.text
        assert reply.json() == json.loads(json.dumps(bundle.predict([row])[0]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimator_of_a_table_with_strings_is_proven_and_served(name: str, flights: Path, tmp_path: Path) -> None:
    config = of_table(tmp_path, flights, {"estimator": ESTIMATORS[name]})
    bundle = maas.lifecycle.run(config).bundle
    require_proven(bundle)
    assert bundle.evidence.metrics["shipped"]["accuracy"].value > 0.85
    rows = [*load_rows(config).test.inputs[:3], {**dict.fromkeys([*NUMBERS, *CATEGORIES]), **UNUSUAL, "distance": 1e30}]
    require_served(bundle, "/v1/tabular-classification", "row", rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["theirs.json", "theirs.ubj", "theirs.txt"])
def test_file_of_a_booster_is_proven_and_served(name: str, flights: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(flights)
    table, late = frame[NUMBERS].to_numpy(), (frame["late"] == "late").to_numpy()
    if name.endswith(".txt"):
        import lightgbm

        lightgbm.LGBMClassifier(**SMALL, verbosity=-1).fit(table, late).booster_.save_model(tmp_path / name)
    else:
        import xgboost

        xgboost.XGBClassifier(**SMALL).fit(table, late).save_model(tmp_path / name)
    of_table(tmp_path, flights, {"estimator": str(tmp_path / name), "labels": ["in time", "late"]})
    config = maas.compose(
        str(tmp_path / "brought.yaml"),
        *COMMON,
        f"runs_dir={tmp_path}",
        "processor.categories=[]",
        "data.source.columns=[distance,hour]",
    )
    bundle = maas.lifecycle.run(config).bundle
    require_proven(bundle)
    rows = [{"distance": 100.0, "hour": 3}, {"distance": None, "hour": None}, {"distance": 3e38, "hour": -3e38}]
    require_served(bundle, "/v1/tabular-classification", "row", rows)

"""Models that people bring: each trained or imported, exported, proven on 1,000 rows, and served."""

import asyncio
import json
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor, nn

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


def of_table(
    folder: Path,
    table: Path,
    model: dict[str, Any],
    kind: str = "estimator",
    numbers: Sequence[str] = NUMBERS,
    categories: Sequence[str] = CATEGORIES,
) -> maas.RunConfig:
    sections = {"data": "columns", "processor": "tabular", "model": kind}
    source = {"path": str(table), "target": "late", "columns": [*numbers, *categories]}
    recipe = {
        "defaults": [
            *({f"override /{section}": part} for section, part in sections.items()),
            *({f"override /{section}": None} for section in NULLS),
        ],
        "data": {"target": "label", "source": source, "test_fraction": 0.5},
        "processor": {"numbers": list(numbers), "categories": list(categories)},
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


def require_proven_at_edges(bundle: maas.Bundle) -> None:
    """Requires rows of missing, unseen and extreme values, and those at the thresholds, to be part of the proof."""
    found = {one.right: one for one in bundle.evidence.parity}
    assert all(found[f"onnxruntime, {kind} values"].agreement.value == 1 for kind in ("unusual", "extreme"))


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
    require_proven_at_edges(bundle)
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
    model = {"estimator": str(tmp_path / name), "labels": ["in time", "late"]}
    config = of_table(tmp_path, flights, model, categories=())
    bundle = maas.lifecycle.run(config).bundle
    require_proven(bundle)
    require_proven_at_edges(bundle)
    rows = [{"distance": 100.0, "hour": 3}, {"distance": None, "hour": None}, {"distance": 3e38, "hour": -3e38}]
    require_served(bundle, "/v1/tabular-classification", "row", rows)


SIDE = 24
COLOURS = ("red", "green", "blue")
VIT = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "image_size": SIDE,
    "patch_size": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of paths to 1,300 pictures, each of one colour with noise."""
    folder = tmp_path_factory.mktemp("pictures")
    generator, lines = np.random.default_rng(0), ["path,label"]
    for number in range(1300):
        pixels = generator.integers(0, 130, (20, 30, 3), dtype=np.uint8)
        pixels[:, :, number % 3] += 100
        Image.fromarray(pixels).save(folder / f"{number}.png", compress_level=0)
        lines.append(f"{number}.png,{COLOURS[number % 3]}")
    (folder / "table.csv").write_text("\n".join(lines))
    return folder / "table.csv"


def of_pictures(folder: Path, table: Path, parts: dict[str, Any], **recipe: Any) -> maas.RunConfig:
    sections = {"data": "file_table", "optimizer": "adamw", "schedule": "constant", **parts}
    whole = {
        "defaults": [{f"override /{section}": part} for section, part in sections.items()],
        "data": {"source": {"path": str(table)}, "test_fraction": 0.8, "validation_fraction": 0.08},
        **recipe,
    }
    return composed(folder, "seen", whole, "trainer.max_epochs=4", "optimizer.lr=0.02", "batch_size=16")


@pytest.mark.slow
def test_vit_of_a_folder_is_tuned_with_frozen_layers_proven_and_served(pictures: Path, tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    ViTForImageClassification(ViTConfig(**VIT, num_labels=7)).save_pretrained(tmp_path / "vit")
    ViTImageProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(tmp_path / "vit")
    config = of_pictures(
        tmp_path, pictures, {"processor": "pretrained_image", "model": "image_classifier"},
        model={"pretrained": str(tmp_path / "vit")}, freeze=["model.vit.embeddings"],
    )  # fmt: skip
    line = maas.lifecycle.run(config)
    require_proven(line.bundle)
    assert line.bundle.evidence.metrics["shipped"]["accuracy"].value > 0.9
    before = ViTForImageClassification.from_pretrained(tmp_path / "vit").vit.state_dict()
    after = line.checkpoint.model().model.vit.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved
    assert not any(name.startswith("embeddings.") for name in moved)
    assert line.bundle.manifest.processor["height"] == SIDE
    require_seen(line.bundle, pictures)


@pytest.mark.slow
def test_net_of_floats_is_trained_proven_and_served(pictures: Path, tmp_path: Path) -> None:
    processor = {"height": 16, "width": 16, "channels": 3}
    config = of_pictures(
        tmp_path, pictures, {"processor": "image", "model": "picture_net"}, processor=processor,
        model={"net": f"{__name__}.Theirs"},
    )  # fmt: skip
    bundle = maas.lifecycle.run(config).bundle
    require_proven(bundle)
    assert bundle.evidence.metrics["shipped"]["accuracy"].value > 0.9
    require_seen(bundle, pictures)


def require_seen(bundle: maas.Bundle, table: Path) -> None:
    """Requires the same prediction of a file by its path, by the server, and the right one."""
    import base64

    for number in range(3):
        file = table.parent / f"{number}.png"
        (expected,) = bundle.predict([file])
        assert expected["label"] == COLOURS[number]
        text = base64.b64encode(file.read_bytes()).decode()
        assert served(bundle, "/v1/image-classification", {"image": text}).json() == expected


class Theirs(nn.Module):
    """A net in the form of torchvision's: floats channels first, and `num_classes`."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU())
        self.fc = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.features(x).mean((2, 3)))
        return logits


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras 3.15 with numpy 2
def test_keras_net_of_two_inputs_is_proven_and_served(flights: Path, tmp_path: Path) -> None:
    pd.read_csv(flights).dropna(subset=["distance"]).to_csv(
        tmp_path / "whole.csv", index=False
    )  # it knows no missing one
    model = {"model": str(two_inputs(tmp_path)), "gives": "logits", "epochs": 3}
    config = of_table(tmp_path, tmp_path / "whole.csv", model, "keras_net", numbers=["distance"])
    bundle = maas.lifecycle.run(config).bundle
    require_proven(bundle)
    rows = [{"distance": 100.0, "carrier": "UA", "origin": "AFK"}, {"distance": 9.0, "carrier": "new", "origin": None}]
    require_served(bundle, "/v1/tabular-classification", "row", rows)


def two_inputs(folder: Path) -> Path:
    """A Keras net of a number and two positions of categories, under names of its own."""
    from maas.importing.keras_net import keras_on_torch

    layers = keras_on_torch().layers
    amount, kinds = layers.Input((1,), name="amount"), layers.Input((2,), name="kinds", dtype="int64")
    scaled = layers.Rescaling(0.001)(amount)
    looked_up = layers.Flatten()(layers.Embedding(40, 3)(kinds))
    net = keras_on_torch().Model([kinds, amount], layers.Dense(2)(layers.Concatenate()([scaled, looked_up])))
    net.save(folder / "theirs.keras")
    return folder / "theirs.keras"

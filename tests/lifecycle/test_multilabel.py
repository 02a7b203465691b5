"""Sets of labels go through the line: pictures of digits and what is true of each digit."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn import metrics as reference
from sklearn.datasets import load_digits

import maas
from maas.config import RunConfig

TRUE_OF = {
    "even": {0, 2, 4, 6, 8}, "prime": {2, 3, 5, 7}, "square": {0, 1, 4, 9}, "round": {0, 6, 8, 9},
}  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """A CSV file of 64 columns of pixels, and one of what is true of the digit."""
    bunch = load_digits()
    path = tmp_path_factory.mktemp("rows") / "digits.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow([*(f"pixel{index}" for index in range(64)), "properties"])
        for pixels, digit in zip(bunch.data, bunch.target, strict=True):
            rows.writerow([*pixels.astype(int), "; ".join(name for name, digits in TRUE_OF.items() if digit in digits)])
    return path


def config_of(table: Path, folder: Path, *overrides: str) -> RunConfig:
    pixels = ",".join(f"pixel{index}" for index in range(64))
    return maas.compose(
        "digits_mlp", "~registry", "task=multilabel", "metric=macro_f1", "objective=bce", "data=files",
        f"data.source.path={table}", f"data.source.input=[{pixels}]", "data.source.label=properties",
        "data.source.label_separator=';'", "data.target=labels", "trainer.max_epochs=4", "resume=never",
        f"runs_dir={folder}",
        *overrides,
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(table, tmp_path_factory):
    config = config_of(
        table, tmp_path_factory.mktemp("runs"), "compress.budget.speedup=null", "compress.budget.max_drop=5",
        "~compress.passes.quantize_dynamic", "export.min_agreement=0.95", "compress.budget.min_shrink=2",
    )  # fmt: skip
    checkpoint = maas.lifecycle.train(config)
    compressed = maas.lifecycle.compress(config, checkpoint)
    return config, checkpoint, compressed, maas.lifecycle.export(config, checkpoint, compressed)


def test_metrics_of_the_evidence_equal_scikit_learns_when_a_bundle_is_proven(made):
    config, checkpoint, _, bundle = made
    rows = config.data.build().test
    assert checkpoint.record.labels == ("even", "prime", "round", "square")
    found = np.array(
        [[name in one["labels"] for name in checkpoint.record.labels] for one in bundle.predict(list(rows.inputs))]
    )
    shipped = {name: one.value for name, one in bundle.evidence.metrics["shipped"].items()}
    expected = {f"{kind}_f1": reference.f1_score(rows.targets, found, average=kind) for kind in ("macro", "micro")}
    assert shipped["macro_f1"] == pytest.approx(expected["macro_f1"])
    assert shipped["micro_f1"] == pytest.approx(expected["micro_f1"])
    assert shipped["subset_accuracy"] == pytest.approx(reference.accuracy_score(rows.targets, found))
    assert shipped["hamming_loss"] == pytest.approx(reference.hamming_loss(rows.targets, found))
    assert shipped["macro_f1"] > 0.8
    assert bundle.manifest.precision != "fp32"
    assert bundle.evidence.robustness


def test_prediction_has_labels_and_scores_when_a_row_is_predicted(made):
    config, _, _, bundle = made
    (one,) = bundle.predict([config.data.build().test.inputs[0]])
    assert set(one) == {"labels", "scores"}
    assert list(one["scores"]) == ["even", "prime", "round", "square"]
    assert one["labels"] == [name for name, score in one["scores"].items() if score >= 0.5]
    explained = maas.explain(bundle, config.data.build().test.inputs[0])
    assert explained.label in one["scores"]


def test_thresholds_reach_what_is_required_of_each_label_when_they_were_chosen(table, tmp_path):
    config = config_of(table, tmp_path, "threshold={recall: 0.99}", "compress=none")
    checkpoint = maas.lifecycle.train(config)
    bundle = maas.lifecycle.export(config, checkpoint)
    assert list(bundle.evidence.thresholds) == list(checkpoint.record.labels)
    rows = config.data.build().validation
    found = np.array(
        [[name in one["labels"] for name in checkpoint.record.labels] for one in bundle.predict(list(rows.inputs))]
    )
    for place in range(4):
        assert reference.recall_score(rows.targets[:, place], found[:, place]) >= 0.98


def texts(folder: Path) -> list[str]:
    """Reviews with topics, as lists in JSON lines."""
    topics = {"film": "a film", "food": "some food", "slow": "it was slow"}
    path, random = folder / "rows.jsonl", np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        for index in range(300):
            chosen = [name for name in topics if random.random() < 0.4]
            words = [
                f"row {index}",
                *(topics[name] for name in chosen),
                *random.choice(["the", "and", "here"], 3).tolist(),
            ]
            file.write(json.dumps({"text": " ".join(words), "label": chosen}) + "\n")
    return [f"data.source.path={path}", "processor=text", "model=text_cnn"]


def pictures(folder: Path) -> list[str]:
    """Pictures with a bright upper, lower or left half, as PNG bytes in Parquet, with columns of 0 and 1."""
    halves = {"upper": np.s_[:8], "lower": np.s_[8:], "left": np.s_[:, :8]}
    path, random, rows = folder / "rows.parquet", np.random.default_rng(0), []
    for _ in range(300):
        pixels = random.integers(0, 90, (16, 16)).astype(np.uint8)
        chosen = {name: int(random.random() < 0.4) for name in halves}
        for name, where in halves.items():
            pixels[where] += 80 * chosen[name]
        with io.BytesIO() as png:
            Image.fromarray(pixels).save(png, "PNG")
            rows.append({"picture": png.getvalue(), **chosen})
    pq.write_table(pa.Table.from_pylist(rows), path)
    return [
        f"data.source.path={path}", "data.source.input=picture", "data.source.label=[upper,lower,left]",
        "processor=image", "processor.height=16", "processor.width=16", "processor.channels=1", "model=small_conv",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("rows", [texts, pictures])
def test_sets_of_texts_and_pictures_are_learnt_and_proven_when_a_recipe_names_their_parts(rows, tmp_path):
    config = maas.compose(
        "flights", "~registry", "task=multilabel", "metric=macro_f1", "objective=bce", "data=files",
        "data.target=labels", "baseline=null", "compress=none", "trainer.max_epochs=12", "resume=never",
        "optimizer.lr=5e-3", "batch_size=32", f"runs_dir={tmp_path}", *rows(tmp_path),
    )  # fmt: skip
    bundle = maas.lifecycle.export(config, maas.lifecycle.train(config))
    assert bundle.evidence.metrics["shipped"]["macro_f1"].value > 0.8
    inputs = list(config.data.build().test.inputs)[:3]
    assert all(set(one) == {"labels", "scores"} for one in bundle.predict(inputs))
    assert maas.explain(bundle, inputs[0]).label in bundle.manifest.postprocessor["labels"]

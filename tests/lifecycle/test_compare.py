"""Two real bundles beside each other, as `python -m maas.compare` shows them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import maas
import maas.compare
from maas.runtime.bundle import Bundle

SMALL = ("trainer.max_epochs=2", "model.hidden=[64]", "registry=null", "compress=none", "export.robustness_rows=6")


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> list[Bundle]:
    """Bundles of one recipe, with two seeds."""
    folder, made = tmp_path_factory.mktemp("runs"), []
    for seed in (0, 1):
        config = maas.compose("digits_mlp", *SMALL, f"seed={seed}", f"runs_dir={folder}")
        made.append(maas.lifecycle.export(config, maas.lifecycle.train(config)))
    return made


@pytest.fixture
def refused(entered) -> Callable[..., str]:
    """Compares what cannot be compared and returns the one line that says so."""

    def enter(*models: object) -> str:
        status, _, told = entered(maas.compare.main, *map(str, models))
        assert (status, told.count("\n")) == (2, 1)
        return told

    return enter


def test_table_and_files_say_how_models_differ_when_two_are_compared(models, entered, tmp_path):
    first, second = (str(one.folder) for one in models)
    status, printed, told = entered(maas.compare.main, first, second, f"out={tmp_path / 'out'}")
    assert status == 0, told
    one, other = json.loads((tmp_path / "out/comparison.json").read_text())
    assert [one["name"], other["name"]] == [first, second]
    for found, bundle in zip((one, other), models, strict=True):
        assert found["bytes"] == bundle.model_path.stat().st_size
        assert found["metric"]["value"] == bundle.evidence.metrics["shipped"]["accuracy"].value
    assert one["drop"] is None
    lost = 100 * (one["metric"]["value"] - other["metric"]["value"])
    assert other["drop"]["value"] == pytest.approx(lost)
    assert other["disagreements"] > 0
    assert f"{other['disagreements']:,} ({1 - other['agreement']:.2%})" in printed
    assert f"{other['drop']['value']:.2f} [" in printed
    assert printed.endswith(f"written to {tmp_path / 'out'}\n")
    with Image.open(tmp_path / "out/comparison.png") as picture:
        assert picture.width > 600


def test_one_line_is_told_when_one_model_is_named(refused):
    assert refused("runs/x") == "1 model was named; compare takes two or more. See maas compare --help.\n"


def test_one_line_is_told_when_models_have_other_labels(models, bundles, refused, tmp_path):
    other = bundles.array_bundle(tmp_path / "other", labels=3)
    told = refused(models[0].folder, other)
    labels = ", ".join(map(str, range(10)))
    assert told == (
        f"{other} answers with classification of 0, 1, 2, {models[0].folder} with classification of {labels}; "
        "compare models of one task.\n"
    )


def test_one_line_asks_for_the_recipe_when_it_is_none_that_is_known(models, bundles, refused, tmp_path):
    own = bundles.array_bundle(tmp_path / "own", labels=3)
    assert refused(own, models[0].folder).endswith("Name its file, for the test rows: recipe=FILE.yaml.\n")


def test_one_line_is_told_when_a_folder_holds_no_bundle(models, refused, tmp_path):
    assert "manifest.json" in refused(models[0].folder, Path(tmp_path))

"""A bundle answers here as where it was made: how far a number may be away depends on what it is."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from maas.errors import BundleError
from maas.explaining import explain
from maas.runtime.bundle import Bundle
from maas.runtime.postprocessors import load_postprocessor
from maas.serving.repository import Repository


def edited(folder: Path, name: str, change: Callable[[Any], Any]) -> Path:
    """Changes a JSON file of a bundle and signs it again."""
    path, manifest = folder / name, folder / "manifest.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    if path != manifest:
        content = json.loads(manifest.read_text())
        content["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
        manifest.write_text(json.dumps(content))
    return folder


def moved(folder: Path, by: Callable[[np.ndarray], np.ndarray]) -> Path:
    """Moves the golden predictions."""

    def change(golden: dict[str, Any]) -> dict[str, Any]:
        return {**golden, "scores": by(np.array(golden["scores"])).tolist()}

    return edited(folder, "golden/outputs.json", change)


def reversed_labels(manifest: dict[str, Any]) -> dict[str, Any]:
    return {
        **manifest,
        "postprocessor": {**manifest["postprocessor"], "labels": manifest["postprocessor"]["labels"][::-1]},
    }


def step(values: np.ndarray) -> np.ndarray:
    return np.nextafter(values.astype(np.float32), np.float32(np.inf)).astype(np.float64)


@pytest.mark.parametrize(("bias", "deviation"), [(12345.678, 0.05), (1e7, 300.0), (-3.2e-5, 1e-6), (0.0, 1e-3)])
def test_values_are_accepted_one_float32_step_away_and_refused_when_they_are_wrong(bundles, tmp_path, bias, deviation):
    folder = bundles.value_bundle(tmp_path / "bundle", bias=bias, deviation=deviation)
    golden = np.array(Bundle.open(folder).golden.scores)
    moved(folder, step)
    assert Bundle.open(folder).check_golden() == np.abs(step(golden) - golden).max() > 0
    moved(folder, lambda values: values + golden.std())
    with pytest.raises(BundleError) as caught:
        Bundle.open(folder).check_golden()
    assert str(caught.value).startswith(
        f"{folder} predicts its golden inputs otherwise than when it was made: a predic"
    )


def test_deviation_of_the_targets_counts_when_the_answer_knows_it():
    golden = np.array([[1.7e9], [1.7e9 + 60], [1.7e9 - 240]])
    postprocessor = load_postprocessor({"kind": "regression", "mean": 1.7e9, "deviation": 60.0})
    wanted = [1e-4 * 60 + 4 * 60 * 2**exponent for exponent in (-149, -23, -21)]  # float32 steps at 0, 1 and 4
    np.testing.assert_allclose(postprocessor.tolerated(golden, 1e-4)[:, 0], wanted, rtol=1e-12)


def test_one_wrong_value_is_refused_when_all_others_are_right(bundles, tmp_path):
    folder = bundles.value_bundle(tmp_path / "bundle", bias=100.0, deviation=1.0)
    moved(folder, lambda values: values + 0.01 * np.eye(len(values))[:, 3:4])
    with pytest.raises(BundleError, match=r"a prediction differs by 0\.01, at most "):
        Bundle.open(folder).predict([[1, 2, 3, 4]])


@pytest.mark.parametrize(
    "record", [{"kind": "classification", "labels": ["a", "b"]}, {"kind": "embedding", "width": 2}]
)
def test_numbers_below_one_are_checked_by_themselves_when_they_are_probabilities_or_directions(record):
    golden = np.array([[0.2, 0.8], [1.0, 0.0]])
    assert load_postprocessor(record).tolerated(golden, 1e-4).tolist() == [[1e-4, 1e-4], [1e-4, 1e-4]]


def test_exchanged_labels_are_refused_at_the_first_use_and_when_serving(bundles, tmp_path):
    folder = edited(bundles.text_bundle(tmp_path / "bundle"), "manifest.json", reversed_labels)
    bundle = Bundle.open(folder)  # nothing was measured of it
    for use in (lambda: bundle.predict(["good"]), lambda: explain(bundle, "good"), lambda: Repository().open(folder)):
        with pytest.raises(BundleError) as caught:
            use()
        assert str(caught.value).startswith(f"{folder} predicts golden input 0 by '")
        assert str(caught.value).endswith("its manifest was altered. Export the model again.")


def test_names_may_change_places_when_two_predictions_are_as_good_as_equal(bundles, tmp_path):
    folder = bundles.text_bundle(tmp_path / "bundle")
    apart = abs(np.subtract(*Bundle.open(folder).golden.scores[0]))

    def tied(golden: dict[str, Any]) -> dict[str, Any]:
        other = {"negative": "positive", "positive": "negative"}[golden["predictions"][0]["label"]]
        return {**golden, "predictions": [{**golden["predictions"][0], "label": other}, *golden["predictions"][1:]]}

    edited(folder, "golden/outputs.json", tied)
    with pytest.raises(BundleError, match="predicts golden input 0 by "):
        Bundle.open(folder).check_golden()
    assert Bundle.open(folder).check_golden(tolerance=0.51 * apart) == 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("inputs", [], "cannot predict its golden inputs: No rows were given"),
        ("inputs", [1, 2, 3, 4, 5, 6], "cannot predict its golden inputs: Row 0 is of type int"),
        ("inputs", {"a": 1}, "inputs.json cannot be read: Expected `array`, got `object`"),
        ("outputs", {"scores": [], "predictions": []}, "has golden outputs of shape (0,), the model's are (6, 2)."),
        (
            "outputs",
            {"scores": [[0.5, 0.5]] * 5 + [[1.0]], "predictions": []},
            "has golden outputs of shape (6, 1, 2)",
        ),
        ("outputs", {"scores": [["a"]], "predictions": []}, "outputs.json cannot be read: Expected `float`"),
        ("outputs", {"scores": [[0.5, 0.5]] * 6}, "outputs.json cannot be read: Object missing required field"),
    ],
)
def test_bundle_is_refused_in_one_line_when_its_golden_files_are_odd(bundles, tmp_path, name, content, message):
    folder = edited(bundles.text_bundle(tmp_path / "bundle"), f"golden/{name}.json", lambda _: content)
    with pytest.raises(BundleError) as caught:
        Bundle.open(folder).predict(["good"])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bundle_is_refused_in_one_line_when_it_has_no_golden_answers(bundles, tmp_path):
    folder = bundles.text_bundle(tmp_path / "bundle")
    for name in ("inputs.json", "outputs.json"):
        (folder / "golden" / name).unlink()

    def without(manifest: dict[str, Any]) -> dict[str, Any]:
        files = {name: digest for name, digest in manifest["files"].items() if not name.startswith("golden")}
        return {**manifest, "files": files}

    with pytest.raises(BundleError, match=r"lacks golden/inputs\.json, which its manifest names"):
        Bundle.open(folder)
    edited(folder, "manifest.json", without)
    with pytest.raises(BundleError, match=r"golden/inputs\.json is missing; export the model again\.$"):
        Bundle.open(folder).predict(["good"])


def of_opset(content: bytes, version: int) -> bytes:
    model = onnx.load_from_string(content)
    model.opset_import[0].version = version
    return model.SerializeToString()


@pytest.mark.parametrize("graph", ["garbage", "empty", "opset 99", "opset 0", "another's"])
def test_bundle_is_refused_in_one_line_when_its_graph_cannot_answer(bundles, tmp_path, graph):
    folder = bundles.text_bundle(tmp_path / "bundle")
    own = (folder / "model.onnx").read_bytes()
    theirs = (bundles.array_bundle(tmp_path / "other") / "model.onnx").read_bytes()
    contents = {"garbage": b"garbage", "empty": b"", "another's": theirs}
    contents |= {f"opset {version}": of_opset(own, version) for version in (99, 0)}
    (folder / "model.onnx").write_bytes(contents[graph])
    digest = hashlib.sha256(contents[graph]).hexdigest()
    edited(folder, "manifest.json", lambda content: {**content, "files": {**content["files"], "model.onnx": digest}})
    with pytest.raises(BundleError) as caught:
        Bundle.open(folder).predict(["good"])
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)

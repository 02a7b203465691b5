"""What earlier versions of maas wrote opens, and answers as it did."""

import json
import shutil
from pathlib import Path

from maas.records.older import checkpoint_today, golden_today, manifest_today
from maas.runtime.bundle import Bundle

FOLDER = Path(__file__).parent / "bundle_of_version_1"
"""A bundle of a linear model over words, as version 1 wrote it."""


def test_bundle_of_version_1_answers_as_it_did_when_it_is_opened(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "bundle")
    bundle = Bundle.open(tmp_path / "bundle")
    written = json.loads((FOLDER / "golden/outputs.json").read_text(encoding="utf-8"))
    assert json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))["schema_version"] == 1
    assert bundle.manifest.schema_version == 2
    assert bundle.manifest.graphs == {"predict": "model.onnx"}
    assert bundle.manifest.postprocessor["labels"] == ["negative", "positive"]
    assert bundle.check_golden() < 1e-4
    assert bundle.golden.scores == written["predictions"]
    assert [one["label"] for one in bundle.predict(bundle.golden.inputs)] == [
        one["label"] for one in written["answers"]
    ]


def test_settings_have_todays_names_when_an_old_record_has_a_pretrained_tokenizer():
    old = {"schema_version": 1, "answer": {"kind": "embedding"}, "processor": {"kind": "pretrained_text", "feeds": []}}
    assert manifest_today(old) == {
        "schema_version": 2,
        "graphs": {"predict": "model.onnx"},
        "postprocessor": {"kind": "embedding"},
        "processor": {"kind": "pretrained_text", "model_inputs": []},
    }
    assert checkpoint_today({**old, "schema_version": 2}) == {
        "schema_version": 3,
        "postprocessor": {"kind": "embedding"},
        "processor": {"kind": "pretrained_text", "model_inputs": []},
    }


def test_record_stays_when_it_is_todays():
    for today, version in ((manifest_today, 2), (checkpoint_today, 3)):
        record = {"schema_version": version, "postprocessor": {}, "processor": {"kind": "pretrained_text"}}
        assert today(record) == record
    assert golden_today({"scores": [], "predictions": []}) == {"scores": [], "predictions": []}

"""A bundle is drawn up from its parts, the same bytes each time."""

import json
from importlib.metadata import version

import msgspec
import pytest
import yaml

from maas.exporting.bundling import attach_evidence, build_bundle
from maas.records.manifest import ServingSettings
from maas.runtime.bundle import Bundle
from maas.runtime.postprocessors import load_postprocessor


@pytest.fixture
def draw(token_model, text_processor, lineage, tmp_path):
    def make(name: str, **changes: object) -> Bundle:
        (tmp_path / name).mkdir()
        parts = {
            "model": token_model,
            "name": "small",
            "task": "text-classification",
            "precision": "fp32",
            "processor": text_processor,
            "postprocessor": load_postprocessor({"kind": "classification", "labels": ["negative", "positive"]}),
            "serving": ServingSettings(batch_size=4),
            "lineage": lineage,
            "golden_rows": ["bad", "很好 很好", "a long text " * 8],
        }
        return build_bundle(tmp_path / name, **{**parts, **changes})

    return make


def files(bundle: Bundle) -> dict[str, bytes]:
    return {
        path.relative_to(bundle.folder).as_posix(): path.read_bytes()
        for path in bundle.folder.rglob("*")
        if path.is_file()
    }


def test_bytes_are_equal_when_the_same_parts_are_drawn_up_twice(draw):
    assert files(draw("one")) == files(draw("two"))


def test_manifest_covers_every_other_file_when_a_bundle_is_drawn_up(draw):
    bundle = draw("one")
    assert set(bundle.manifest.files) == set(files(bundle)) - {"manifest.json"}
    assert {"model.onnx", "MLmodel", "assets/tokenizer.json", "golden/inputs.json", "golden/outputs.json"} <= set(
        files(bundle)
    )
    assert bundle.manifest.serving.batch_size == 4


def test_golden_answers_are_the_models_own_when_a_bundle_is_drawn_up(draw):
    bundle = draw("one")
    assert bundle.golden.inputs == ["bad", "很好 很好", "a long text " * 8]
    assert bundle.golden.predictions == bundle.predict(bundle.golden.inputs)
    assert bundle.check_golden() == 0


def test_mlflow_is_told_the_loader_and_the_signature_when_a_bundle_is_drawn_up(draw):
    mlmodel = yaml.safe_load((draw("one").folder / "MLmodel").read_text())
    flavor = mlmodel["flavors"]["python_function"]
    assert (flavor["loader_module"], flavor["code"]) == ("maas_bundle_loader", "code/maas_runtime.zip")
    assert json.loads(mlmodel["signature"]["inputs"]) == [{"type": "string", "required": True}]
    assert [one["name"] for one in json.loads(mlmodel["signature"]["outputs"])] == ["label", "score"]


def test_requirements_name_what_the_environment_needs_when_a_bundle_is_drawn_up(draw):
    lines = (draw("one").folder / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in lines] == [
        "msgspec", "numpy", "onnxruntime", "pillow", "soundfile", "soxr", "tokenizers", "mlflow",
    ]  # fmt: skip
    assert lines == [f"{name}=={version(name)}" for name, _, _ in (line.partition("==") for line in lines)]


def test_digest_stays_when_evidence_is_attached(draw, line):
    bundle = draw("one")
    before = bundle.digest
    attach_evidence(bundle, msgspec.structs.replace(line.bundle.evidence, manifest_sha256=before))
    assert Bundle.open(bundle.folder).digest == before

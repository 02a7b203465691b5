"""Opening proves that a bundle is whole."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from maas.errors import BundleError
from maas.runtime.bundle import Bundle


@pytest.fixture
def folder(bundles, tmp_path) -> Path:
    return bundles.array_bundle(tmp_path / "bundle", width=4, labels=3)


def changed(folder: Path, **changes: object) -> Path:
    """Changes the manifest's top level."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def files_of(folder: Path) -> dict[str, str]:
    return json.loads((folder / "manifest.json").read_text())["files"]


def signed_again(folder: Path, name: str) -> Path:
    """Puts a changed file's digest into the manifest."""
    return changed(folder, files={**files_of(folder), name: hashlib.sha256((folder / name).read_bytes()).hexdigest()})


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.open(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_bundle_opens_and_answers_when_it_is_whole(folder):
    bundle = Bundle.open(str(folder))
    (answer,) = bundle.predict([[1, 2, 3, 4]])
    assert answer["label"] in "012"
    assert bundle.digest == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert bundle.check_golden() == 0


def test_bundle_works_when_it_was_moved(folder, tmp_path):
    folder.rename(tmp_path / "elsewhere")
    assert Bundle.open(tmp_path / "elsewhere").check_golden() == 0


@pytest.mark.parametrize("name", ["model.onnx", "golden/inputs.json", "golden/outputs.json"])
def test_altered_file_is_named_when_a_byte_of_it_changed(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    assert refusal(folder) == f"{folder / name} was altered since the bundle was made; export the model again."


def test_missing_file_is_named_when_the_manifest_names_it(folder):
    (folder / "model.onnx").unlink()
    assert refusal(folder) == f"{folder} lacks model.onnx, which its manifest names; export the model again."


@pytest.mark.parametrize("version", [0, 7])
def test_version_is_told_when_it_is_another(folder, version):
    message = refusal(changed(folder, schema_version=version))
    assert message == f"{folder} has schema version {version}; this maas reads 1 to 6. Upgrade maas."


def test_version_is_told_when_a_later_maas_added_a_field(folder):
    message = refusal(changed(folder, schema_version=7, novelty=True))
    assert message == f"{folder} has schema version 7; this maas reads 1 to 6. Upgrade maas."


def test_field_is_named_when_the_manifest_holds_an_unknown_one(folder):
    message = refusal(changed(folder, novelty=True))
    assert message.startswith(f"{folder / 'manifest.json'} cannot be read: ")
    assert "novelty" in message


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe"])
def test_manifest_is_named_when_it_cannot_be_read(folder, content):
    (folder / "manifest.json").write_bytes(content)
    assert refusal(folder).startswith(f"{folder / 'manifest.json'} cannot be read: ")


@pytest.mark.parametrize("style", ["..", "absolute", "link"])
def test_file_outside_is_refused_when_the_manifest_names_it(folder, tmp_path, style):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    name = {"..": "../secret", "absolute": str(secret), "link": "assets_link"}[style]
    if style == "link":
        (folder / name).symlink_to(secret)
    digest = hashlib.sha256(b"secret").hexdigest()
    message = refusal(changed(folder, files={**files_of(folder), name: digest}))
    assert message == f"{folder} lacks {name}, which its manifest names; export the model again."


def test_model_is_required_when_the_manifest_leaves_it_out(folder):
    changed(folder, files={name: digest for name, digest in files_of(folder).items() if name != "model.onnx"})
    assert "model.onnx" in refusal(folder)


def test_folder_is_named_when_it_is_no_bundle(tmp_path):
    assert (
        refusal(tmp_path)
        == f"{tmp_path} holds no manifest.json; name the folder of a bundle, e.g. runs/NAME/latest/bundle."
    )


def test_evidence_is_asked_for_when_there_is_none(folder):
    with pytest.raises(BundleError, match=r"evidence\.json is missing"):
        _ = Bundle.open(folder).evidence


def test_evidence_is_refused_when_it_is_about_another_bundle(line, folder):
    (folder / "evidence.json").write_bytes((line.bundle.folder / "evidence.json").read_bytes())
    with pytest.raises(BundleError) as caught:
        _ = Bundle.open(folder).evidence
    assert str(caught.value) == (
        f"{folder / 'evidence.json'} is about another manifest than {folder / 'manifest.json'}: one of them was "
        "altered or exchanged since. Export the model again, or run python -m maas.verify."
    )


def test_exchanged_labels_are_refused_when_a_measured_bundle_is_opened(line, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(line.bundle.folder, folder)
    postprocessor = line.bundle.manifest.postprocessor
    message = refusal(changed(folder, postprocessor={**postprocessor, "labels": postprocessor["labels"][::-1]}))
    assert message.startswith(f"{folder / 'evidence.json'} is about another manifest than {folder / 'manifest.json'}: ")
    opened = Bundle.open(folder, check_evidence=False)
    with pytest.raises(BundleError, match="is about another manifest"):
        _ = opened.evidence
    with pytest.raises(BundleError, match="its manifest was altered"):
        opened.predict(opened.golden.inputs[:1])


@pytest.mark.parametrize("content", [b"", b"{}x", b"[]", b'{"manifest_sha256": 1}', b'{"manifest_sha256": "\xff"}'])
def test_evidence_is_named_when_it_cannot_be_read(folder, content):
    (folder / "evidence.json").write_bytes(content)
    assert refusal(folder).startswith(f"{folder / 'evidence.json'} cannot be read: ")
    assert refusal(folder).endswith(". Export the model again, or run python -m maas.verify.")
    assert Bundle.open(folder, check_evidence=False).check_golden() == 0


@pytest.mark.parametrize("content", [{}, {"manifest_sha256": ""}])
def test_old_bundle_opens_when_its_evidence_names_no_manifest(folder, content):
    (folder / "evidence.json").write_text(json.dumps({"schema_version": 1, **content}))
    assert Bundle.open(folder).check_golden() == 0


def test_golden_answers_are_refused_when_the_model_answers_otherwise(folder):
    path = folder / "golden/outputs.json"
    golden = json.loads(path.read_text())
    golden["scores"][1][0] += 0.25
    path.write_text(json.dumps(golden))
    bundle = Bundle.open(signed_again(folder, "golden/outputs.json"))
    with pytest.raises(BundleError) as caught:
        bundle.check_golden()
    assert (
        "predicts its golden inputs otherwise than when it was made: a prediction differs by 0.25, at most 0.0001"
        in str(caught.value)
    )
    assert bundle.check_golden(tolerance=0.3) == pytest.approx(0.25)


@pytest.mark.parametrize("damage", ["short", "narrow", "nan"])
def test_golden_answers_are_refused_when_they_are_of_another_shape_or_no_number(folder, damage):
    path = folder / "golden/outputs.json"
    golden = json.loads(path.read_text())
    golden["scores"] = {
        "short": golden["scores"][:-1],
        "narrow": [row[:-1] for row in golden["scores"]],
        "nan": [[1e308] * 3 for _ in golden["scores"]],
    }[damage]
    path.write_text(json.dumps(golden))
    bundle = Bundle.open(signed_again(folder, "golden/outputs.json"))
    with pytest.raises(BundleError):
        bundle.check_golden()


def test_golden_holds_inputs_and_answers_when_it_is_read(folder):
    golden = Bundle.open(folder).golden
    assert len(golden.inputs) == len(golden.scores) == len(golden.predictions) == 6
    np.testing.assert_allclose(np.sum(golden.scores, axis=1), 1, atol=1e-6)

"""Opening by folder; by address it is the registry's matter."""

import subprocess
import sys
from pathlib import Path

import pytest

import maas
from maas.errors import BundleError, RegistryError
from maas.opening import LocatedModel, load, load_model, locate


def test_load_opens_a_bundle_when_it_is_given_a_folder(bundles, tmp_path):
    folder = bundles.array_bundle(tmp_path / "bundle")
    assert load(folder).manifest == maas.Bundle.open(str(folder)).manifest


def test_load_says_what_a_bundle_is_when_the_folder_is_none(tmp_path):
    with pytest.raises(BundleError, match=r"holds no manifest\.json; name the folder of a bundle"):
        load(tmp_path)


def test_load_names_the_extra_when_mlflow_is_not_installed():
    code = (
        "import sys; sys.modules['mlflow'] = None\n"
        "from maas.errors import RegistryError\nfrom maas.opening import load\n"
        "try: load('models:/m@champion')\nexcept RegistryError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "models:/m@champion needs mlflow, which is not installed. Install maas with it: pip install '.[registry]'\n"
    )


def test_load_finds_nothing_when_the_registry_is_empty(tmp_path):
    with pytest.raises(RegistryError, match=r"^models:/m@champion is not in sqlite:///.*Models there: none\.$"):
        load("models:/m@champion", f"sqlite:///{tmp_path / 'mlflow.db'}")


def stand_in(folder: Path, script: str) -> str:
    """Returns an interpreter that answers as `maas.opening` would."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_registered_model_is_found_by_another_process(tmp_path, monkeypatch):
    script = """test "$1 $2 $3" = "-m maas.opening models:/m@champion" || exit 9
echo "a line that something else printed"
echo '{"folder": "/f", "name": "m", "version": "3"}'"""
    monkeypatch.setattr(sys, "executable", stand_in(tmp_path, script))
    assert locate("models:/m@champion") == LocatedModel("/f", "m", "3")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'No model m is registered.' >&2; exit 2", "^No model m is registered.$"),
        ("echo Traceback >&2; echo 'ValueError: x' >&2; exit 1", "models:/m/1 could not be resolved: ValueError: x"),
        ("exit 7", "exit status 7, without a message"),
        ("echo nonsense", "resolved to 'nonsense', which cannot be read"),
    ],
)
def test_failed_resolution_is_one_line(tmp_path, monkeypatch, script, message):
    monkeypatch.setattr(sys, "executable", stand_in(tmp_path, script))
    with pytest.raises(RegistryError, match=message):
        locate("models:/m/1")


def test_folder_is_located_where_it_is_when_no_registry_is_named(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere")  # no process is started
    assert locate("runs/m/latest/bundle") == LocatedModel("runs/m/latest/bundle", None, "1")


@pytest.mark.parametrize("name", ["absent.onnx", "model.bin"])
def test_onnx_file_is_its_path_when_what_is_taken_need_be_no_bundle(tmp_path, name):
    (tmp_path / "model.bin").write_bytes(b"")
    assert load_model(str(tmp_path / name)) == tmp_path / name


def test_folder_is_a_bundle_when_what_is_taken_need_be_none(bundles, tmp_path):
    folder = bundles.array_bundle(tmp_path / "bundle.onnx.d")
    assert load_model(str(folder)).digest == load(folder).digest

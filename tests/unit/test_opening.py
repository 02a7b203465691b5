"""Opening by folder; by address it is the registry's matter."""

import subprocess
import sys

import pytest

import maas
from maas.errors import BundleError, RegistryError
from maas.opening import load, load_model


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


@pytest.mark.parametrize("name", ["absent.onnx", "model.bin"])
def test_onnx_file_is_its_path_when_what_is_taken_need_be_no_bundle(tmp_path, name):
    (tmp_path / "model.bin").write_bytes(b"")
    assert load_model(str(tmp_path / name)) == tmp_path / name


def test_folder_is_a_bundle_when_what_is_taken_need_be_none(bundles, tmp_path):
    folder = bundles.array_bundle(tmp_path / "bundle.onnx.d")
    assert load_model(str(folder)).digest == load(folder).digest

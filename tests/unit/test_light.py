"""What importing costs, and what the command line says before anything heavy is imported."""

import json
import subprocess
import sys

import pytest

import maas
from maas.__main__ import VERBS


def modules_after(statement: str) -> set[str]:
    """Returns the top-level packages that a new process has loaded after a statement."""
    code = f"{statement}\nimport json, sys; print(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


HEAVY = {"torch", "lightning", "hydra", "omegaconf", "datasets", "transformers", "pandas", "sklearn", "mlflow", "onnx"}


def test_import_maas_brings_nothing_heavy_when_nothing_is_used():
    loaded = modules_after("import maas; dir(maas)")
    assert not loaded & (HEAVY | {"numpy", "onnxruntime", "msgspec"})


def test_runtime_brings_no_training_package_when_a_bundle_is_opened(bundles, tmp_path):
    folder = bundles.text_bundle(tmp_path / "bundle")
    loaded = modules_after(f"import maas\nprint(maas.load({str(folder)!r}).predict(['good', '很好']))")
    assert not loaded & (HEAVY | {"matplotlib", "rich", "safetensors"})


def test_every_public_name_is_there_when_it_is_asked_for():
    assert {name: getattr(maas, name) for name in maas.__all__}.keys() == set(maas.__all__)
    assert set(maas.__all__) < set(dir(maas))


def test_unknown_name_lists_the_known_ones_when_it_is_asked_for():
    with pytest.raises(
        AttributeError, match=r"module 'maas' has no attribute 'serve_me'; it has AsyncClient, Bundle, Client,"
    ):
        _ = maas.serve_me


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_verbs_are_listed_when_none_is_given(arguments):
    done = subprocess.run([sys.executable, "-m", "maas", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert all(f"\n  {verb} " in done.stdout for verb in VERBS)
    assert done.stdout.startswith("maas VERB key=value …")


def test_nearest_verb_is_named_when_an_unknown_one_is_given():
    done = subprocess.run([sys.executable, "-m", "maas", "trian"], capture_output=True, text=True, check=False)
    expected = "There is no verb 'trian'. Did you mean train? maas --help lists them.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


def test_extra_of_the_client_is_named_when_its_package_is_missing():
    code = "import sys; sys.modules['httpx2'] = None\nimport maas\nmaas.Client"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "httpx2 is not installed. In a checkout of maas: pip install '.[client]'" in done.stderr


def test_client_brings_no_runtime_and_nothing_heavy_when_it_is_used():
    assert not modules_after("import maas; maas.Client('http://h').close()") & (
        HEAVY | {"onnxruntime", "PIL", "tokenizers"}
    )

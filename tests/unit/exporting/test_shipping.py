"""The runtime that travels with a bundle opens it where no maas is installed, and hides none that is."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import maas
from maas.exporting.shipping import ARCHIVE, ship_runtime
from maas.runtime.bundle import Bundle

OPEN = """
import json, sys
sys.path[:] = [place for place in sys.path if place not in {hidden!r}]
sys.path.insert(0, {archive!r})  # as MLflow does
import maas_bundle_loader
answers = maas_bundle_loader._load_pyfunc({folder!r}).bundle.predict(json.loads({rows!r}))
import maas
print(json.dumps({{"answers": answers, "maas": maas.__file__, "first": sys.path[1:2]}}))
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shipping")
    ship_runtime(folder)
    return folder / ARCHIVE


def opened(archive: Path, bundle: Bundle, rows: object, *, hidden: list[str]) -> dict:
    code = OPEN.format(hidden=hidden, archive=str(archive), folder=str(bundle.folder), rows=json.dumps(rows))
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def made(bundles, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    return {
        "array": Bundle.open(bundles.array_bundle(folder / "array", width=4)),
        "text": Bundle.open(bundles.text_bundle(folder / "text")),
    }


@pytest.mark.parametrize(("kind", "rows"), [("array", [[1, 2, 3, 4]]), ("text", ["bad", "很好"])])
def test_bundle_answers_alike_when_no_maas_is_installed(archive, made, kind, rows):
    installed = str(Path(maas.__file__).parents[1])
    found = opened(archive, made[kind], rows, hidden=[installed, ""])
    assert found["maas"].startswith(f"{archive}/shipped/")
    assert found["answers"] == made[kind].predict(rows)


def test_folder_is_no_package_when_it_is_merely_called_maas(archive, made, tmp_path, monkeypatch):
    (tmp_path / "maas").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = opened(archive, made["array"], [[1, 2, 3, 4]], hidden=[str(Path(maas.__file__).parents[1]), ""])
    assert found["maas"].startswith(f"{archive}/shipped/")


def test_installed_maas_goes_before_the_shipped_one(archive, made):
    found = opened(archive, made["array"], [[1, 2, 3, 4]], hidden=[])
    assert found["maas"] == maas.__file__


def test_runtime_is_shipped_with_what_it_imports_and_nothing_else(archive):
    package = Path(maas.__file__).parent
    names = set(zipfile.ZipFile(archive).namelist())
    rooms = {name.split("/")[2].removesuffix(".py") for name in names if name.startswith("shipped/maas/")}
    runtime = {f"shipped/maas/{path.relative_to(package).as_posix()}" for path in package.glob("runtime/**/*.py")}
    assert runtime <= names
    assert rooms == {
        "__init__",
        "bounds",
        "cards",
        "credentials",
        "deferred_transformers",
        "errors",
        "files",
        "later",
        "records",
        "runtime",
        "suggesting",
    }
    assert {name for name in names if not name.startswith("shipped/maas/")} == {"maas_bundle_loader.py", "LICENSE"}


def test_bytes_are_equal_when_the_runtime_is_shipped_twice(archive, tmp_path):
    ship_runtime(tmp_path)
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (archive, tmp_path / ARCHIVE)}
    assert len(digests) == 1
    assert archive.stat().st_size < 500_000

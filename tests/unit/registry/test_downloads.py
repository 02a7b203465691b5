"""Where versions lie, and what of them is kept: real stores, and an artifact server that counts what it serves."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

import maas
from maas.errors import RegistryError
from maas.registry import copies
from maas.registry.catalogue import downloads
from maas.registry.catalogue.downloads import fetched
from maas.registry.catalogue.versions import resolve
from maas.registry.connection import connected
from maas.runtime.bundle import Bundle

BASE = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture(scope="module")
def folder(bundles, tmp_path_factory):
    return bundles.array_bundle(tmp_path_factory.mktemp("downloads") / "served" / "7" / "bundle", width=4)


@pytest.fixture
def served(folder):
    """An artifact server as MLflow's clients speak to it; gives the address of a bundle, and what was asked for."""
    asked: list[str] = []
    root = folder.parents[1]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            query = parse_qs(address.query)
            if address.path == BASE:
                place = root / query["path"][0]
                found = (
                    [{"path": one.name, "is_dir": one.is_dir()} for one in place.iterdir()] if place.is_dir() else []
                )
                content = json.dumps({"files": found}).encode()
            else:
                name = address.path.removeprefix(f"{BASE}/")
                asked.append(Path(name).name)
                content = (root / name).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{BASE}/7/bundle", asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "bundles"


def fetch(address: str) -> Path:
    return fetched(address, "http://127.0.0.1:1")


def test_remote_bundle_is_downloaded_once_when_it_is_asked_for_twice(served, cache, folder):
    address, asked = served
    first = fetch(address)
    assert Bundle.open(first).digest == Bundle.open(folder).digest
    assert asked.count("model.onnx") == 1
    asked.clear()
    assert fetch(address) == first
    assert asked == ["manifest.json"]
    assert [path.name for path in first.parent.iterdir() if path.name != "lock"] == ["files"]


def test_remote_bundle_is_downloaded_once_when_four_start_at_once(served, cache):
    address, asked = served
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(fetch, [address] * 4))
    assert len(folders) == 1
    assert asked.count("model.onnx") == 1


def test_damaged_copy_is_replaced_when_it_is_asked_for(served, cache):
    address, asked = served
    copy = fetch(address)
    (copy / "model.onnx").write_bytes(b"half of")
    assert Bundle.open(fetch(address)).check_golden() == 0
    assert asked.count("model.onnx") == 2


def test_nothing_is_left_when_a_download_breaks_off(served, cache, folder, monkeypatch):
    address, _ = served
    monkeypatch.setattr(downloads, "download_artifacts", _breaking(downloads.download_artifacts))
    with pytest.raises(RegistryError, match="connection lost"):
        fetch(address)
    assert not [path for path in cache.rglob("*") if path.is_file() and path.name != "lock"]


def _breaking(download):
    def once(artifact_uri: str, **settings: object) -> str:
        got = download(artifact_uri=artifact_uri, **settings)
        if artifact_uri.endswith("bundle"):
            raise ConnectionError("connection lost")
        return got

    return once


def test_least_recently_used_copy_goes_when_there_are_too_many(served, cache, monkeypatch):
    monkeypatch.setattr(copies, "COPIES_KEPT", 3)
    address, _ = served
    for age, name in enumerate("abcd"):
        (cache / name / "files").mkdir(parents=True)
        os.utime(cache / name, (1e9 - age, 1e9 - age))
    os.utime(cache / "d")  # asked for just now
    copy = fetch(address)
    assert {path.name for path in cache.iterdir()} == {"a", "d", copy.parent.name}


def test_folder_is_no_bundle_when_it_has_no_manifest(served, cache, folder):
    address, _ = served
    (folder.parents[1] / "other").mkdir(exist_ok=True)
    (folder.parents[1] / "other" / "MLmodel").write_text("")
    with pytest.raises(RegistryError, match=r"/other holds no manifest\.json: it is no bundle of maas\. Open it with"):
        fetch(address.replace("7/bundle", "other"))


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """A working folder without a registry, where a default one would be made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def test_copied_version_is_followed_in_the_store_that_is_named(store, folder, elsewhere):
    client = connected(store.tracking_uri)
    client.create_registered_model("original")
    client.create_model_version("original", source=folder.as_uri())
    client.copy_model_version("models:/original/1", "copied")
    again = client.copy_model_version("models:/copied/1", "copied_again")
    client.set_registered_model_alias("copied_again", "champion", again.version)
    assert str(again.source).startswith("models:/")
    found = maas.load("models:/copied_again@champion", store.tracking_uri)
    assert found.digest == Bundle.open(folder).digest
    assert not list(elsewhere.iterdir())


def test_logged_model_is_followed_in_the_store_that_is_named(store, folder, elsewhere, monkeypatch):
    client = connected(store.tracking_uri)
    experiment = client.create_experiment("logged", artifact_location=(elsewhere.parent / "logged").as_uri())
    model = client.create_logged_model(experiment, name="logged")
    client.log_model_artifacts(model.model_id, str(folder))
    address = f"models:/{model.model_id}"
    client.create_registered_model("of_logged")
    with monkeypatch.context() as patch:
        patch.setenv(
            "MLFLOW_TRACKING_URI", store.tracking_uri
        )  # MLflow looks for the logged model in its default store
        client.create_model_version("of_logged", source=address)
    for asked in (address, "models:/of_logged/1"):
        path, version = resolve(asked, store.tracking_uri)
        assert Bundle.open(path).digest == Bundle.open(folder).digest
    assert version.source == address
    assert not list(elsewhere.iterdir())
    with pytest.raises(RegistryError, match=r"^models:/m-0{32} is not in "):
        resolve(f"models:/m-{'0' * 32}", store.tracking_uri)


def test_circle_of_copies_is_refused_when_a_version_is_its_own_source():
    class Circular:
        def get_model_version_download_uri(self, name: str, version: str) -> str:
            return f"models:/{name}/{version}"

    with pytest.raises(RegistryError, match=r"^models:/a/1 is a copy of a copy, 16 times over"):
        downloads.location_of(Circular(), "models:/a/1")


def test_no_database_is_made_when_a_model_is_loaded_in_a_wrong_folder(elsewhere):
    with pytest.raises(RegistryError) as caught:
        maas.load("models:/m@champion")
    assert str(caught.value) == (
        f"models:/m@champion is not in sqlite:///mlflow.db: there is no file {elsewhere / 'mlflow.db'}. Start in the "
        "folder that holds it, or name the registry by MLFLOW_TRACKING_URI. Models there: none."
    )
    assert not list(elsewhere.iterdir())

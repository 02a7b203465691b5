"""Reading a tracking server by its REST interface: a small server that answers as MLflow does, and a real one."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from maas.errors import AbsentError, RegistryError
from maas.opening import load
from maas.registry import copies
from maas.registry.reading.addresses import LocatedModel
from maas.registry.reading.process import BY_REST, RegistryProcess
from maas.registry.reading.readers import reader_of
from maas.registry.reading.rest import RestRegistry
from maas.runtime.bundle import Bundle
from maas.serving.repository import Repository
from maas.serving.repository.keeping import CopyKeeper

API, PROXY = "/api/2.0/mlflow/", "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture(scope="module")
def folder(bundles, tmp_path_factory):
    """A bundle in the folder that the server passes on."""
    return bundles.array_bundle(tmp_path_factory.mktemp("served") / "7" / "my bundle", width=4)


class Registry:
    """What the small server answers, and what it was sent."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.replies: dict[str, object] = {}
        self.seen: list[tuple[str, str | None]] = []
        self.status = 200
        self.text: bytes | None = None

    def reply(self, path: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        if self.text is not None:
            return self.status, self.text
        if path == PROXY:
            place = self.root / query["path"][0]
            return 200, json.dumps(
                {"files": [{"path": p.name, "is_dir": p.is_dir()} for p in place.iterdir()]}
            ).encode()
        if path.startswith(PROXY):
            return 200, (self.root / path.removeprefix(f"{PROXY}/").replace("%20", " ")).read_bytes()
        content = self.replies.get(path.removeprefix(API))
        if isinstance(content, list):
            content = content[1 if "page_token" in query else 0]
        if content is None:
            fault = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"no {query.get('name', ['?'])[0]}"}
            return 404, json.dumps(fault).encode()
        return 200, json.dumps(content).encode()


@pytest.fixture
def served(folder):
    registry = Registry(folder.parents[1])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            registry.seen.append((address.path, self.headers["Authorization"]))
            status, content = registry.reply(address.path, parse_qs(address.query))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"{API}registered-models/alias")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    registry.url = f"http://127.0.0.1:{server.server_port}"
    yield registry
    server.shutdown()
    server.server_close()


@pytest.fixture
def rest(served, monkeypatch, tmp_path):
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "cache"))
    served.replies |= {
        "registered-models/alias": {"model_version": {"name": "digits", "version": "3"}},
        "model-versions/get-download-uri": {"artifact_uri": "mlflow-artifacts:/7/my bundle"},
        "registered-models/search": [
            {"registered_models": [{"name": "b", "aliases": [{"alias": "champion", "version": "1"}]}, {"name": "c"}],
             "next_page_token": "more"},
            {"registered_models": [{"name": "a", "aliases": [{"alias": "champion", "version": "9"}]}]},
        ],
    }  # fmt: skip
    return RestRegistry(served.url, {})


def test_version_and_names_are_read_when_an_alias_is_named(rest):
    assert rest.version_at("digits", "champion") == "3"
    assert rest.names_with("champion") == ["a", "b"]
    assert rest.names_with("other") == []


def test_bundle_is_copied_once_when_the_server_passes_it_on(rest, served, folder):
    found = rest.locate("models:/digits@champion")
    assert (found.name, found.version) == ("digits", "3")
    assert Bundle.open(found.folder).digest == Bundle.open(folder).digest
    assert rest.locate("models:/digits/3") == found
    assert sum(path.endswith("model.onnx") for path, _ in served.seen) == 1


def test_folder_is_where_it_lies_when_the_server_names_one_of_this_machine(rest, served, folder):
    for location in (folder.as_uri(), str(folder)):
        served.replies["model-versions/get-download-uri"] = {"artifact_uri": location}
        assert rest.locate("models:/digits/3") == LocatedModel(str(folder), "digits", "3")


def test_logged_model_is_followed_when_a_version_is_made_of_one(rest, served, folder):
    identity = f"m-{'1' * 32}"
    served.replies["model-versions/get-download-uri"] = {"artifact_uri": f"models:/{identity}"}
    served.replies[f"logged-models/{identity}"] = {"model": {"info": {"name": "x", "artifact_uri": folder.as_uri()}}}
    assert rest.locate("models:/digits/3").folder == str(folder)
    assert rest.locate(f"models:/{identity}") == LocatedModel(str(folder), "x", identity)


def test_circle_of_copies_is_refused_when_a_version_is_its_own_source(rest, served):
    served.replies["model-versions/get-download-uri"] = {"artifact_uri": "models:/digits/3"}
    with pytest.raises(RegistryError, match=r"^models:/digits/3 is a copy of a copy, 16 times over"):
        rest.locate("models:/digits/3")


def test_models_are_listed_when_one_is_absent(rest, served):
    del served.replies["registered-models/alias"]
    with pytest.raises(AbsentError) as caught:
        rest.locate("models:/digits@champion")
    assert str(caught.value) == (f"models:/digits@champion is not in {served.url}: no digits. Models there: a, b, c.")
    with pytest.raises(AbsentError, match="^no digits"):
        rest.version_at("digits", "champion")


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        (401, b"", r"refuses \(401\)\. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING"),
        (500, b"<html>", r"answers 500: Internal Server Error\.$"),
        (200, b"<html>", r"does not answer as MLflow does: "),
        (200, b'{"other": 1}', r"does not answer as MLflow does: Object missing required field `model_version`"),
        (302, b"", r"answers 302: Found\.$"),
    ],
)
def test_fault_of_the_server_is_one_line(rest, served, status, text, message):
    served.status, served.text = status, text
    with pytest.raises(RegistryError, match=message) as caught:
        rest.version_at("digits", "champion")
    assert not isinstance(caught.value, AbsentError)
    assert "\n" not in str(caught.value)


def test_server_that_is_away_is_named_without_credentials():
    registry = RestRegistry("http://me:secret@127.0.0.1:1", {})
    with pytest.raises(RegistryError) as caught:
        registry.version_at("digits", "champion")
    assert str(caught.value) == "The registry http://127.0.0.1:1 cannot be reached: Connection refused."


@pytest.mark.parametrize(
    ("environment", "user", "expected"),
    [
        ({}, "", None),
        ({}, "me:s%40cret@", "Basic me:s@cret"),
        ({"MLFLOW_TRACKING_USERNAME": "you", "MLFLOW_TRACKING_PASSWORD": "pw"}, "me:x@", "Basic you:pw"),
        ({"MLFLOW_TRACKING_TOKEN": "abc"}, "", "Bearer abc"),
    ],
)
def test_credentials_are_sent_as_mlflow_sends_them(rest, served, environment, user, expected):
    RestRegistry(served.url.replace("//", f"//{user}"), environment).version_at("digits", "champion")
    kind, _, value = (served.seen[-1][1] or "").partition(" ")
    shown = base64.b64decode(value).decode() if kind == "Basic" else value
    assert (f"{kind} {shown}" if kind else None) == expected


def test_load_needs_no_mlflow_when_the_registry_is_a_server(rest, served, folder):
    code = (
        "import sys; sys.modules['mlflow'] = None\n"
        f"import maas; print(maas.load('models:/digits@champion', {served.url!r}).digest)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == load(folder).digest


@pytest.mark.parametrize(("uri", "kind"), [("https://x", RestRegistry), ("sqlite:///x.db", RegistryProcess)])
def test_reader_is_chosen_by_the_address(uri, kind):
    assert isinstance(reader_of(uri), kind)


def test_process_says_what_is_wrong_in_one_line_and_goes_on(tmp_path):
    process = RegistryProcess(f"sqlite:///{tmp_path / 'absent.db'}")
    try:
        for _ in range(2):
            with pytest.raises(RegistryError, match=r"there is no file .*absent\.db\. Start in the folder") as caught:
                process.locate("models:/digits@champion")
            assert "\n" not in str(caught.value)
        pid = process.pid
        os.kill(pid, signal.SIGTERM)  # it ends with the one that started it
        with pytest.raises(RegistryError, match="no address of a model"):
            process.locate("nonsense")
        assert process.pid == pid
    finally:
        process.close()
    assert process.pid is None


def test_process_reads_a_tracking_server_for_several_others_without_mlflow(rest, served, folder, tmp_path, monkeypatch):
    (tmp_path / "mlflow.py").write_text("raise ModuleNotFoundError(\"No module named 'mlflow'\", name='mlflow')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = RegistryProcess(served.url, BY_REST)
    try:
        assert process.version_at("digits", "champion") == "3"
        assert process.names_with("champion") == ["a", "b"]
        assert load(process.locate("models:/digits@champion").folder).digest == load(folder).digest
        served.replies.clear()
        with pytest.raises(AbsentError, match="no digits"):
            process.version_at("digits", "champion")
    finally:
        process.close()


def test_process_names_the_extra_when_mlflow_is_not_installed(tmp_path, monkeypatch):
    (tmp_path / "mlflow.py").write_text("raise ModuleNotFoundError(\"No module named 'mlflow'\", name='mlflow')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = RegistryProcess("sqlite:///x.db")
    with pytest.raises(RegistryError, match=r"^The registry sqlite:///x\.db needs mlflow, which is not installed\."):
        process.version_at("a", "b")
    process.close()


def test_copy_stays_when_it_is_served_and_others_want_room(rest, monkeypatch, tmp_path):
    monkeypatch.setattr(copies, "COPIES_KEPT", 1)
    served = Path(rest.locate("models:/digits/3").folder)
    other = served.parents[1] / "other"
    other.mkdir()
    os.utime(served.parent, (1e9, 1e9))
    os.utime(other, (2e9, 2e9))

    async def scenario():
        repository = Repository()
        repository.open(served)
        keeper = CopyKeeper(repository)
        keeper.start()
        await keeper.close()
        await repository.close()

    asyncio.run(scenario())
    copies._make_room(other)
    assert served.is_dir()
    os.utime(served.parent, (1e9, 1e9))  # nobody serves it any more
    copies._make_room(other)
    assert not served.is_dir()


def test_folder_that_is_no_copy_is_left_alone(folder):
    before = folder.parent.stat().st_mtime
    os.utime(folder.parent, (1e9, 1e9))
    copies.keep_copy(folder)
    assert folder.parent.stat().st_mtime == 1e9 != before

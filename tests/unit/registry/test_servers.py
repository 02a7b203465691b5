"""Two first runs at once, and outages, on a private PostgreSQL and a private `mlflow server`.

PostgreSQL comes from Debian (`make system`); both listen on the loopback address alone and end with the tests.
"""

import logging
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from maas.errors import RegistryError
from maas.registry.connection import connected
from maas.registry.mlflow_registry import MlflowRegistry

pytestmark = pytest.mark.slow
PAIRS = 8


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def programs() -> Path | None:
    """Returns where Debian keeps PostgreSQL's programs, the newest version's."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Callable[[str], str]]:
    """A cluster of its own; gives the address of a new, empty database."""
    pytest.importorskip("psycopg", reason="the driver is in the dev extra")
    place = programs()
    if place is None:
        pytest.skip("PostgreSQL is not installed; make system installs it")
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name  # initdb refuses root
    as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="maas-postgresql-", dir="/tmp"))  # below pytest's own it would not be let in
    shutil.chown(folder, user)
    port = free_port()

    def run(name: str, *arguments: str) -> None:
        subprocess.run([*as_user, str(place / name), *arguments], check=True, capture_output=True, cwd=folder)

    data = str(folder / "data")
    try:
        run("initdb", "--pgdata", data, "--auth=trust", "--username=maas", "--no-sync")
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "--pgdata", data, "--wait", "--log", str(folder / "log"), "--options", options, "start")
        try:

            def database(name: str) -> str:
                run("createdb", "--host=127.0.0.1", f"--port={port}", "--username=maas", name)
                return f"postgresql://maas@127.0.0.1:{port}/{name}"

            yield database
        finally:
            run("pg_ctl", "--pgdata", data, "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(backend: str, artifacts: Path, port: int) -> Iterator[str]:
    """Starts `mlflow server`, and ends it with all its workers."""
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", backend, "--artifacts-destination",
        artifacts.as_uri(), "--host", "127.0.0.1", "--port", str(port), "--workers", "2",
    ]  # fmt: skip
    with (artifacts.parent / "server.log").open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/health")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(address: str) -> None:
    deadline = time.monotonic() + 240
    while True:
        try:
            with urlopen(address, timeout=5):
                return
        except (URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


WORKER = """
import sys
from maas.errors import MaasError
from maas.registry.mlflow_registry import MlflowRegistry
print("ready", flush=True)
for name in map(str.strip, sys.stdin):
    try:
        MlflowRegistry(sys.argv[1], experiment=name).start_run("run", {"maas.seed": "0"}, {"a.b": 1})
        print("started", flush=True)
    except MaasError as error:
        print(error, flush=True)
"""


def at_once(uri: str, experiments: list[str]) -> set[str]:
    """Starts the first run of each experiment in two processes at the same moment; returns what they say."""
    command = [sys.executable, "-c", WORKER, uri]
    with ExitStack() as stack:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        pair = [stack.enter_context(subprocess.Popen(command, **pipes)) for _ in range(2)]
        assert {one.stdout.readline() for one in pair} == {"ready\n"}
        said = set()
        for experiment in experiments:
            for one in pair:
                one.stdin.write(f"{experiment}\n")
            said |= {one.stdout.readline().strip() for one in pair}
        for one in pair:
            one.stdin.close()
    return said


def experiments_of(uri: str) -> dict[str, int]:
    """Returns how many runs each experiment has."""
    client = connected(uri)
    return {one.name: len(client.search_runs([one.experiment_id])) for one in client.search_experiments()}


def test_all_pairs_of_first_runs_go_through_when_they_start_at_once_on_postgresql(postgresql) -> None:
    """The first pair lays out MLflow's tables, too."""
    uri, names = postgresql("pairs"), [f"experiment {number}" for number in range(PAIRS)]
    assert at_once(uri, names) == {"started"}
    assert experiments_of(uri) == {"Default": 0, **dict.fromkeys(names, 2)}


def test_all_pairs_of_first_runs_go_through_when_they_start_at_once_on_a_server(postgresql, tmp_path) -> None:
    names = [f"experiment {number}" for number in range(PAIRS)]
    with serving(postgresql("served"), tmp_path / "artifacts", free_port()) as uri:
        assert at_once(uri, names) == {"started"}
        assert experiments_of(uri) == {"Default": 0, **dict.fromkeys(names, 2)}


def test_password_that_is_wrong_and_database_that_is_absent_are_refused_at_once(postgresql) -> None:
    uri = postgresql("present").replace("present", "absent")
    started = time.monotonic()
    with pytest.raises(RegistryError, match=r"cannot be reached: .*database \"absent\" does not exist"):
        connected(uri)
    assert time.monotonic() - started < 30  # MLflow tries a hundred seconds


def test_epochs_are_logged_late_when_a_server_was_killed_and_came_back(tmp_path, caplog) -> None:
    backend, port = f"sqlite:///{tmp_path / 'mlflow.db'}", free_port()
    connected(backend)
    picture = tmp_path / "curve.png"
    picture.write_bytes(b"a picture")
    caplog.set_level(logging.WARNING)
    with serving(backend, tmp_path / "artifacts", port) as uri:
        tracker = MlflowRegistry(uri).start_run("run", {}, {}, tmp_path / "unsent")
        tracker.log_epoch(0, {"loss": 1.0})
    tracker.log_epoch(1, {"loss": 0.5})
    tracker.log_epoch(2, {"loss": 0.25})
    tracker.log_files(picture, "plots")
    with pytest.raises(ValueError, match="of the work"), tracker.marked():
        raise ValueError("of the work")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "\n" not in caplog.records[0].getMessage()
    with serving(backend, tmp_path / "artifacts", port) as uri:
        again = MlflowRegistry(uri).resume_run(tracker.run_id, tmp_path / "unsent")
        again.finish()
        history = again.client.get_metric_history(tracker.run_id, "loss")
        assert [(one.step, one.value) for one in history] == [(0, 1.0), (1, 0.5), (2, 0.25)]
        assert [file.path for file in again.client.list_artifacts(tracker.run_id, "plots")] == ["plots/curve.png"]
        assert again.client.get_run(tracker.run_id).info.status == "FINISHED"

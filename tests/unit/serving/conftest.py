"""Bundles and real servers, started once."""

import contextlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).parent


def _bundles():
    return _loaded("bundles")


def _loaded(name: str):
    spec = importlib.util.spec_from_file_location(f"serving_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Server:
    """A server process and a client for it."""

    def __init__(self, process: subprocess.Popen[str], lines: list[str]) -> None:
        self.process = process
        self.lines = lines
        self.url = re.search(r"http://\S+?:\d+", lines[0])[0]
        self.port = int(self.url.rpartition(":")[2])
        self.client = httpx.Client(base_url=self.url, timeout=60)

    def metric(self, line: str) -> float:
        """Returns the value of one line of /metrics; 0 if it is not there."""
        found = re.search(rf"^{re.escape(line)} (\S+)$", self.client.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0


@contextlib.contextmanager
def running(*arguments: str, module: tuple[str, ...] = ("-m", "maas.serve")) -> Iterator[Server]:
    command = [sys.executable, *module, "port=0", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[2])}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            lines = [process.stdout.readline() for _ in range(3)]
            if not lines[0]:
                raise AssertionError(process.stderr.read())
            server = Server(process, lines)
            with server.client:
                yield server
        finally:
            process.kill()


@pytest.fixture(scope="session")
def start() -> Callable[..., contextlib.AbstractContextManager[Server]]:
    return running


@pytest.fixture(scope="session")
def asking():
    """Functions that send requests to a server in this process."""
    return _loaded("asking")


@pytest.fixture(scope="session")
def fresh_client():
    """A client that opens a connection for every request, until one is refused."""
    return _loaded("fresh_client").FreshClient


@pytest.fixture(scope="session")
def array_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _bundles().array_bundle(tmp_path_factory.mktemp("bundles") / "array")


@pytest.fixture(scope="session")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _bundles().text_bundle(tmp_path_factory.mktemp("bundles") / "text")


@pytest.fixture(scope="session")
def table_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _bundles().table_bundle(tmp_path_factory.mktemp("bundles") / "table")


@pytest.fixture(scope="session")
def generating_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _bundles().generating_bundle(tmp_path_factory.mktemp("bundles") / "generating")


@pytest.fixture(scope="session")
def translating_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _bundles().translating_bundle(tmp_path_factory.mktemp("bundles") / "translating")


@pytest.fixture(scope="session")
def translating_server(translating_folder: Path) -> Iterator[Server]:
    with running(f"model={translating_folder}") as server:
        yield server


@pytest.fixture(scope="session")
def generating_server(generating_folder: Path) -> Iterator[Server]:
    with running(f"model={generating_folder}") as server:
        yield server


@pytest.fixture(scope="session")
def array_server(array_folder: Path) -> Iterator[Server]:
    with running(f"model={array_folder}") as server:
        yield server


@pytest.fixture(scope="session")
def text_server(text_folder: Path) -> Iterator[Server]:
    with running(f"model={text_folder}") as server:
        yield server


@pytest.fixture(scope="session")
def table_server(table_folder: Path) -> Iterator[Server]:
    with running(f"model={table_folder}") as server:
        yield server


@pytest.fixture(scope="session")
def slow_module() -> tuple[str, ...]:
    """A server whose model takes 0.3 s a run, in its thread."""
    return (str(HERE / "slow_server.py"),)


@pytest.fixture(scope="session")
def stuck_module() -> tuple[str, ...]:
    """A server whose model never ends a run, and which has little patience when it is stopped."""
    return (str(HERE / "stuck_server.py"),)


@pytest.fixture(scope="session")
def hung_module() -> tuple[str, ...]:
    """A server that waits 5 s for workers that reply to nothing."""
    return (str(HERE / "hung_server.py"),)

"""Aliases of a real MLflow tracking server move while clients send requests."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.error import URLError
from urllib.request import urlopen

import httpx
import numpy as np
import pytest
from mlflow import MlflowClient

from maas.runtime.bundle import Bundle

pytestmark = pytest.mark.slow
CONNECTIONS, MOVES, REQUESTS, WATCH_S = 32, 20, 10_000, 1.0
ROW = [[float(number % 17) for number in range(64)]]


@contextmanager
def tracking(folder, port):
    """Starts `mlflow server` over a SQLite file, and ends it with all its workers."""
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination", (folder / "artifacts").as_uri(), "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1",
    ]  # fmt: skip
    with (folder / "mlflow.log").open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        while not answers(f"http://127.0.0.1:{port}/health"):
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(address):
    try:
        with urlopen(address, timeout=5):
            return True
    except (URLError, OSError):
        return False


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Versions:
    """Versions of one model at a tracking server, with what each predicts for `ROW`."""

    def __init__(self, uri, folder, bundles):
        self.client, self._folder, self._bundles = MlflowClient(uri, uri), folder, bundles
        self.scores: dict[str, np.ndarray] = {}
        self.client.create_registered_model("digits")

    def register(self, seed, *, is_spoilt=False):
        folder = self._bundles.array_bundle(self._folder / f"bundle{seed}", seed=seed)
        if is_spoilt:
            self._bundles.spoil(folder)
        run = self.client.create_run("0")
        self.client.log_artifacts(run.info.run_id, str(folder), "bundle")
        made = self.client.create_model_version("digits", f"{run.info.artifact_uri}/bundle", run.info.run_id)
        self.scores[made.version] = Bundle.open(folder).predictor.scores(ROW)
        return made.version

    def point(self, version):
        self.client.set_registered_model_alias("digits", "champion", version)


async def until(condition):
    """Waits; pytest's own timeout ends a wait in vain."""
    while not condition():  # noqa: ASYNC110  what is waited for has no event
        await asyncio.sleep(0.01)


def wait_until(condition):
    while not condition():
        time.sleep(0.05)


class Load:
    """Clients that send one request after the other until they are stopped."""

    def __init__(self, url):
        self._url = url
        self._is_over = False
        self.replies: list[tuple[float, float, str, list]] = []
        self.faults: list[object] = []

    async def __aenter__(self):
        self._tasks = [asyncio.create_task(self._send()) for _ in range(CONNECTIONS)]
        return self

    async def __aexit__(self, *error):
        self._is_over = True
        await asyncio.gather(*self._tasks)

    async def _send(self):
        async with httpx.AsyncClient(base_url=self._url, timeout=60) as client:
            while not self._is_over:
                sent = time.monotonic()
                try:
                    reply = await client.post("/predict", json={"input_data": ROW})
                except httpx.HTTPError as error:
                    self.faults.append(error)
                    continue
                if reply.status_code == 200:
                    version, scores = reply.headers["maas-version"], reply.json()["predictions"]
                    self.replies.append((sent, time.monotonic(), version, scores))
                else:
                    self.faults.append((reply.status_code, reply.text))

    async def seen(self, version):
        """Waits until a reply is of a version."""
        await until(lambda: self.replies and self.replies[-1][2] == version)

    async def grown(self, count):
        """Waits for some more replies."""
        wanted = len(self.replies) + count
        await until(lambda: len(self.replies) >= wanted)


@pytest.fixture(scope="module")
def registry(tmp_path_factory, bundles):
    folder, port = tmp_path_factory.mktemp("tracking"), free_port()
    with tracking(folder, port) as uri:
        yield Versions(uri, folder, bundles), uri


def right(load, versions):
    return all(np.allclose(scores, versions.scores[version], atol=1e-5) for _, _, version, scores in load.replies)


def lateness(reply, moves):
    """Returns for how long the alias had pointed elsewhere when a request was sent, in seconds."""
    sent, received, version, _ = reply
    before = max((move for move in moves if move[0] <= sent), default=(sent, version))
    meanwhile = {now for at, now in moves if sent < at <= received}
    return 0.0 if version in {before[1], *meanwhile} else sent - before[0]


def test_no_request_fails_when_the_alias_moves_under_load(registry, start, monkeypatch):
    versions, uri = registry
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    known = [versions.register(seed) for seed in range(4)]
    versions.point(known[0])
    moves: list[tuple[float, str]] = []

    async def scenario(url):
        async with Load(url) as load:
            await load.seen(known[0])
            for move in range(MOVES):
                version = known[(move + 1) % len(known)]
                moves.append((time.monotonic(), version))
                await asyncio.to_thread(versions.point, version)
                await load.seen(version)
                await load.grown(REQUESTS // MOVES)
        return load

    with start("model=models:/digits@champion", f"watch_s={WATCH_S}") as server:
        load = asyncio.run(scenario(server.url))
        assert server.metric('maas_swaps_total{model="digits",result="swapped"}') == MOVES
        assert server.metric('maas_swaps_total{model="digits",result="refused"}') == 0
    assert load.faults == []
    assert len(load.replies) >= REQUESTS
    assert right(load, versions)
    oldest = max(lateness(reply, moves) for reply in load.replies)
    print(f"{len(load.replies)} replies, {MOVES} moves; the oldest reply was sent {oldest:.2f} s after a move")


def test_version_continues_when_the_next_one_has_false_golden_outputs(registry, start, monkeypatch):
    versions, uri = registry
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    good, false = versions.register(10), versions.register(11, is_spoilt=True)
    versions.point(good)

    async def scenario(server):
        async with Load(server.url) as load:
            await load.seen(good)
            await asyncio.to_thread(versions.point, false)
            refused = 'maas_swaps_total{model="digits",result="refused"}'
            await asyncio.to_thread(wait_until, lambda: server.metric(refused))
            await load.grown(1000)
            assert await asyncio.to_thread(server.metric, refused) == 1
        return load

    with start("model=models:/digits@champion", f"watch_s={WATCH_S}") as server:
        load = asyncio.run(scenario(server))
        server.client.close()
        server.process.terminate()
        assert server.process.wait() == 0
        lines = server.process.stderr.read().splitlines()
    assert load.faults == []
    assert {version for _, _, version, _ in load.replies} == {good}
    assert [
        line for line in lines if f"digits version {false} is refused, and version {good} continues" in line
    ] == lines


def test_version_continues_when_the_registry_goes_away_and_comes_back(tmp_path, bundles, start, monkeypatch):
    port = free_port()

    async def scenario(server, versions, first, second):
        async with Load(server.url) as load:
            await load.seen(first)
            stack.__exit__(None, None, None)
            unreachable = 'maas_swaps_total{model="digits",result="unreachable"}'
            await asyncio.to_thread(wait_until, lambda: server.metric(unreachable) >= 2)
            await load.grown(500)
            again = tracking(tmp_path, port)
            await asyncio.to_thread(again.__enter__)
            try:
                await asyncio.to_thread(versions.point, second)
                await load.seen(second)
            finally:
                again.__exit__(None, None, None)
        return load

    stack = tracking(tmp_path, port)
    uri = stack.__enter__()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    versions = Versions(uri, tmp_path, bundles)
    first, second = versions.register(1), versions.register(2)
    versions.point(first)
    with start("model=models:/digits@champion", f"watch_s={WATCH_S}") as server:
        load = asyncio.run(scenario(server, versions, first, second))
        server.client.close()
        server.process.terminate()
        assert server.process.wait() == 0
        lines = server.process.stderr.read().splitlines()
    assert load.faults == []
    assert right(load, versions)
    assert sum("cannot be reached" in line and "Version 1 of digits continues" in line for line in lines) == 1
    assert sum("is there again" in line for line in lines) == 1

"""Aliases of a real MLflow in a SQLite file, followed by a repository and by a server process."""

import asyncio
import os
import shutil
import signal

import httpx
import psutil
import pytest

from maas.errors import RegistryError
from maas.registry.catalogue import looking_up
from maas.registry.connection import connected
from maas.registry.reading.process import RegistryProcess
from maas.serving.entries import ModelEntry
from maas.serving.locating import Locator
from maas.serving.observers.metrics import Metrics
from maas.serving.repository import DeploymentState, Repository
from maas.serving.repository.watching import AliasWatcher

ROWS = [[1] * 64]


class Store:
    """A registry in a SQLite file, with versions of one model whose bundles lie beside it."""

    def __init__(self, folder, bundles, database):
        self.uri = f"sqlite:///{shutil.copy(database, folder / 'mlflow.db')}"
        self.folder = folder
        self._bundles = bundles
        self.client = connected(self.uri)
        self.client.create_registered_model("digits")
        self.versions = 0

    def register(self, spoil: bool = False) -> str:
        """Registers a new version of other weights; a spoilt one has golden outputs that it does not give."""
        self.versions += 1
        folder = self._bundles.array_bundle(self.folder / f"bundle{self.versions}", seed=self.versions)
        if spoil:
            self._bundles.spoil(folder)
        return str(self.client.create_model_version("digits", source=folder.as_uri()).version)

    def point(self, version: str, alias: str = "champion") -> None:
        self.client.set_registered_model_alias("digits", alias, version)


class Here:
    """Reads a registry in this process, which has imported mlflow already."""

    def __init__(self, tracking_uri):
        self.tracking_uri = tracking_uri

    def version_at(self, name, alias):
        return looking_up.version_at(self.tracking_uri, name, alias)

    def names_with(self, alias):
        return looking_up.names_with(self.tracking_uri, alias)

    def locate(self, address):
        return looking_up.bundle_at(address, self.tracking_uri)

    def close(self):
        pass


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """An empty registry: MLflow takes seconds to lay one out."""
    path = tmp_path_factory.mktemp("registry") / "empty.db"
    connected(f"sqlite:///{path}")
    return path


@pytest.fixture
def store(tmp_path, bundles, database):
    return Store(tmp_path, bundles, database)


@pytest.fixture
def following(store):
    """Runs a scenario over a repository that serves `models:/digits@champion`, and its watcher."""

    def run(scenario, reader=Here):
        async def whole():
            metrics, repository, locator = Metrics(), Repository(), Locator(store.uri, reader(store.uri))
            repository.add(locator.located(ModelEntry(model="models:/digits@champion")))
            watcher = AliasWatcher(repository, locator, 0.2, metrics.observe_swap)
            repository.companions.append(watcher)
            try:
                await scenario(repository, watcher, metrics, locator)
            finally:
                await repository.close()

        asyncio.run(whole())

    return run


def counted(metrics, result):
    return metrics.registry.get_sample_value("maas_swaps_total", {"model": "digits", "result": result}) or 0.0


def test_new_version_takes_the_place_when_the_alias_moves(store, following, caplog):
    store.point(store.register())

    async def scenario(repository, watcher, metrics, locator):
        first = repository.snapshot.first
        await watcher.look()
        assert repository.snapshot.first is first
        store.point(store.register())
        waiting = asyncio.create_task(first.outputs(ROWS))
        await asyncio.sleep(0)
        await watcher.look()
        second = repository.snapshot.first
        assert (second.version, repository.snapshot.find("digits", "champion")) == ("2", second)
        assert len((await waiting)["probabilities"]) == 1
        assert counted(metrics, "swapped") == 1
        await repository.close()
        assert first.state is DeploymentState.GONE

    following(scenario)
    assert caplog.messages == ["digits version 2 takes the place of version 1."]


def test_version_with_other_golden_outputs_is_refused_until_the_alias_moves(store, following, caplog):
    store.point(store.register())

    async def scenario(repository, watcher, metrics, locator):
        first = repository.snapshot.first
        store.point(store.register(spoil=True))
        for _ in range(3):
            await watcher.look()
        assert repository.snapshot.first is first
        assert (counted(metrics, "refused"), counted(metrics, "swapped")) == (1, 0)
        store.point("1")
        await watcher.look()
        store.point("2")
        await watcher.look()
        assert (counted(metrics, "refused"), counted(metrics, "swapped")) == (2, 0)

    following(scenario)
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith("digits version 2 is refused, and version 1 continues: ")
    assert "predicts its golden inputs otherwise than when it was made" in caplog.messages[0]


def test_version_continues_when_the_alias_or_the_registry_is_gone(store, following, caplog):
    store.point(store.register())

    async def scenario(repository, watcher, metrics, locator):
        first = repository.snapshot.first
        store.client.delete_registered_model_alias("digits", "champion")
        await watcher.look()
        await watcher.look()
        assert counted(metrics, "absent") == 2
        database = store.folder / "mlflow.db"
        database.rename(store.folder / "away.db")
        await watcher.look()
        await watcher.look()
        assert counted(metrics, "unreachable") == 2
        assert len((await first.outputs(ROWS))["probabilities"]) == 1
        (store.folder / "away.db").rename(database)
        store.point(store.register())
        await watcher.look()
        assert repository.snapshot.first.version == "2"

    following(scenario)
    absent, unreachable, back, swapped = caplog.messages
    assert absent.startswith("models:/digits@champion is not there: ")
    assert absent.endswith(" Version 1 of digits continues.")
    assert unreachable.startswith(f"models:/digits@champion is not in {store.uri}: there is no file ")
    assert back == "models:/digits@champion is there again; it points at version 2."
    assert swapped == "digits version 2 takes the place of version 1."


@pytest.mark.slow
def test_process_that_reads_the_registry_is_replaced_when_it_dies(store, following, caplog):
    store.point(store.register())

    async def scenario(repository, watcher, metrics, locator):
        reader = locator.reader
        before = reader.pid
        os.kill(before, signal.SIGKILL)
        store.point(store.register())
        while repository.snapshot.first.version == "1":
            await watcher.look()
        assert reader.pid not in (None, before)
        after = reader.pid
        await repository.close()
        assert reader.pid is None
        with pytest.raises(ProcessLookupError):
            os.kill(after, 0)

    following(scenario, RegistryProcess)


def test_version_has_one_engine_when_two_aliases_point_at_it(store, following):
    store.point(store.register())
    store.point(store.register(), "challenger")

    async def scenario(repository, watcher, metrics, locator):
        repository.add(locator.located(ModelEntry(model="models:/digits@challenger")))
        one, two = repository.snapshot.find("digits", "champion"), repository.snapshot.find("digits", "challenger")
        assert (one.version, two.version) == ("1", "2")
        store.point("2")
        await watcher.look()
        assert repository.snapshot.predicting == (two,)
        assert repository.snapshot.labels_of(two) == ("champion", "challenger")
        assert one.state is not DeploymentState.READY
        store.point("1", "challenger")
        await watcher.look()
        assert repository.snapshot.find("digits", "champion") is two
        assert repository.snapshot.find("digits", "challenger").version == "1"
        assert two.state is DeploymentState.READY

    following(scenario)


def test_every_model_with_an_alias_is_served(store, bundles):
    store.point(store.register())
    store.client.create_registered_model("mood")
    store.client.create_registered_model("other")
    folder = bundles.text_bundle(store.folder / "text")
    store.client.create_model_version("mood", source=folder.as_uri())
    store.client.set_registered_model_alias("mood", "champion", "1")
    locator = Locator(store.uri, Here(store.uri))
    found = [entry.model for entry in locator.expanded([ModelEntry(model="models:/*@champion")])]
    assert found == ["models:/digits@champion", "models:/mood@champion"]
    with pytest.raises(RegistryError, match=r"^models:/digits@x is not in .*Models there: digits, mood, other\.$"):
        locator.located(ModelEntry(model="models:/digits@x"))
    locator.close()


def test_server_follows_an_alias_and_ends_its_reader(store, start, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    store.point(store.register())
    with start("model=models:/digits@champion", "watch_s=0.3") as server:
        body = {"input_data": ROWS}
        first = server.client.post("/predict", json=body)
        assert first.headers["maas-version"] == "1"
        store.point(store.register())
        while (reply := server.client.post("/predict", json=body)).headers["maas-version"] == "1":
            assert reply.status_code == 200
            assert reply.json() == first.json()
        assert reply.json() != first.json()
        assert server.metric('maas_swaps_total{model="digits",result="swapped"}') == 1
        server.client.close()
        server.process.terminate()
        assert server.process.wait() == 0
        assert "digits version 2 takes the place of version 1." in server.process.stderr.read()


@pytest.mark.slow
def test_moved_alias_reaches_all_workers_and_one_process_reads_the_registry(store, start, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    store.point(store.register())
    with start("model=models:/digits@champion", "watch_s=0.3", "workers=2") as server:
        supervisor = psutil.Process(server.process.pid)
        store.point(store.register())
        versions: dict[str, str] = {}
        while sorted(versions.values()) != ["2", "2"]:
            versions |= dict([predicted_by(server)])
        assert [one for one in supervisor.children() if "maas.registry.reading.replying" in one.cmdline()]
        assert all(not one.children() for one in supervisor.children())
        assert server.metric('maas_swaps_total{model="digits",result="swapped"}') == 1
        store.point(store.register(spoil=True))
        while server.metric('maas_swaps_total{model="digits",result="refused"}') < 1:
            assert predicted_by(server)[1] == "2"
        worker = next(one for one in supervisor.children() if "maas.serving.workers.worker" in one.cmdline())
        worker.kill()
        while predicted_by(server)[0] in versions:  # until one that is new replies
            pass
        assert {predicted_by(server)[1] for _ in range(8)} == {"2"}
        server.client.close()
        server.process.terminate()
        assert server.process.wait() == 0


def predicted_by(server) -> tuple[str, str]:
    """The process that predicts on a new connection, and the version that it serves."""
    reply = httpx.post(f"{server.url}/predict", json={"input_data": ROWS})
    assert reply.status_code == 200
    return reply.headers["x-request-id"].partition("-")[0], reply.headers["maas-version"]

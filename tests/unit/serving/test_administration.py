"""Models that come, change and go while a server runs."""

import asyncio
import re
import shutil
import signal

import httpx
import numpy as np
import pytest

from maas.errors import InputError
from maas.runtime.bundle import Bundle
from maas.serving.faults import UnknownModelError
from maas.serving.observers.metrics import Metrics
from maas.serving.repository import DeploymentState
from maas.serving.settings import ServerSettings
from maas.serving.starting import open_models

ROWS = [[1] * 64]


class Place:
    """A folder with bundles and a file of models."""

    def __init__(self, folder, bundles):
        self.file, self.folder = folder / "models.yaml", folder
        for number, name in enumerate("abc"):
            bundles.array_bundle(folder / name, seed=number)

    def write(self, *entries, default=None):
        lines = [f"  - {{model: {self.folder / entry['of']}, {rest(entry)}}}" for entry in entries]
        self.file.write_text("\n".join([f"default: {default}" if default else "", "models:", *lines, ""]))

    def running(self, scenario):
        async def whole():
            administration = open_models(ServerSettings(models=str(self.file)), Metrics())
            administration.repository.start()
            try:
                await scenario(administration, administration.repository)
            finally:
                await administration.repository.close()

        asyncio.run(whole())


def rest(entry):
    return ", ".join(f"{key}: {value}" for key, value in entry.items() if key != "of") or "lazy: false"


@pytest.fixture
def place(tmp_path, bundles):
    return Place(tmp_path, bundles)


def served(repository):
    return [(one.name, one.version) for one in repository.snapshot.predicting]


def test_models_come_change_and_go_when_the_settings_are_read_again(place):
    place.write({"of": "a", "name": "a"}, {"of": "b", "name": "b"})

    async def scenario(administration, repository):
        a, b = repository.snapshot.find("a"), repository.snapshot.find("b")
        place.write({"of": "c", "name": "c"}, {"of": "a", "name": "a", "labels": "[x]"}, default="a")
        await administration.reload()
        assert served(repository) == [("a", "1"), ("c", "1")]
        assert repository.snapshot.find("a", "x") is a
        place.write({"of": "a", "name": "a", "batch_size": 2}, {"of": "c", "name": "c"})
        await administration.reload()
        assert repository.snapshot.find("a") is not a
        assert served(repository) == [("a", "1"), ("c", "1")]
        await repository.close()
        assert {a.state, b.state} == {DeploymentState.GONE}

    place.running(scenario)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([{"of": "a", "name": "x"}], [{"of": "b", "name": "x"}], [("x", "1", "b")]),
        ([{"of": "a"}], [{"of": "b"}], [("digits", "1", "b")]),
        ([{"of": "a", "name": "x"}], [{"of": "b", "name": "x", "version": 2}], [("x", "2", "b")]),
        (
            [{"of": "a", "name": "x"}, {"of": "b", "name": "y"}],
            [{"of": "a", "name": "y"}, {"of": "b", "name": "x"}],
            [("y", "1", "a"), ("x", "1", "b")],
        ),
        (
            [{"of": "a", "name": "x"}, {"of": "b", "name": "y"}],
            [{"of": "c", "name": "y"}, {"of": "a", "name": "x"}],
            [("y", "1", "c"), ("x", "1", "a")],
        ),
    ],
    ids=str,
)
def test_entry_takes_the_place_of_the_one_before_when_its_folder_is_another(place, caplog, before, after, expected):
    place.write(*before)

    async def scenario(administration, repository):
        place.write(*after)
        await administration.reload()
        found = repository.snapshot.predicting
        assert [(one.name, one.version, one.bundle.folder.name) for one in found] == expected
        for one in found:
            wanted = Bundle.open(one.bundle.folder).predictor.scores(ROWS)
            np.testing.assert_allclose((await one.outputs(ROWS))["probabilities"], wanted, atol=1e-6)

    place.running(scenario)
    assert "cannot be loaded" not in caplog.text


@pytest.mark.parametrize("key", ["labels", "default"])
@pytest.mark.parametrize("stays", [False, True])
def test_new_version_takes_label_and_default_of_the_one_before_when_the_file_says_so(place, caplog, key, stays):
    special = {"labels": "[best]"} if key == "labels" else {"default": "true"}
    place.write({"of": "a", "name": "x", "version": 1, **special})

    async def scenario(administration, repository):
        old = [{"of": "a", "name": "x", "version": 1}] if stays else []
        place.write({"of": "b", "name": "x", "version": 2, **special}, *old)
        await administration.reload()
        found = repository.snapshot.find("x", "best" if key == "labels" else None)
        assert (found.version, found.bundle.folder.name) == ("2", "b")
        assert sorted(served(repository)) == ([("x", "1")] if stays else []) + [("x", "2")]

    place.running(scenario)
    assert "cannot be loaded" not in caplog.text


def test_old_version_goes_when_the_new_one_is_there_though_another_model_is_broken(place, caplog):
    place.write({"of": "a", "name": "x", "version": 1, "labels": "[best]"})
    (place.folder / "c" / "model.onnx").unlink()

    async def scenario(administration, repository):
        place.write({"of": "b", "name": "x", "version": 2, "labels": "[best]"}, {"of": "c", "name": "y"})
        await administration.reload()
        assert served(repository) == [("x", "2")]
        assert repository.snapshot.find("x", "best").version == "2"

    place.running(scenario)
    assert "y cannot be loaded, and what was served continues: " in caplog.text


@pytest.mark.parametrize("version", [1, 2])
def test_model_continues_when_the_folder_that_is_to_take_its_place_is_broken(place, caplog, version):
    place.write({"of": "a", "name": "x"}, {"of": "c", "name": "z"})
    (place.folder / "b" / "model.onnx").unlink()

    async def scenario(administration, repository):
        x = repository.snapshot.find("x")
        place.write({"of": "b", "name": "x", "version": version}, {"of": "c", "name": "z"})
        await administration.reload()
        assert repository.snapshot.find("x") is x
        assert len((await x.outputs(ROWS))["probabilities"]) == 1
        assert sorted(served(repository)) == [("x", "1"), ("z", "1")]
        place.write({"of": "a", "name": "x"})  # the next reading of right settings takes away what is not wanted
        await administration.reload()
        assert repository.snapshot.predicting == (x,)

    place.running(scenario)
    assert "x cannot be loaded, and what was served continues: " in caplog.text


def test_bundle_is_loaded_again_when_its_folder_has_another(place):
    place.write({"of": "a", "name": "a"})
    expected = Bundle.open(place.folder / "b").predictor.scores(ROWS)

    async def scenario(administration, repository):
        before = repository.snapshot.digest
        shutil.rmtree(place.folder / "a")
        shutil.copytree(place.folder / "b", place.folder / "a")
        await administration.reload()
        assert repository.snapshot.digest != before
        outputs = await repository.snapshot.first.outputs(ROWS)
        np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)

    place.running(scenario)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("models: [{modle: a}]", "The settings cannot be read again, and everything continues: "),
        (None, "The settings cannot be read again, and everything continues: "),
        ("models: [{model: NOWHERE, name: a}, {model: FOLDER, name: a}]", "a cannot be loaded, and what was served"),
    ],
)
def test_everything_continues_when_the_settings_are_wrong(place, content, message, caplog):
    place.write({"of": "a", "name": "a"})

    async def scenario(administration, repository):
        a = repository.snapshot.find("a")
        if content is None:
            place.file.unlink()
        else:
            place.file.write_text(content.replace("FOLDER", str(place.folder / "a")))
        await administration.reload()
        assert repository.snapshot.predicting == (a,)
        assert len((await a.outputs(ROWS))["probabilities"]) == 1

    place.running(scenario)
    assert any(line.startswith(message) for line in caplog.messages)


def test_unknown_default_is_a_line_of_the_log_when_the_settings_are_read_again(place, caplog):
    place.write({"of": "a", "name": "a"})

    async def scenario(administration, repository):
        place.write({"of": "b", "name": "b"}, {"of": "a", "name": "a"}, default="z")
        await administration.reload()
        assert served(repository) == [("b", "1"), ("a", "1")]

    place.running(scenario)
    assert "default is 'z', and the models are" in caplog.text


def test_model_is_unloaded_and_loaded_again(place):
    place.write({"of": "a", "name": "a"}, {"of": "b", "name": "b"})

    async def scenario(administration, repository):
        a = repository.snapshot.find("a")
        await administration.unload("a")
        assert served(repository) == [("b", "1")]
        assert [tuple(one) for one in administration.index()] == [
            ("b", "1", "READY", ""),
            ("a", "1", "UNAVAILABLE", "unloaded"),
        ]
        await administration.reload()
        assert served(repository) == [("b", "1")]
        await administration.unload("a")
        await administration.load("a")
        assert served(repository) == [("b", "1"), ("a", "1")]
        assert repository.snapshot.find("a") is not a
        b = repository.snapshot.find("b")
        await administration.load("b")
        assert repository.snapshot.find("b") is b
        for change in (administration.load, administration.unload):
            with pytest.raises(UnknownModelError, match="No model 'z' is known here; there is b, a"):
                await change("z")

    place.running(scenario)


def test_model_continues_when_it_cannot_be_loaded_again(place):
    place.write({"of": "a", "name": "a"})

    async def scenario(administration, repository):
        a = repository.snapshot.find("a")
        (place.folder / "a" / "manifest.json").unlink()
        with pytest.raises(InputError, match="^Model 'a' cannot be loaded: .* holds no manifest.json"):
            await administration.load("a")
        assert repository.snapshot.find("a") is a
        assert len((await a.outputs(ROWS))["probabilities"]) == 1

    place.running(scenario)


def test_server_reads_its_file_again_after_a_hangup(start, place):
    place.write({"of": "a", "name": "a"})
    with start(f"models={place.file}") as server:
        place.write({"of": "a", "name": "a"}, {"of": "b", "name": "b"})
        server.process.send_signal(signal.SIGHUP)
        body = {"input_data": ROWS, "model": "b"}
        while (reply := server.client.post("/predict", json=body)).status_code == 404:
            pass
        assert reply.json()["predictions"] == Bundle.open(place.folder / "b").predictor.scores(ROWS).tolist()


def test_administrator_lists_loads_and_unloads_with_tritons_client(start, place):
    from tritonclient.http import InferenceServerClient
    from tritonclient.utils import InferenceServerException

    place.write({"of": "a", "name": "a"}, {"of": "b", "name": "b"})
    with start(f"models={place.file}", "admin_port=0") as server:
        address = re.search(r"administration: http://(\S+)", server.process.stdout.readline())[1]
        assert address.startswith("127.0.0.1:")
        with InferenceServerClient(address) as client:
            client.unload_model("a")
            assert server.client.get("/v2/models/a/ready").status_code == 404
            states = {one["name"]: one["state"] for one in client.get_model_repository_index()}
            assert states == {"a": "UNAVAILABLE", "b": "READY"}
            client.load_model("a")
            assert server.client.get("/v2/models/a/ready").status_code == 200
            with pytest.raises(InferenceServerException, match="No model 'z' is known here"):
                client.load_model("z")
        page = {"origin": "https://example.org"}
        refused = httpx.post(f"http://{address}/v2/repository/models/a/unload", headers=page)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_input")
        elsewhere = server.client.post("/v2/repository/models/a/unload")
        assert elsewhere.status_code == 400
        assert "admin_port" in elsewhere.json()["error"]
        assert server.client.get("/v2/models/a/ready").status_code == 200

"""Models that are loaded by their first call, and make room for each other."""

import asyncio
import gc
import shutil

import numpy as np
import pytest

from maas.errors import BundleError, DeadlineError, OverloadError
from maas.runtime.bundle import Bundle
from maas.serving.call import Call, RowList
from maas.serving.engines import lazy
from maas.serving.entries import LocatedEntry, ModelEntry
from maas.serving.faults import TooManyRowsError
from maas.serving.repository import DeploymentState, Repository
from maas.serving.repository.opening import outputs_like, size_of_files

ROWS = [[1] * 64]


@pytest.fixture(scope="module")
def folders(tmp_path_factory, bundles):
    place = tmp_path_factory.mktemp("bundles")
    return [bundles.array_bundle(place / name, seed=number) for number, name in enumerate("abc")]


def repository_of(folders, max_memory_bytes=None, **settings):
    repository = Repository(max_memory_bytes=max_memory_bytes)
    for name, folder in zip("abc", folders, strict=False):
        entry = ModelEntry(model=str(folder), name=name, lazy=True, **settings)
        repository.add(LocatedEntry(entry, str(folder), name, "1"))
    return repository


def running(scenario, *arguments, **settings):
    async def whole():
        repository = repository_of(*arguments, **settings)
        try:
            await scenario(repository)
        finally:
            await repository.close()

    asyncio.run(whole())


def loaded(repository):
    return [one.name for one in repository.snapshot.predicting if one.engine.is_loaded]


def test_model_is_loaded_once_when_many_calls_come_first(folders, monkeypatch):
    opened = []
    checked = Bundle.check_golden
    monkeypatch.setattr(Bundle, "check_golden", lambda bundle, **rest: opened.append(1) or checked(bundle, **rest))
    expected = Bundle.open(folders[0]).predictor.outputs(ROWS)["probabilities"]

    async def scenario(repository):
        model = repository.snapshot.find("a")
        assert (loaded(repository), model.engine.summary, opened) == ([], "loaded by its first request", [])
        assert model.state is DeploymentState.READY
        found = await asyncio.gather(*(model.outputs(ROWS) for _ in range(10)))
        assert all(np.allclose(one["probabilities"], expected, atol=1e-6) for one in found)
        assert (loaded(repository), opened) == (["a"], [1])
        assert model.engine.summary.startswith("a run of ")
        assert model.engine.queued_rows == 0

    running(scenario, folders)


def test_least_recently_used_model_makes_room(folders, monkeypatch):
    size = size_of_files(Bundle.open(folders[0]))
    monkeypatch.setattr(lazy, "resident_bytes", lambda: 0)  # a model counts as many bytes as its files have

    async def scenario(repository):
        a, b, c = (repository.snapshot.find(name) for name in "abc")
        for model in (a, b, a, c):
            await model.outputs(ROWS)
        assert loaded(repository) == ["a", "c"]
        await b.outputs(ROWS)
        assert loaded(repository) == ["b", "c"]
        await c.outputs(ROWS)
        await a.outputs(ROWS)
        assert loaded(repository) == ["a", "c"]

    running(scenario, folders, max_memory_bytes=2 * size + size // 2)


def test_one_model_is_loaded_at_a_time_when_the_limit_holds_no_two(folders):
    async def scenario(repository):
        for name in "abcab":
            await repository.snapshot.find(name).outputs(ROWS)
            assert loaded(repository) == [name]

    running(scenario, folders, max_memory_bytes=1)


def test_calls_are_finished_when_their_model_makes_room(folders):
    async def scenario(repository):
        a, b = repository.snapshot.find("a"), repository.snapshot.find("b")
        await a.outputs(ROWS)
        calls = [asyncio.create_task(one.outputs(ROWS)) for one in (a, b, a, b) * 5]
        assert all(len(outputs["probabilities"]) == 1 for outputs in await asyncio.gather(*calls))

    running(scenario, folders, max_memory_bytes=1)


def test_session_is_freed_when_its_model_makes_room(folders):
    import onnxruntime

    def sessions():
        gc.collect()
        return sum(type(one) is onnxruntime.InferenceSession for one in gc.get_objects())

    before = sessions()

    async def scenario(repository):
        await repository.snapshot.find("a").outputs(ROWS)
        assert sessions() == before + 1
        await repository.snapshot.find("b").outputs(ROWS)
        assert sessions() == before + 1

    running(scenario, folders, max_memory_bytes=1)


def test_failing_load_is_503_and_tried_again_later(folders, tmp_path, monkeypatch, caplog):
    folder = shutil.copytree(folders[0], tmp_path / "bundle")
    tries = []

    def refuse(bundle, **rest):
        tries.append(1)
        raise BundleError(f"{bundle.folder} predicts otherwise.")

    monkeypatch.setattr(Bundle, "check_golden", refuse)

    async def scenario(repository):
        model = repository.snapshot.find("a")
        for _ in range(3):
            with pytest.raises(OverloadError) as caught:
                await model.outputs(ROWS)
            assert str(caught.value) == (
                "Model 'a' cannot be loaded; the server's log says why. Try again in 10 seconds."
            )
            assert caught.value.retry_after_s == 10
        assert tries == [1]
        assert model.engine.queued_rows == 0
        monkeypatch.undo()
        model.engine._again_s = 0.0  # ten seconds later
        assert len((await model.outputs(ROWS))["probabilities"]) == 1

    running(scenario, [folder])
    assert [message for message in caplog.messages if "cannot be loaded" in message] == [
        "a cannot be loaded: bundle predicts otherwise."
    ]


def test_calls_are_limited_while_their_model_is_loaded(folders):
    async def scenario(repository):
        model = repository.snapshot.find("a")
        with pytest.raises(TooManyRowsError, match="has 3 rows; this server takes 2"):
            await model.outputs(ROWS * 3)
        calls = [asyncio.create_task(model.outputs(ROWS * 2)) for _ in range(2)]
        await asyncio.sleep(0)
        assert model.engine.queued_rows == 4
        with pytest.raises(OverloadError, match="4 rows of at most 4 wait for a to be loaded; 1 more do not fit"):
            await model.outputs(ROWS)
        await asyncio.gather(*calls)

    running(scenario, folders, max_queue=4)


def test_deadline_ends_the_wait_for_a_model(folders):
    async def scenario(repository):
        engine = repository.snapshot.find("a").engine
        now = asyncio.get_running_loop().time()
        call = Call(model="a", inputs=RowList(ROWS), size_bytes=0, deadline_s=now)
        with pytest.raises(DeadlineError):
            await anext(aiter(engine.submit(call)))
        assert engine.queued_rows == 0

    running(scenario, folders)


def test_model_is_finished_and_gone_when_the_server_stops_while_it_is_loaded(folders):
    async def scenario():
        repository = repository_of(folders)
        model = repository.snapshot.find("a")
        call = asyncio.create_task(model.outputs(ROWS))
        await asyncio.sleep(0)
        await repository.close()
        assert len((await call)["probabilities"]) == 1
        assert model.state is DeploymentState.GONE
        assert loaded(repository) == []

    asyncio.run(scenario())


def test_example_is_the_golden_one_without_running_the_model(tmp_path, bundles):
    for folder in (
        bundles.array_bundle(tmp_path / "array"),
        bundles.value_bundle(tmp_path / "value", bias=3, deviation=2),
    ):
        bundle = Bundle.open(folder)
        predictor = bundle.predictor
        found = outputs_like(bundle.golden.scores[:1], predictor.postprocessor)
        expected = predictor.outputs(bundle.golden.inputs[:1])
        assert found.keys() == expected.keys()
        assert all(found[name].shape == expected[name].shape for name in found)
        assert all(np.allclose(found[name], expected[name], rtol=1e-5) for name in found)


def test_memory_is_read_where_the_system_tells(monkeypatch, tmp_path):
    assert lazy.resident_bytes() > 10 * 2**20
    monkeypatch.setattr(lazy, "RESIDENT_PAGES", tmp_path / "absent")
    assert lazy.resident_bytes() == 0


def test_server_loads_a_lazy_model_by_its_first_request(start, folders, tmp_path):
    file = tmp_path / "models.yaml"
    file.write_text(
        f"models:\n  - {{model: {folders[0]}, name: a, lazy: true}}\n  - {{model: {folders[1]}, name: b}}\n"
    )
    with start(f"models={file}", "max_memory_bytes=100000000") as server:
        assert "loaded by its first request" in server.lines[0]
        assert server.client.get("/docs").status_code == 200
        assert server.client.get("/v2/models/a/ready").status_code == 200
        scores = server.client.post("/predict", json={"input_data": ROWS}).json()["predictions"]
        assert scores == Bundle.open(folders[0]).predictor.scores(ROWS).tolist()

"""The repository and its deployments over real bundles, without HTTP."""

import asyncio
import hashlib
import json
import shutil

import numpy as np
import pytest

from maas.errors import BundleError, InputError
from maas.runtime.bundle import Bundle
from maas.serving.engines import batch
from maas.serving.entries import LocatedEntry
from maas.serving.faults import NotFiniteError, TooManyRowsError, UnknownModelError
from maas.serving.observers.metrics import Metrics
from maas.serving.repository import DeploymentState, EngineSettings, Repository

ROWS = ["短", "a somewhat longer text than the others, with several words in it", "好", "bad"] * 12


def answered(folder, rows, **settings):
    """Opens a bundle, sends one call and closes."""

    async def scenario():
        repository = Repository(EngineSettings(**settings))
        deployment = repository.open(folder)
        try:
            return await deployment.outputs(rows)
        finally:
            await repository.close()

    return asyncio.run(scenario())


@pytest.mark.parametrize("inline_below_s", [0.0, 10.0])
@pytest.mark.parametrize("count", [1, 3, 8, 9, 48])
def test_outputs_are_the_predictors_bit_for_bit(text_folder, monkeypatch, inline_below_s, count):
    monkeypatch.setattr(batch, "INLINE_BELOW_S", inline_below_s)
    found = answered(text_folder, ROWS[:count])
    expected = Bundle.open(text_folder).predictor.outputs(ROWS[:count])
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_concurrent_callers_get_their_own_rows_in_order(text_folder, monkeypatch):
    monkeypatch.setattr(batch, "INLINE_BELOW_S", 0.0)
    expected = Bundle.open(text_folder).predictor.outputs(ROWS)["probabilities"]

    async def scenario():
        repository = Repository()
        model = repository.open(text_folder)
        found = await asyncio.gather(*(model.outputs(ROWS[start : start + 3]) for start in range(0, 48, 3)))
        await repository.close()
        return np.concatenate([outputs["probabilities"] for outputs in found])

    np.testing.assert_allclose(asyncio.run(scenario()), expected, atol=1e-6)


def test_bad_input_is_raised_to_its_caller_alone(text_folder):
    async def scenario():
        repository = Repository()
        model = repository.open(text_folder)
        good, bad = await asyncio.gather(model.outputs(["好"]), model.outputs(["好", ""]), return_exceptions=True)
        assert len(good["probabilities"]) == 1
        assert isinstance(bad, InputError)
        assert "Row 1 is an empty text" in str(bad)

    asyncio.run(scenario())


def test_more_rows_than_half_of_the_queue_are_refused_for_good(text_folder):
    with pytest.raises(TooManyRowsError, match="has 5 rows; this server takes 4"):
        answered(text_folder, ROWS[:5], max_queue=8)


def test_no_rows_are_refused(text_folder):
    with pytest.raises(InputError, match="No rows were given"):
        answered(text_folder, [])


def test_unknown_names_and_versions_are_named_with_what_is_there(text_folder):
    repository = Repository()
    repository.open(text_folder, name="mood", version="3")
    assert repository.snapshot.find("mood", "3") is repository.snapshot.find("mood")
    with pytest.raises(UnknownModelError, match="No model 'sentiment' is served here; there is mood"):
        repository.snapshot.find("sentiment")
    with pytest.raises(UnknownModelError, match="served in version 3, not 4"):
        repository.snapshot.find("mood", "4")


def test_bundle_whose_golden_answers_differ_is_not_served(text_folder, tmp_path):
    folder = shutil.copytree(text_folder, tmp_path / "bundle")
    golden = json.loads((folder / "golden/outputs.json").read_text())
    golden["scores"][0] = [0.5, 0.5]
    (folder / "golden/outputs.json").write_text(json.dumps(golden))
    with pytest.raises(BundleError, match="altered since"):
        Repository().open(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    altered = hashlib.sha256((folder / "golden/outputs.json").read_bytes()).hexdigest()
    manifest["files"]["golden/outputs.json"] = altered
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="predicts its golden inputs otherwise"):
        Repository().open(folder)


def test_answer_that_is_no_number_is_refused_with_its_row(text_folder):
    async def scenario():
        repository = Repository()
        model = repository.open(text_folder)
        run = model.engine._runs.run

        def broken(features):
            outputs = run(features)
            outputs["probabilities"][1] = np.nan
            return outputs

        model.engine._runs.run = broken
        with pytest.raises(NotFiniteError, match="probabilities for row 1 is not a finite number"):
            await model.outputs(["好", "坏"])

    asyncio.run(scenario())


def test_metrics_name_the_model_and_count_its_runs(text_folder):
    async def scenario():
        metrics = Metrics()
        repository = Repository(observe_rows=metrics.observe_rows)
        metrics.watch(repository)
        deployment = repository.open(text_folder)
        await deployment.outputs(["好"])
        shown = metrics.render().decode()
        await repository.close()
        return shown

    shown = asyncio.run(scenario())
    digest = Bundle.open(text_folder).digest
    assert f'maas_model_info{{digest="{digest}",model="sentiment",precision="fp32",version="1"}} 1.0' in shown
    assert 'maas_batch_rows_count{model="sentiment",version="1"} 1.0' in shown
    assert 'maas_queue_rows{model="sentiment",version="1"} 0.0' in shown


def test_replaced_version_finishes_what_it_admitted_and_goes(text_folder, monkeypatch):
    monkeypatch.setattr(batch, "INLINE_BELOW_S", 0.0)

    async def scenario():
        repository = Repository()
        first = repository.open(text_folder)
        before = repository.snapshot
        first.engine.pause()
        waiting = asyncio.create_task(first.outputs(["好"]))
        await asyncio.sleep(0.02)
        second = await repository.swap(repository.slots[0], LocatedEntry.of_folder(text_folder, version="2"))
        assert repository.snapshot.find("sentiment") is second
        assert before.find("sentiment") is first
        assert before.digest != repository.snapshot.digest
        assert (first.state, second.state) == (DeploymentState.DRAINING, DeploymentState.READY)
        with pytest.raises(UnknownModelError, match="served in version 2, not 1"):
            repository.snapshot.find("sentiment", "1")
        first.engine.resume()
        assert len((await waiting)["probabilities"]) == 1
        await repository.close()
        assert first.state is DeploymentState.GONE

    asyncio.run(scenario())


def test_version_goes_on_when_the_next_one_is_refused(text_folder, tmp_path):
    async def scenario():
        repository = Repository()
        first = repository.open(text_folder)
        with pytest.raises(BundleError):
            await repository.swap(repository.slots[0], LocatedEntry.of_folder(tmp_path))
        assert repository.snapshot.find("sentiment") is first
        assert len((await first.outputs(["好"]))["probabilities"]) == 1
        await repository.close()

    asyncio.run(scenario())


def test_close_ends_when_a_call_never_does(array_folder, caplog):
    async def scenario() -> None:
        repository = Repository()
        deployment = repository.open(array_folder)
        deployment.engine.pause()  # what is submitted waits for ever
        waiting = asyncio.ensure_future(deployment.outputs([[1] * 64]))
        await asyncio.sleep(0)
        await repository.close(within_s=0.05)
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(scenario())
    assert caplog.messages == ["Work of models did not end within 0.1 s, and is given up."]

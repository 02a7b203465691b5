"""The data plane over real bundles, without HTTP."""

import asyncio
import hashlib
import json
import shutil

import numpy as np
import pytest

from maas.errors import BundleError, InputError
from maas.runtime.bundle import Bundle
from maas.serving import dataplane
from maas.serving.dataplane import DataPlane
from maas.serving.faults import AnswerError, TooManyRowsError, UnknownModelError
from maas.serving.telemetry import Telemetry

ROWS = ["短", "a somewhat longer text than the others, with several words in it", "好", "bad"] * 12


def answered(folder, rows, **settings):
    """Loads a bundle, asks once and closes."""

    async def scenario():
        plane = DataPlane(**settings)
        model = plane.load(folder)
        try:
            return await plane.infer(model, rows)
        finally:
            await plane.close()

    return asyncio.run(scenario())


@pytest.mark.parametrize("inline_below_s", [0.0, 10.0])
@pytest.mark.parametrize("count", [1, 3, 8, 9, 48])
def test_outputs_are_the_predictors_bit_for_bit(text_folder, monkeypatch, inline_below_s, count):
    monkeypatch.setattr(dataplane, "INLINE_BELOW_S", inline_below_s)
    found = answered(text_folder, ROWS[:count])
    expected = Bundle.open(text_folder).predictor.outputs(ROWS[:count])
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_concurrent_callers_get_their_own_rows_in_order(text_folder, monkeypatch):
    monkeypatch.setattr(dataplane, "INLINE_BELOW_S", 0.0)
    expected = Bundle.open(text_folder).predictor.outputs(ROWS)["probabilities"]

    async def scenario():
        plane = DataPlane()
        model = plane.load(text_folder)
        found = await asyncio.gather(*(plane.infer(model, ROWS[start : start + 3]) for start in range(0, 48, 3)))
        await plane.close()
        return np.concatenate([outputs["probabilities"] for outputs in found])

    np.testing.assert_allclose(asyncio.run(scenario()), expected, atol=1e-6)


def test_bad_input_is_raised_to_its_caller_alone(text_folder):
    async def scenario():
        plane = DataPlane()
        model = plane.load(text_folder)
        good, bad = await asyncio.gather(
            plane.infer(model, ["好"]), plane.infer(model, ["好", ""]), return_exceptions=True
        )
        assert len(good["probabilities"]) == 1
        assert isinstance(bad, InputError)
        assert "Row 1 is an empty text" in str(bad)

    asyncio.run(scenario())


def test_more_rows_than_the_queue_are_refused_for_good(text_folder):
    with pytest.raises(TooManyRowsError, match="has 5 rows; this server takes 4"):
        answered(text_folder, ROWS[:5], max_queue=4)


def test_no_rows_are_refused(text_folder):
    with pytest.raises(InputError, match="No rows were given"):
        answered(text_folder, [])


def test_unknown_names_and_versions_are_named_with_what_is_there(text_folder):
    plane = DataPlane()
    plane.load(text_folder, name="mood", version="3")
    assert plane.find("mood", "3") is plane.find("mood")
    with pytest.raises(UnknownModelError, match="No model 'sentiment' is served here; there is mood"):
        plane.find("sentiment")
    with pytest.raises(UnknownModelError, match="served in version 3, not 4"):
        plane.find("mood", "4")


def test_bundle_whose_golden_answers_differ_is_not_served(text_folder, tmp_path):
    folder = shutil.copytree(text_folder, tmp_path / "bundle")
    golden = json.loads((folder / "golden/outputs.json").read_text())
    golden["scores"][0] = [0.5, 0.5]
    (folder / "golden/outputs.json").write_text(json.dumps(golden))
    with pytest.raises(BundleError, match="altered since"):
        DataPlane().load(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    altered = hashlib.sha256((folder / "golden/outputs.json").read_bytes()).hexdigest()
    manifest["files"]["golden/outputs.json"] = altered
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="answers its golden inputs otherwise"):
        DataPlane().load(folder)


def test_answer_that_is_no_number_is_refused_with_its_row(text_folder):
    async def scenario():
        plane = DataPlane()
        model = plane.load(text_folder)
        run = model.batcher._run

        def broken(features):
            outputs = run(features)
            outputs["probabilities"][1] = np.nan
            return outputs

        model.batcher._run = broken
        with pytest.raises(AnswerError, match="probabilities for row 1 is not a finite number"):
            await plane.infer(model, ["好", "坏"])

    asyncio.run(scenario())


def test_metrics_name_the_model_and_count_its_runs(text_folder):
    telemetry = Telemetry()
    answered(text_folder, ["好"], telemetry=telemetry)
    shown = telemetry.render().decode()
    digest = Bundle.open(text_folder).digest
    assert f'maas_model_info{{digest="{digest}",model="sentiment",precision="fp32",version="1"}} 1.0' in shown
    assert 'maas_batch_rows_count{model="sentiment"} 1.0' in shown
    assert 'maas_queue_rows{model="sentiment"} 0.0' in shown

"""A table of seconds since 1970, from the file to clients: nothing on the way rounds them to float32."""

import asyncio
import json

import numpy as np
import pandas as pd
import pytest

import maas
from maas.runtime.pyfunc import _load_pyfunc
from maas.serving.protocols.open_inference.json_tensors import json_parts
from maas.serving.repository import Repository
from maas.training.checkpoint import Checkpoint

ROWS = 400
SECONDS = 1.7e9 + np.random.default_rng(0).uniform(-300, 300, ROWS).round(3)
NOISE = np.random.default_rng(1).normal(0, 3, ROWS)
ARRIVAL = SECONDS + 1800 + 0.2 * (SECONDS - 1.7e9) + NOISE
"""Deviates by about 208 around 1.7e9; the noise leaves R² = 0.9998."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, maas.Bundle]:
    folder = tmp_path_factory.mktemp("far")
    table = pd.DataFrame({"departure": SECONDS, "arrival": ARRIVAL})
    table.to_csv(folder / "flights.csv", index=False)
    config = maas.compose(
        "flights", "data=columns", f"data.source.path={folder / 'flights.csv'}", "data.source.target=arrival",
        "data.source.columns=[departure]", "data.target=number", "processor.numbers=[departure]",
        "processor.categories=[]", "model.hidden=[]", "batch_size=32", "trainer.max_epochs=15", "optimizer.lr=0.1",
        "baseline=null", "compress=none", "registry=null", f"runs_dir={folder / 'runs'}", "export.robustness_rows=0",
    )  # fmt: skip
    checkpoint = maas.lifecycle.train(config)
    return checkpoint, maas.lifecycle.export(config, checkpoint)


def by_hand(checkpoint: Checkpoint, seconds: np.ndarray) -> np.ndarray:
    """The formula in float64, from the checkpoint's weights and records."""
    weights = {name: one.double().numpy() for name, one in checkpoint.model().state_dict().items()}
    learnt = json.loads((checkpoint.folder / "processor/columns.json").read_text())
    standardised = (seconds - learnt["means"][0]) / learnt["deviations"][0]
    z = weights["head.weight"][0, 0] * standardised + weights["head.bias"][0]
    return checkpoint.record.postprocessor["mean"] + checkpoint.record.postprocessor["deviation"] * z


def test_mean_and_deviation_are_numpys_when_they_were_learnt(made):
    postprocessor = made[0].record.postprocessor
    assert postprocessor["mean"] == pytest.approx(ARRIVAL.mean(), abs=30)
    assert postprocessor["deviation"] == pytest.approx(ARRIVAL.std(), rel=0.1)
    assert made[1].manifest.postprocessor == postprocessor


def test_evidence_is_of_the_targets_digits_when_they_lie_far_away(made):
    shipped = made[1].evidence.metrics["shipped"]
    assert shipped["r2"].value > 0.999
    assert shipped["mae"].value < 5
    parity = made[1].evidence.parity
    assert all(one.tolerance < 0.01 and one.max_difference < 0.001 for one in parity)  # seconds


def test_client_gets_what_the_formula_gives_when_it_asks_in_any_way(made):
    checkpoint, bundle = made
    expected = by_hand(checkpoint, SECONDS[:20])
    rows = [{"departure": float(one)} for one in SECONDS[:20]]
    by_json = [json.loads(json.dumps(one))["value"] for one in bundle.predict(rows)]
    np.testing.assert_allclose(by_json, expected, rtol=0, atol=2e-4)
    by_frame = _load_pyfunc(str(bundle.folder)).predict(pd.DataFrame({"departure": SECONDS[:20]}))
    np.testing.assert_array_equal(by_frame["value"], by_json)
    tensors = bundle.predictor.postprocessor.tensors(bundle.predictor.outputs(rows))
    (spec,) = bundle.manifest.signature.outputs
    assert spec.datatype == "FP64"
    assert json.loads(b"".join(json_parts(tensors[spec.name]))) == by_json


def test_bundle_is_served_when_its_golden_answers_are_large(made):
    repository = Repository()
    try:
        model = repository.open(made[1].folder)
        rows = [{"departure": 1.7e9}, {"departure": 1.7e9 + 100}]
        found = model.postprocessor.predictions(asyncio.run(model.outputs(rows)))
    finally:
        asyncio.run(repository.close())
    assert found[1]["value"] - found[0]["value"] == pytest.approx(120, abs=3)

"""A model of a text and a row of columns: trained, made small, proven, and served under both protocols."""

from pathlib import Path
from typing import Any

import httpx
import pytest

import maas
from maas.lifecycle import Line
from maas.lifecycle.recipe import load_rows
from tests.lifecycle.servers import served

SHRUNK = (
    "trainer.max_epochs=3",
    "baseline=null",
    "registry=null",
    "resume=never",
    "export.robustness_rows=6",
    "compress.budget.speedup=0.05",  # what is chosen must not hang on how busy the machine is
)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> maas.RunConfig:
    return maas.compose("airports", *SHRUNK, f"runs_dir={tmp_path_factory.mktemp('airports')}")


@pytest.fixture(scope="module")
def line(config: maas.RunConfig, few_turns: None) -> Line:
    return maas.lifecycle.run(config)


def test_int8_candidates_are_measured_and_one_is_shipped_when_the_graph_has_several_inputs(line: Line) -> None:
    record = line.compressed.record
    fp32, dynamic, static = (record.candidate(name) for name in ("fp32", "quantize_dynamic", "quantize_static"))
    assert record.chosen == "quantize_static"
    assert static.bytes * 2.5 < fp32.bytes
    assert static.batch_effect == 0 < dynamic.batch_effect
    assert min(static.agreement, dynamic.agreement) >= 0.99
    assert len(static.latencies) == len(fp32.latencies) > 1
    assert line.bundle.manifest.precision == "quantize_static"
    assert [one.name for one in line.bundle.predictor.session.get_inputs()] == ["input_ids", "numbers", "categories"]


def test_proof_compares_the_trained_net_with_the_graph_when_it_has_several_inputs(line: Line) -> None:
    exported = {parity.right: parity for parity in line.bundle.evidence.parity if parity.left == "torch"}
    assert exported["onnxruntime"].agreement.value == exported["onnx reference"].agreement.value == 1
    assert exported["onnxruntime"].max_difference <= 1e-5


def test_served_predictions_are_the_bundles_when_a_row_comes_by_rest_and_by_v2(
    line: Line, config: maas.RunConfig, tmp_path: Path
) -> None:
    rows = load_rows(config).test.inputs[:4]
    with served(str(line.bundle.folder.resolve()), tmp_path) as (url, _), httpx.Client(base_url=url) as client:
        for row in [*rows, {"name": rows[0]["name"]}]:
            (expected,) = line.bundle.predict([row])
            assert client.post("/v1/combined-classification", json={"row": row}).json() == expected
        declared = client.get("/v2/models/airports").json()["inputs"]
        for row in rows:
            (expected,) = line.bundle.predict([row])
            tensors = by_v2(client, declared, row)
            assert {name: tensors[name] for name in expected} == {name: [value] for name, value in expected.items()}


def by_v2(client: httpx.Client, declared: list[dict[str, Any]], row: dict[str, Any]) -> dict[str, list[Any]]:
    """Returns what is predicted for one row that comes as a tensor a column."""
    inputs = [{**one, "shape": [1], "data": [row[one["name"]]]} for one in declared]
    reply = client.post("/v2/models/airports/infer", json={"inputs": inputs})
    assert reply.status_code == 200, reply.text
    return {one["name"]: one["data"] for one in reply.json()["outputs"]}

"""The served answer is the bundle's answer, and the bundle's is the trained net's."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

import maas
from maas.config import RunConfig
from maas.lifecycle import Line
from maas.lifecycle.recipe import load_rows
from maas.training.evaluation import scores_of
from tests.lifecycle.servers import served


def agree(bundle: maas.Bundle, url: str, rows: list) -> None:
    """Asks for rows one by one, sixteen at a time, and then for all of them at once."""
    route, key = f"{url}/v1/{bundle.manifest.task}", bundle.predictor.processor.input_name
    expected = bundle.predict(rows)
    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(16) as pool:
        single = list(pool.map(lambda row: client.post(route, json={key: row}).json(), rows))
        together = client.post(route, json={key: rows}).json()
    assert [answer["label"] for answer in single] == [answer["label"] for answer in expected]
    difference = np.abs(np.array([a["score"] for a in single]) - np.array([a["score"] for a in expected]))
    assert difference.max() <= 1e-6
    assert together == expected  # the same batches: bit for bit


def test_served_answers_equal_the_bundles(line: Line, config: RunConfig, tmp_path: Path) -> None:
    with served(str(line.bundle.folder.resolve()), tmp_path) as (url, _):
        agree(line.bundle, url, list(load_rows(config).test.inputs))


@pytest.mark.slow
def test_server_opens_an_address_without_holding_mlflow(
    line: Line, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", config.registry["tracking_uri"])
    with served("models:/digits_mlp@champion", tmp_path) as (url, pid):
        assert httpx.get(f"{url}/v2/models/digits_mlp").json()["versions"] == [line.version.version]
        maps = Path(f"/proc/{pid}/maps").read_text()
    assert "torch" not in maps
    assert "sqlalchemy" not in maps


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sentiment_beats_its_baseline_shrinks_and_is_served_as_trained(seed: int, tmp_path: Path) -> None:
    places = (
        f"runs_dir={tmp_path / 'runs'}",
        f"registry.tracking_uri=sqlite:///{tmp_path / 'mlflow.db'}",
        f"registry.artifacts={tmp_path / 'mlartifacts'}",
    )
    config = maas.compose("sentiment_zh", f"seed={seed}", *places)
    line = maas.lifecycle.run(config)
    evidence, record = line.bundle.evidence, line.compressed.record
    test = load_rows(config).test
    print(f"seed {seed}:", {who: str(values["accuracy"]) for who, values in evidence.metrics.items()}, evidence.parity)

    assert evidence.metrics["shipped"]["accuracy"].value >= evidence.metrics["baseline"]["accuracy"].value
    chosen = record.candidate(record.chosen)
    assert record.candidate("fp32").bytes >= 3 * chosen.bytes
    assert chosen.time_ratio <= 1

    checkpoint = line.checkpoint
    trained = scores_of(checkpoint.run(), checkpoint.postprocessor(), checkpoint.processor(), test.inputs)
    exported = next(one for one in evidence.parity if one.right == "onnxruntime")
    assert (exported.rows, exported.agreement.value) == (len(test), 1.0)
    shipped = line.bundle.predictor.outputs(test.inputs)["probabilities"]
    assert (trained.argmax(axis=1) == shipped.argmax(axis=1)).mean() >= 0.99

    with served(str(line.bundle.folder.resolve()), tmp_path) as (url, pid):
        agree(line.bundle, url, test.inputs[:1000])
        memory = psutil.Process(pid).memory_info().rss
        maps = Path(f"/proc/{pid}/maps").read_text()
    print(f"resident after 2,000 answers: {memory / 2**20:.0f} MiB")
    assert memory < 150 * 2**20
    assert "torch" not in maps

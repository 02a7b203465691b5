"""The whole line, stage by stage, on scikit-learn's digits."""

import json
import logging
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pytest
from sklearn.datasets import load_digits

import maas
from maas.errors import BundleError, ConfigError, DataError, ParityError, RegistryError
from maas.files import sha256_of
from maas.lifecycle import Line, stages
from maas.lifecycle.recipe import load_rows
from maas.registry.connection import connected
from maas.registry.mlflow_registry import MlflowRegistry
from maas.run_folders.folder import of_artifact
from maas.summary import stage_table
from maas.training.evaluation import scores_of


def test_line_leaves_every_artifact_and_points_latest_at_it(line: Line, config: maas.RunConfig) -> None:
    latest = Path(config.runs_dir) / "digits_mlp" / "latest"
    assert latest.resolve() == line.folder.path.resolve()
    assert (line.checkpoint.folder / "weights.safetensors").is_file()
    assert line.version is not None
    assert line.version.uri == "models:/digits_mlp@champion"
    assert not list(line.folder.path.glob("*.partial"))


def test_bundle_answers_as_the_trained_net_on_every_test_row(line: Line, config: maas.RunConfig) -> None:
    test = load_rows(config).test
    checkpoint = line.checkpoint
    trained = scores_of(checkpoint.run(), checkpoint.postprocessor(), checkpoint.processor(), test.inputs)
    answers = line.bundle.predict(test.inputs)
    labels = [line.checkpoint.record.labels[index] for index in trained.argmax(axis=1)]
    assert [answer["label"] for answer in answers] == labels
    np.testing.assert_allclose([answer["score"] for answer in answers], trained.max(axis=1), atol=1e-5)


def test_bundle_takes_raw_integers_because_scaling_is_in_the_graph(line: Line) -> None:
    digits = load_digits()
    answers = line.bundle.predict(digits.data[:50].astype(int))
    right = [answer["label"] == str(target) for answer, target in zip(answers, digits.target[:50], strict=True)]
    assert np.mean(right) > 0.8


def test_evidence_holds_what_was_measured(line: Line) -> None:
    evidence = line.bundle.evidence
    assert set(evidence.metrics) == {"trained", "shipped"}
    for interval in evidence.metrics["shipped"].values():
        assert interval.low <= interval.value <= interval.high
    pairs = {(parity.left, parity.right) for parity in evidence.parity}
    assert pairs >= {("torch", "onnxruntime"), ("torch", "onnx reference")}
    assert all(parity.max_difference <= 1e-5 for parity in evidence.parity if parity.tolerance)
    assert evidence.compression is not None
    tried = [candidate.name for candidate in evidence.compression.candidates]
    assert tried == ["fp32", "quantize_dynamic", "quantize_static"]
    assert set(evidence.seconds) >= {"train", "compress", "verify"}


def test_summary_has_a_row_for_each_stage(line: Line, config: maas.RunConfig) -> None:
    assert list(stage_table(line, config).columns[0].cells) == ["train", "compress", "export", "verify", "register"]


def test_verify_measures_an_existing_bundle_again_when_its_evidence_is_broken(
    line: Line, config: maas.RunConfig
) -> None:
    before = line.bundle.evidence
    (line.bundle.folder / "evidence.json").write_bytes(b"{")
    with pytest.raises(BundleError, match=r"evidence\.json cannot be read: .* or run python -m maas\.verify\.$"):
        maas.lifecycle.newest_bundle(config)
    bundle = maas.lifecycle.newest_bundle(config, check_evidence=False)
    after = maas.lifecycle.verify(config, line.checkpoint, bundle)
    assert after.metrics == before.metrics
    assert maas.Bundle.open(line.bundle.folder).evidence.measured_at == after.measured_at
    assert line.folder.state.seconds["verify"] > 0


def test_verify_refuses_a_bundle_when_its_labels_were_exchanged(
    line: Line, config: maas.RunConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(line.bundle.folder, folder)
    content = json.loads((folder / "manifest.json").read_text())
    content["postprocessor"]["labels"].reverse()
    (folder / "manifest.json").write_text(json.dumps(content))
    bundle = maas.Bundle.open(folder, check_evidence=False)
    with pytest.raises(BundleError, match=r"names another postprocessor or processor than .*: its manifest was"):
        maas.lifecycle.verify(config, line.checkpoint, bundle)


def test_seconds_of_export_hold_none_of_verify_when_a_bundle_is_drawn_up_and_proven(
    line: Line, config: maas.RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, evidence = [0.0], line.bundle.evidence

    def taking(seconds: float, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **more: Any) -> Any:
            clock[0] += seconds
            return work(*arguments, **more)

        return timed

    monkeypatch.setattr(stages, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(stages, "build_bundle", taking(10.0, stages.build_bundle))
    monkeypatch.setattr(stages, "_proven", taking(100.0, lambda *_: evidence))
    bundle = maas.lifecycle.export(config, line.checkpoint, line.compressed)
    assert bundle.digest == line.bundle.digest
    for seconds in (line.folder.state.seconds, bundle.evidence.seconds):
        assert (seconds["export"], seconds["verify"]) == (10, 100)


def test_export_gives_the_same_bytes_in_another_process(line: Line, config: maas.RunConfig, tmp_path: Path) -> None:
    examples = tmp_path / "examples.npz"
    processor = line.checkpoint.processor()
    np.savez(examples, **processor.batch(processor.preprocess(load_rows(config).train.inputs[:4])))
    refusal = str(tmp_path / "refusal")
    paths = [str(path) for path in (line.checkpoint.folder, examples, tmp_path / "again.onnx")]
    subprocess.run([sys.executable, "-m", "maas.exporting.conversion", *paths, "20", refusal], check=True)
    assert line.compressed.record.candidate("fp32").sha256 == sha256_of(tmp_path / "again.onnx")


def test_export_writes_nothing_when_parity_fails(line: Line, config: maas.RunConfig) -> None:
    strict = maas.compose("digits_mlp", "trainer.max_epochs=4", "export.tolerance=1e-12", f"runs_dir={config.runs_dir}")
    before = sha256_of(line.bundle.folder / "manifest.json")
    with pytest.raises(ParityError, match="torch.*allowed is 1e-12") as failure:
        maas.lifecycle.export(strict, line.checkpoint, line.compressed)
    assert failure.value.found > failure.value.allowed
    assert sha256_of(line.bundle.folder / "manifest.json") == before
    assert not list(line.folder.path.glob("*.partial"))


def test_pyfunc_gives_the_same_labels_from_the_registry(line: Line, config: maas.RunConfig) -> None:
    mlflow.set_tracking_uri(config.registry["tracking_uri"])
    rows = np.array(load_rows(config).test.inputs[:40], dtype=np.float32)
    frame = mlflow.pyfunc.load_model("models:/digits_mlp@champion").predict(rows)
    assert list(frame["label"]) == [answer["label"] for answer in line.bundle.predict(rows)]


def test_load_opens_folders_and_addresses(line: Line, config: maas.RunConfig) -> None:
    uri = config.registry["tracking_uri"]
    assert maas.load(line.bundle.folder).digest == line.bundle.digest
    assert maas.load("models:/digits_mlp@champion", uri).digest == line.bundle.digest
    assert maas.load("models:/digits_mlp/1", uri).digest == line.bundle.digest
    with pytest.raises(RegistryError, match="nobody"):
        maas.load("models:/nobody@champion", uri)
    with pytest.raises(BundleError, match="manifest.json"):
        maas.load("models")


def test_register_finds_its_version_when_called_again(line: Line, config: maas.RunConfig) -> None:
    assert maas.lifecycle.register(config, line.bundle).version == line.version.version


def registering(config: maas.RunConfig, folder: Path, *overrides: str) -> maas.RunConfig:
    """Returns the digits recipe in another folder, registered where `config` is."""
    places = [f"registry.{key}={config.registry[key]}" for key in ("tracking_uri", "artifacts")]
    return maas.compose(
        "digits_mlp", "trainer.max_epochs=2", "compress=none", f"runs_dir={folder}", *places, *overrides
    )


def test_training_ends_well_and_loses_no_epoch_when_mlflow_takes_no_values(
    line: Line, config: maas.RunConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = config.registry["tracking_uri"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(database)) as mlflows:
        mlflows.execute("CREATE TRIGGER away BEFORE INSERT ON metrics BEGIN SELECT RAISE(ABORT, 'away'); END")
        checkpoint = maas.lifecycle.train(registering(config, tmp_path))
        mlflows.execute("DROP TRIGGER away")
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [message for message in warned if message.startswith("MLflow")] == warned[-1:]
    folder = of_artifact(checkpoint.folder)
    tracker = MlflowRegistry(config.registry["tracking_uri"]).resume_run(
        folder.state.tracking_id, folder.path / "unsent"
    )
    tracker.settle()
    logged = tracker.client.get_metric_history(tracker.run_id, "validation_accuracy")
    assert [one.value for one in logged] == [epoch["validation_accuracy"] for epoch in checkpoint.record.history]
    assert [file.path for file in tracker.client.list_artifacts(tracker.run_id, "plots")] == [
        "plots/learning_curve.png"
    ]


def test_line_is_refused_before_training_when_its_experiment_is_in_the_trash(
    config: maas.RunConfig, tmp_path: Path
) -> None:
    client = connected(config.registry["tracking_uri"])
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.raises(RegistryError, match="The experiment gone is in the trash of "):
        maas.lifecycle.run(registering(config, tmp_path, "registry.experiment=gone"))
    assert not list(tmp_path.glob("*/*/train"))


def test_later_stages_refuse_rows_that_the_net_was_not_trained_on(line: Line, config: maas.RunConfig) -> None:
    other = maas.compose("digits_mlp", "data.test_fraction=0.7", f"runs_dir={config.runs_dir}")
    with pytest.raises(DataError, match="not those that .* was trained on"):
        maas.lifecycle.export(other, line.checkpoint, line.compressed)


def test_later_stages_say_what_to_run_first(tmp_path: Path) -> None:
    config = maas.compose("digits_mlp", f"runs_dir={tmp_path}")
    with pytest.raises(ConfigError, match=r"python -m maas\.train recipe=digits_mlp"):
        maas.lifecycle.newest_checkpoint(config)


def test_baseline_is_evaluated_on_the_test_rows() -> None:
    config = maas.compose("sentiment_zh")
    assert callable(config.baseline.build())


def test_run_is_found_and_nothing_is_made_when_it_is_finished(line: Line, config: maas.RunConfig) -> None:
    made = [path for path in line.folder.path.rglob("*") if path.name not in ("run.json", "lock")]
    files = {path: path.stat().st_mtime_ns for path in made}
    again = maas.lifecycle.run(config)
    assert (again.was_finished, line.was_finished) == (True, False)
    assert again.folder == line.folder
    assert again.version is not None
    assert line.version is not None
    assert (again.version.version, again.version.aliases) == (line.version.version, line.version.aliases)
    assert maas.lifecycle.train(config).folder == line.checkpoint.folder
    runs = [path for path in Path(config.runs_dir).glob("digits_mlp/[0-9]*") if path.is_dir()]
    assert line.folder.path in runs
    assert files.items() <= {path: path.stat().st_mtime_ns for path in line.folder.path.rglob("*")}.items()

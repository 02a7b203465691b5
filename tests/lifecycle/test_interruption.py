"""Killing the line at any moment leaves no half artifact, and the next run ends well."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import maas
import maas.train
from maas.registry.connection import connected
from maas.runtime.bundle import Bundle
from maas.training.checkpoint import Checkpoint

COMMAND = [sys.executable, "-m", "maas.run", "recipe=digits_mlp", "trainer.max_epochs=6"]
EPOCH = 37
"""Steps of an epoch of digits_mlp."""


def killed_after(seconds: float, folder: Path) -> int | None:
    """Starts the line and kills its process group; returns the status if it ended before."""
    with subprocess.Popen(
        COMMAND, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None


def whole_bundles_and_versions(folder: Path) -> int:
    """Opens everything that looks finished and returns how many versions there are; a half one fails the test."""
    for bundle in folder.glob("runs/digits_mlp/[0-9]*/bundle"):
        Bundle.open(bundle).check_golden()
        assert Bundle.open(bundle).evidence.metrics
    if not (folder / "mlflow.db").exists():
        return 0
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    versions = connected(uri).search_model_versions("name = 'digits_mlp'")
    for version in versions:
        opened = maas.load(f"models:/digits_mlp/{version.version}", uri)
        opened.check_golden()
        assert opened.evidence.metrics
    return len(versions)


def kill_and_finish(folder: Path, moments: list[float]) -> None:
    for moment in moments:
        killed_after(moment, folder)
        whole_bundles_and_versions(folder)
    done = subprocess.run(COMMAND, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert whole_bundles_and_versions(folder) >= 1
    assert not list(folder.glob("runs/digits_mlp/*/*.partial"))


@pytest.mark.slow
def test_line_ends_well_after_being_killed_twice(tmp_path: Path) -> None:
    kill_and_finish(tmp_path, [9.0, 14.0])


@pytest.mark.slow
def test_line_ends_well_after_being_killed_at_ten_random_moments(tmp_path: Path) -> None:
    started = time.monotonic()
    assert subprocess.run(COMMAND, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    whole = time.monotonic() - started
    generator = random.Random(0)
    for index in range(10):
        folder = tmp_path / str(index)
        folder.mkdir()
        kill_and_finish(folder, [generator.uniform(2.0, whole)])


def points(folder: Path) -> list[str]:
    return [path.stem for path in folder.glob("runs/digits_mlp/*/resume/step=*.ckpt")]


@pytest.mark.parametrize(
    "ending",
    [pytest.param(signal.SIGKILL, marks=pytest.mark.slow), signal.SIGTERM],  # by default test_exact_resume.py kills
)
def test_training_goes_on_with_the_epoch_after_the_last_whole_one(
    ending: signal.Signals, tmp_path: Path, entered: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = ["recipe=digits_mlp", "registry=null", "trainer.max_epochs=60"]
    overrides.append("callbacks.training_checkpoints.every_seconds=0.2")
    command = [sys.executable, "-m", "maas.train", *overrides]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        while not any(name >= f"step={EPOCH:09}" for name in points(tmp_path)):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(ending)
        assert process.wait() == (-signal.SIGKILL if ending == signal.SIGKILL else 128 + signal.SIGTERM)
    status, told, _ = entered(maas.train.main, *overrides)
    assert status == 0
    assert "epoch 60/60" in told
    assert "epoch 1/60" not in told
    assert len(list(tmp_path.glob("runs/digits_mlp/[0-9]*"))) == 1
    checkpoint = Checkpoint.open(next(tmp_path.glob("runs/digits_mlp/[0-9]*/train")))
    assert len(checkpoint.record.history) == 60

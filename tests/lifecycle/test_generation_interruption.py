"""Killing the line of a model that generates texts and is made smaller: the next run ends with the same bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from maas.runtime.bundle import Bundle
from tests.unit import tiny_llama

OVERRIDES = [
    "recipe=smollm2", "data=extraction", "data.max_rows=null", "data.source.rows=24", "data.source.test_rows=4",
    "model=decoder_lora", "model.context=null", "objective=next_token", "optimizer=adamw", "schedule=cosine",
    "trainer=cpu", "trainer.max_epochs=4", "processor.max_tokens=128", "batch_size=2", "registry=null",
    "callbacks.training_checkpoints.every_seconds=0.5", "compress=generation", "~compress.passes.mixed_bits",
    "compress.budget.speedup=null", "compress.budget.max_perplexity_ratio=1.5", "compress.budget.min_agreement=0.5",
]  # fmt: skip
MOMENTS = ["candidates.plain/*/fp32.onnx", "candidates.plain/*/eight_bits.onnx", "compress", "bundle.*.partial"]
"""What appears in a run's folder as its search begins, goes on and ends, and as it is exported."""

pytestmark = pytest.mark.slow


def kill_at(moment: str, command: list[str], folder: Path) -> int:
    """Starts the line, kills its process group as something appears in the run's folder, and returns the status."""
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        while process.poll() is None and not list(folder.glob(f"runs/smollm2/[0-9]*/{moment}")):
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def shipped(folder: Path) -> list[Bundle]:
    """Opens all bundles below a folder; a half one fails the test."""
    return [Bundle.open(path) for path in folder.glob("runs/smollm2/[0-9]*/bundle")]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    llama = tiny_llama.save(tmp_path_factory.mktemp("llama"))
    return [sys.executable, "-m", "maas.run", *OVERRIDES, f"model.pretrained={llama}"]


@pytest.fixture(scope="module")
def whole(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """What the line ships that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (bundle,) = shipped(folder)
    return bundle


@pytest.mark.parametrize("moment", MOMENTS)
def test_bytes_are_the_same_when_a_line_that_compresses_is_killed(
    moment: str, command: list[str], whole: Bundle, tmp_path: Path
) -> None:
    assert kill_at(moment, command, tmp_path) == -signal.SIGKILL
    assert not shipped(tmp_path)
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (bundle,) = shipped(tmp_path)
    assert bundle.manifest.files == whole.manifest.files
    assert bundle.manifest.precision == "eight_bits"
    assert len(list(tmp_path.glob("runs/smollm2/[0-9]*"))) == 1
    assert not list(tmp_path.glob("runs/smollm2/*/*.partial"))

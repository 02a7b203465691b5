"""Two processes give what one gives: they share the rows, one of them writes, and none outlives the other."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from safetensors.numpy import load_file

import maas
from maas.config.recipe_files import RECIPES
from maas.files import sha256_of
from maas.training.checkpoint import Checkpoint

TRAIN = ["-m", "maas.train", "registry=null", "schedule=constant"]
NAMED, FILE = "recipe=digits_mlp", "recipe=mine.yaml"
TWO = ["trainer=ddp_cpu", "batch_size=16"]
SECONDS_TO_NOTICE = 60


@contextmanager
def started(
    folder: Path, *overrides: str, launcher: tuple[str, ...] = (), **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """Starts a training in a folder; whatever is left of it is killed in the end."""
    folder.mkdir(exist_ok=True)
    shutil.copyfile(RECIPES / "digits_mlp.yaml", folder / "mine.yaml")
    recipe = [] if FILE in overrides else [NAMED]
    with subprocess.Popen(
        [sys.executable, *launcher, *TRAIN, *recipe, *overrides], cwd=folder, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            for one in [*psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []:
                one.kill()
            process.kill()


def checkpoint_in(folder: Path) -> Checkpoint:
    (found,) = folder.glob("runs/digits_mlp/[0-9]*/train")
    return Checkpoint.open(found)


def trained(folder: Path, *overrides: str) -> Checkpoint:
    with started(folder, *overrides) as process:
        output, _ = process.communicate()
        assert process.returncode == 0, output
    return checkpoint_in(folder)


def trained_alone(folder: Path, *overrides: str) -> Checkpoint:
    """Trains in this process, which has imported everything."""
    settings = ("registry=null", "schedule=constant", "batch_size=32", f"runs_dir={folder / 'runs'}")
    return maas.lifecycle.train(maas.compose("digits_mlp", *settings, *overrides))


def largest_difference(one: Checkpoint, other: Checkpoint) -> float:
    left, right = (load_file(checkpoint.folder / "weights.safetensors") for checkpoint in (one, other))
    return max(float(abs(left[name] - right[name]).max()) for name in left)


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer=sgd"],
        pytest.param(["optimizer=adam", "+trainer.precision=64-true"], marks=pytest.mark.slow),
        pytest.param(["optimizer=sgd", "+trainer.accumulate_grad_batches=3"], marks=pytest.mark.slow),
    ],
    ids=["sgd in float32", "adam in float64", "accumulated"],
)
def test_weights_and_metrics_are_those_of_one_process_when_two_share_the_rows(overrides, tmp_path):
    epochs = "trainer.max_epochs=2"  # 74 steps; the last batch of an epoch is smaller
    one = trained_alone(tmp_path / "one", epochs, *overrides)
    two = trained(tmp_path / "two", FILE, *TWO, epochs, *overrides)  # which both processes must find
    assert largest_difference(one, two) <= 1e-6
    for left, right in zip(one.record.history, two.record.history, strict=True):
        assert left == pytest.approx(right, abs=1e-6)
        assert left["validation_accuracy"] == right["validation_accuracy"]
    for checkpoint in (one, two):  # as measured once more behind training, in one process
        kept = checkpoint.record.history[checkpoint.record.best_epoch]
        for name in ("accuracy", "precision", "recall", "f1"):
            assert kept[f"validation_{name}"] == pytest.approx(checkpoint.record.metrics[name].value, abs=1e-9)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.slow
def test_one_artifact_is_written_when_two_tasks_of_slurm_train(tmp_path):
    overrides = ["trainer=slurm", "trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.devices=2"]
    overrides += ["batch_size=16", "trainer.max_epochs=2"]
    job = {  # what srun tells its tasks
        "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "maas", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_NODELIST": "localhost", "MASTER_PORT": str(free_port()),
    }  # fmt: skip
    with ExitStack() as stack:
        tasks = [
            stack.enter_context(
                started(tmp_path / "both", *overrides, **job, SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank))
            )
            for rank in range(2)
        ]
        outputs = [process.communicate()[0] for process in tasks]
        assert [process.returncode for process in tasks] == [0, 0], outputs
    alone = trained_alone(tmp_path / "alone", "trainer.max_epochs=2")
    assert largest_difference(checkpoint_in(tmp_path / "both"), alone) <= 1e-6


@pytest.mark.slow
def test_one_artifact_is_written_when_two_agents_of_torchrun_train(tmp_path):
    port = free_port()
    agent = (
        "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=maas",
        f"--rdzv-endpoint=127.0.0.1:{port}",
    )  # fmt: skip
    overrides = [*TWO, "trainer.devices=1", "trainer.num_nodes=2", "trainer.max_epochs=2"]
    with ExitStack() as stack:
        agents = [stack.enter_context(started(tmp_path / "both", *overrides, launcher=agent)) for _ in range(2)]
        outputs = [process.communicate()[0] for process in agents]
        assert [process.returncode for process in agents] == [0, 0], outputs
    alone = trained_alone(tmp_path / "alone", "trainer.max_epochs=2")
    assert largest_difference(checkpoint_in(tmp_path / "both"), alone) <= 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["first", "other"])
def test_training_ends_with_one_line_when_a_process_is_killed(victim, tmp_path):
    with started(tmp_path, *TWO, "trainer.max_epochs=1000") as process:
        for line in process.stdout:
            if line.startswith("epoch 2/"):
                break
        (other,) = [
            child for child in psutil.Process(process.pid).children() if "maas.train" in " ".join(child.cmdline())
        ]
        killed, left = (process, other) if victim == "first" else (other, process)
        started_at = time.monotonic()
        os.kill(killed.pid, signal.SIGKILL)
        if victim == "other":
            output, _ = process.communicate(timeout=SECONDS_TO_NOTICE)
            assert process.returncode == 2
            assert (
                "Another process of this training ended, so this one cannot continue; process 1 ended by signal 9"
                in output
            )
            assert "Traceback" not in output
        else:
            left.wait(timeout=SECONDS_TO_NOTICE)
        assert time.monotonic() - started_at < SECONDS_TO_NOTICE
    assert not left.is_running() if victim == "first" else left.returncode is not None


SCRIPT = """
import os
import sys
import maas

if os.environ.get("LOCAL_RANK"):
    sys.exit("This process lacks a library.")
maas.lifecycle.train(maas.compose("digits_mlp", "trainer=ddp_cpu", "~registry"))
"""


@pytest.mark.slow
def test_first_process_ends_with_the_reason_when_the_other_one_cannot_start(tmp_path):
    (tmp_path / "mine.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 1
    assert "ProcessError: Training with 2 processes could not begin: process 1 ended with status 1 and said: This " in (
        done.stderr
    )


@pytest.mark.slow
def test_weights_are_the_same_bytes_when_two_processes_are_killed_at_ten_moments(tmp_path):
    settings = [*TWO, "model.dropout=0.2", "trainer.max_epochs=12", "callbacks.training_checkpoints.every_seconds=0.1"]
    expected = sha256_of(trained(tmp_path / "whole", *settings).folder / "weights.safetensors")
    chance = random.Random(5)
    for index in range(10):
        folder = tmp_path / f"killed{index}"
        with started(folder, *settings) as process:
            for line in process.stdout:
                if line.startswith(f"epoch {index + 1}/"):
                    break
            time.sleep(chance.uniform(0, 0.2))
            os.killpg(process.pid, signal.SIGKILL)
        assert sha256_of(trained(folder, *settings).folder / "weights.safetensors") == expected

"""A training that is killed anywhere and run again ends with the weights of one that was left alone, byte for byte."""

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

import maas
from maas.config import RunConfig
from maas.files import sha256_of
from maas.training.checkpoint import Checkpoint
from tests.unit import tiny_llama

RECIPES = {
    "dropout": ["digits_mlp", "model.dropout=0.2", "trainer.max_epochs=12"],
    "augmentation": ["faces", "folds=0", "trainer.max_epochs=6", "model.dropout=0.2"],
    "averages": ["digits_mlp", "trainer.max_epochs=6", "callbacks=[training_checkpoints,ema]", "schedule=plateau"],
    "packed": [
        "bible_gpt", "+data.max_rows=24", "trainer.max_epochs=2", "batch_size=8", "processor.vocabulary_size=300",
        "processor.max_tokens=64", "model.width=32", "model.heads=2", "model.layers=1", "model.feed_forward=48",
        "model.dropout=0.2",
    ],
    "pairs": [
        "translate", "data.source.rows=300", "data.source.test_rows=20", "trainer.max_epochs=2", "batch_size=32",
        "model.width=32", "model.heads=2", "model.feed_forward=48", "model.dropout=0.2",
    ],
    "tuned": [
        "smollm2", "data=extraction", "data.max_rows=null", "model=decoder_lora", "objective=next_token",
        "optimizer=adamw", "schedule=cosine", "trainer=cpu", "batch_size=4", "model.pretrained=LLAMA",
        "model.context=null", "model.adapter.dropout=0.2", "processor.max_tokens=128", "data.source.rows=60",
        "data.source.test_rows=4", "trainer.max_epochs=4",
    ],
}  # fmt: skip
CASES = [(name, workers) for name in ("dropout", "augmentation", "packed", "pairs", "tuned") for workers in (0, 2)]
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["maas.lifecycle", "maas.models.mlp", "maas.models.small_conv"])


class Killed:
    """A recipe that is trained, and killed, in a folder of its own.

    Args:
        folder: runs are written below it.
        overrides: recipe and settings.
        workers: processes that make batches.
    """

    def __init__(self, folder: Path, overrides: list[str], workers: int) -> None:
        self.phase = folder / "phase"
        self.config: RunConfig = maas.compose(
            *overrides, "registry=null", f"workers={workers}", f"runs_dir={folder}", f"name={folder.name}",
            "callbacks.training_checkpoints.every_seconds=0",  # so that some are killed while a point is written
            f"+callbacks.phases={{_target_: tests.lifecycle.phases.Phases, path: {self.phase}}}",
        )  # fmt: skip

    def start(self) -> multiprocessing.Process:
        """Starts training."""
        self.phase.parent.mkdir(exist_ok=True)
        self.phase.write_bytes(b"")
        process = PROCESSES.Process(target=maas.lifecycle.train, args=(self.config,))
        process.start()
        return process

    def follow(self, process: multiprocessing.Process, phases: int) -> float:
        """Waits until training has come to its so manieth phase, or is over.

        Returns:
            How long the last whole phase of the same kind took, in seconds; 0.1 where there is none yet.
        """
        begun: list[float] = []
        while process.is_alive() and len(begun) < phases:
            time.sleep(0.002)
            begun += [time.monotonic()] * (len(self.phase.read_bytes()) - len(begun))
        return begun[-2] - begun[-3] if len(begun) > 2 else 0.1

    def finish(self) -> tuple[str, Checkpoint]:
        """Trains to the end and returns the digest of the weights, and the checkpoint."""
        process = self.start()
        process.join()
        assert process.exitcode == 0
        checkpoint = Checkpoint.open(next(self.phase.parent.glob("*/[0-9]*/train")))
        return sha256_of(checkpoint.folder / "weights.safetensors"), checkpoint

    def kill(self, phases: int, fraction: float) -> str:
        """Kills training within its so manieth phase and returns what it was doing.

        Args:
            phases: the phase, from 1.
            fraction: of the time that the phase will take, to wait within it.
        """
        process = self.start()
        process.join(fraction * self.follow(process, phases))
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        if list(self.phase.parent.glob("*/[0-9]*/train")):
            return "over"
        if list(self.phase.parent.glob("*/[0-9]*/resume/*.partial")):
            return "writing"
        return {b"t": "training", b"v": "validation", b"e": "ending"}[self.phase.read_bytes()[-1:]]


def killed_and_finished(folder: Path, name: str, workers: int, kills: int, seed: int) -> list[str]:
    """Kills one run after another, each once; every one of them must end as the one that is left alone."""
    recipe = [one.replace("LLAMA", str(folder / "llama")) for one in RECIPES[name]]
    tiny_llama.save(folder / "llama")
    whole = Killed(folder / "whole", recipe, workers)
    expected, record = whole.finish()
    count = len(whole.phase.read_bytes())
    chance, phases = random.Random(seed), []
    for index in range(kills):
        run = Killed(folder / f"killed{index}", recipe, workers)
        phases.append(run.kill(chance.randint(1, count - 1), chance.random()))
        found, checkpoint = run.finish()
        assert found == expected, (name, workers, index, phases[-1])
        assert checkpoint.record.history == record.record.history
        assert len(list((folder / f"killed{index}").glob("*/[0-9]*"))) == (2 if phases[-1] == "over" else 1)
    return phases


@pytest.mark.parametrize(("name", "workers"), [("dropout", 0), ("augmentation", 2), ("averages", 0)])
def test_weights_are_the_same_bytes_when_training_was_killed_once(name, workers, tmp_path):
    killed_and_finished(tmp_path, name, workers, kills=1, seed=workers)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "workers"), CASES)
def test_weights_are_the_same_bytes_when_training_was_killed_at_fifteen_moments(name, workers, tmp_path, capsys):
    phases = killed_and_finished(tmp_path, name, workers, kills=15, seed=17 + workers)
    assert phases.count("over") < 3  # they show nothing
    with capsys.disabled():
        print(f"\n{name}, {workers} workers: {Counter(phases)}")

"""A search that is killed anywhere and run again makes nothing twice, and ends with the bytes of one left alone."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import maas
from maas.config import RunConfig
from maas.files import sha256_of
from maas.lifecycle import Compressed
from maas.training.checkpoint import Checkpoint

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["maas.lifecycle", "maas.models.mlp"])
RECIPE = [
    "digits_mlp", "registry=null", "trainer.max_epochs=2", "model.hidden=[64]",
    "callbacks.training_checkpoints.every_seconds=0",  # so that a retraining can resume at each of its steps
    "compress=search", "compress.passes.distil.epochs=2",
    "compress.budget.max_drop=null", "+compress.budget.speedup=null", "export.min_agreement=0",
    "+compress.budget.min_agreement=null",
]  # fmt: skip
"""Nothing in it is refused by a clock: two processes that measure the same model may disagree."""
Moment = Callable[[Path], bool]


def has(pattern: str, count: int = 1) -> Moment:
    """Returns whether a run's folder holds so many files that match."""
    return lambda run: len(list(run.glob(pattern))) >= count


MOMENTS: dict[str, Moment] = {
    "the root is measured": has("candidates/*/fp32.onnx"),
    "between two passes": has("candidates/*/checkpoint"),
    "in a retraining": has("candidates/*/resume/step=*.ckpt"),
    "a variant is measured": has("candidates/*/fp32.onnx", 2),
    "what was found is written": has("compress.*.partial/compression.json"),
}


class SearchedRun:
    """A search over a trained checkpoint, in a copy of its run.

    Args:
        trained: the run's folder.
        folder: where to copy it.
        overrides: of the recipe.
    """

    def __init__(self, trained: Path, folder: Path, overrides: list[str]) -> None:
        self.run = Path(shutil.copytree(trained, folder / trained.name))
        self.config: RunConfig = maas.compose(*RECIPE, *overrides, f"runs_dir={folder}")

    def start(self) -> multiprocessing.Process:
        """Searches in a process group of its own."""
        process = PROCESSES.Process(target=searched, args=(self.config, self.run / "train"))
        process.start()
        return process

    def kill(self, moment: Moment) -> bool:
        """Searches until a moment comes and kills all that is at work; returns whether anything was."""
        process = self.start()
        while process.is_alive() and not moment(self.run):
            time.sleep(0.002)
        is_alive = process.is_alive()
        if is_alive:
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
        return is_alive

    def finish(self) -> Compressed:
        """Searches to the end."""
        process = self.start()
        process.join()
        assert process.exitcode == 0
        return Compressed.open(self.run / "compress")

    def finished(self) -> dict[Path, tuple[int, int]]:
        """Returns inode and time of every file that is there for good: of checkpoints, and of measured candidates."""
        places = [*self.run.glob("candidates/*/checkpoint")]
        places += [records.parent for records in self.run.glob("candidates/*/candidates.json")]
        files = [file for place in places for file in place.rglob("*") if file.suffix != ".partial" and file.is_file()]
        return {file.relative_to(self.run): (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}


def searched(config: RunConfig, checkpoint: Path) -> None:
    os.setsid()
    maas.lifecycle.compress(config, Checkpoint.open(checkpoint))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The folder of a run that was trained."""
    config = maas.compose(*RECIPE, f"runs_dir={tmp_path_factory.mktemp('trained')}")
    return maas.lifecycle.train(config).folder.parent


class Killing:
    """One search that is left alone, and one that is killed now and then.

    Args:
        trained: the folder of a run that was trained.
        folder: for copies of it.
        overrides: of the recipe.
    """

    def __init__(self, trained: Path, folder: Path, overrides: list[str]) -> None:
        self.whole, self.killed = (SearchedRun(trained, folder / name, overrides) for name in ("whole", "killed"))
        started = time.monotonic()
        self.expected = self.whole.finish()
        self.seconds = time.monotonic() - started
        self._made = self.killed.finished()

    def kill(self, moment: Moment) -> bool:
        """Kills a search at a moment, unless it is over before; what was finished earlier still lies as it lay."""
        is_killed = self.killed.kill(moment)
        self._require_as_before()
        return is_killed

    def finish(self) -> Compressed:
        """Takes the killed search to its end, where it must have what the other one has."""
        found = self.killed.finish()
        self._require_as_before()
        assert self._made.keys() == self.whole.finished().keys(), "something was made in another place"
        assert _bytes_of(found) == _bytes_of(self.expected)
        assert found.record.chosen == self.expected.record.chosen != "fp32"
        assert found.record.pruned_trials == self.expected.record.pruned_trials
        assert sha256_of(found.model) == sha256_of(self.expected.model)
        return found

    def _require_as_before(self) -> None:
        made = self.killed.finished()
        assert made.items() >= self._made.items(), "something was made twice"
        self._made = made


def _bytes_of(found: Compressed) -> list[tuple[str, str, list[str]]]:
    """Returns name, digest and the digests of the checkpoints of each candidate."""
    return [
        (one.name, one.sha256, [applied.sha256 for applied in one.applied_passes]) for one in found.record.candidates
    ]


@pytest.mark.slow
def test_search_makes_nothing_twice_when_it_was_killed_in_a_retraining(trained, tmp_path):
    overrides = ["compress.trials=0", "compress.scratch_baselines=0"]
    killing = Killing(
        trained, tmp_path, [*overrides, *(f"~compress.passes.quantize_{way}" for way in ("dynamic", "static"))]
    )
    assert killing.kill(MOMENTS["in a retraining"])
    killing.finish()


@pytest.mark.slow
def test_bundle_has_the_same_bytes_when_its_search_was_killed_at_ten_moments(trained, tmp_path):
    killing, chance = Killing(trained, tmp_path, ["compress.trials=3"]), random.Random(0)
    *first, last = MOMENTS.values()
    assert all(killing.kill(moment) for moment in first)
    for _ in range(5):
        killing.kill(after(chance.uniform(0.2, 0.6) * killing.seconds))
    assert killing.kill(last)
    bundles = [
        maas.lifecycle.export(one.config, Checkpoint.open(one.run / "train"), found)
        for one, found in ((killing.whole, killing.expected), (killing.killed, killing.finish()))
    ]
    assert sha256_of(bundles[0].model_path) == sha256_of(bundles[1].model_path)
    assert bundles[0].digest == bundles[1].digest


def after(seconds: float) -> Moment:
    """Comes so long after a search began."""
    begun: list[float] = []

    def is_over(_: Path) -> bool:
        begun.append(time.monotonic())
        return begun[-1] - begun[0] > seconds

    return is_over

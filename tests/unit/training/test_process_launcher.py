"""Processes that train beside this one, by small programs in their place: they arrive, or this one says why not."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest
from lightning.fabric.plugins.environments import LightningEnvironment

from maas.errors import ProcessError
from maas.training import process_launcher
from maas.training.process_launcher import ARRIVED, Launcher

ARRIVES = (
    "import os, pathlib; (pathlib.Path(os.environ['MAAS_ARRIVED_FOLDER']) / os.environ['LOCAL_RANK']).touch(); input()"
)

SAYS = "import sys; print('warming up', file=sys.stderr); sys.exit('There is no recipe mine.')"


@pytest.fixture
def launcher(monkeypatch):
    """Returns a launcher of as many processes as there are programs, this one included."""
    made = []

    def make(*programs: str) -> Launcher:
        monkeypatch.setattr(
            process_launcher, "command_again", lambda rank: ([sys.executable, "-c", programs[rank - 1]], Path.cwd())
        )
        made.append(Launcher(LightningEnvironment(), len(programs) + 1, 1))
        return made[-1]

    yield make
    for one in made:
        for process in one.procs:
            process.kill()
            process.wait()


def test_training_begins_when_all_processes_have_come_as_far(launcher):
    seen = {}

    def train() -> str:
        seen.update({name: os.environ[name] for name in ("LOCAL_RANK", "WORLD_SIZE", "NODE_RANK")})
        return "trained"

    made = launcher(ARRIVES, ARRIVES)
    assert made.launch(train) == "trained"
    assert seen == {"LOCAL_RANK": "0", "WORLD_SIZE": "3", "NODE_RANK": "0"}
    assert len(made.procs) == 2  # which Lightning ends when it is asked to


@pytest.mark.parametrize(
    ("program", "how"),
    [
        (SAYS, "with status 1 and said: There is no recipe mine"),
        ("raise SystemExit(3)", "with status 3"),
        ("pass", "with status 0"),
        ("import os; os.kill(os.getpid(), 9)", "by signal 9"),
    ],
)
def test_training_is_refused_with_the_reason_when_a_process_ends_before_it(launcher, program, how, capsys):
    made = launcher(ARRIVES, program)
    with pytest.raises(ProcessError) as caught:
        made.launch(lambda: pytest.fail("training began without a process"))
    assert str(caught.value) == (
        f"Training with 3 processes could not begin: process 2 ended {how}. Mend that, and start the same command "
        "again."
    )
    assert all(process.poll() is not None for process in made.procs)  # the one that had arrived as well
    assert ("There is no recipe mine." in capsys.readouterr().err) == ("mine" in program)


def test_process_tells_that_it_has_arrived_when_another_one_started_it(monkeypatch, tmp_path):
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv(ARRIVED, str(tmp_path))
    assert Launcher(LightningEnvironment(), 2, 1).launch(lambda: "trained") == "trained"
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_first_process_is_ended_with_the_reason_when_it_does_not_notice_that_another_one_died(
    launcher, monkeypatch, capsys
):
    """As it waits inside torch: nothing but leaving the process reaches it there."""
    left, has_left = [], threading.Event()

    def leave(status: int) -> None:
        left.append(status)
        has_left.set()

    monkeypatch.setattr(process_launcher, "HELPER_GRACE_S", 0.01)
    monkeypatch.setattr(process_launcher.os, "_exit", leave)
    launcher(f"{ARRIVES.removesuffix('input()')} raise SystemExit('disk full')").launch(lambda: has_left.wait(30))
    assert left == [2]
    assert capsys.readouterr().err.splitlines()[-1] == (
        "Another process of this training ended, so this one cannot continue: process 1 ended with status 1 and said: "
        "disk full"
    )


def test_nothing_is_ended_when_training_is_over_before_the_others_end(launcher, monkeypatch):
    monkeypatch.setattr(process_launcher, "HELPER_GRACE_S", 0.01)
    monkeypatch.setattr(process_launcher.os, "_exit", lambda _: pytest.fail("the process was left"))
    made = launcher(ARRIVES)
    made.launch(lambda: None)
    made.procs[0].kill()
    made.procs[0].wait()
    time.sleep(3 * process_launcher.POLL_S)

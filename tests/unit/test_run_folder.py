"""Which run to start or to go on with, and who is at work in it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from maas.errors import ConfigError
from maas.run_folder import RunFolder, RunState, claimed, newest_with, of_artifact, runs


def made(root: Path, name: str, key: str = "key") -> RunFolder:
    folder = RunFolder(root / "model" / name)
    folder.path.mkdir(parents=True)
    folder.remember(key=key, training="net")
    return folder


def claim(root: Path, is_done: Callable[[RunFolder], bool], *, go_on: bool = True) -> RunFolder:
    with claimed(root, "model", "key", "net", is_done, go_on=go_on) as folder:
        return folder


def never(_: RunFolder) -> bool:
    return False


def test_new_runs_are_distinct_when_they_fall_into_one_second(tmp_path):
    folders = [claim(tmp_path, never, go_on=False) for _ in range(12)]
    assert len({folder.path for folder in folders}) == 12
    assert [folder.path for folder in runs(tmp_path, "model")] == [folder.path for folder in reversed(folders)]
    assert all(folder.state == RunState(key="key", training="net") for folder in folders)


def test_runs_are_the_newest_first_when_attempts_have_two_digits(tmp_path):
    names = ["20260101-000000", "20260101-000000-2", "20260101-000000-10", "20260101-000001"]
    for name in names:
        made(tmp_path, name)
    assert [folder.path.name for folder in runs(tmp_path, "model")] == names[::-1]


def test_runs_are_none_when_the_model_has_no_folder(tmp_path):
    assert runs(tmp_path, "model") == []


def test_latest_points_at_the_newest_when_it_is_moved_twice(tmp_path):
    first, second = made(tmp_path, "20260101-000000"), made(tmp_path, "20260101-000001")
    for folder in (first, second):
        folder.point_latest()
        assert (tmp_path / "model/latest").resolve() == folder.path.resolve()
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [first.path.name, second.path.name, "latest"]
    assert len(runs(tmp_path, "model")) == 2


def test_remember_changes_only_what_is_named_when_a_stage_ends(tmp_path):
    folder = made(tmp_path, "20260101-000000")
    folder.remember(tracking_id="abc")
    folder.add_seconds("train", 1.239)
    folder.add_seconds("export", 2)
    assert folder.state == RunState("key", "net", "abc", {"train": 1.24, "export": 2})


def test_claimed_is_the_newest_of_the_same_work_when_several_are_there(tmp_path):
    made(tmp_path, "20260101-000000")
    wanted = made(tmp_path, "20260101-000001")
    made(tmp_path, "20260101-000002", key="another recipe")
    assert claim(tmp_path, never) == wanted


def test_claimed_is_new_when_all_are_done_or_of_other_work(tmp_path):
    old = [made(tmp_path, "20260101-000000", key="another recipe"), made(tmp_path, "20260101-000001")]
    old[1].remember(finished=True)
    assert claim(tmp_path, lambda folder: folder.state.finished) not in old


def test_locked_run_is_refused_and_passed_over_when_another_process_holds_it(tmp_path):
    older, newer = made(tmp_path, "20260101-000000"), made(tmp_path, "20260101-000001")
    hold = (
        "import sys; from pathlib import Path; from maas.run_folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked():\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(newer.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with newer.try_lock() as is_ours:
            assert not is_ours
        assert claim(tmp_path, never) == older
        with pytest.raises(ConfigError) as caught, newer.locked():
            pass
        process.kill()
    assert str(caught.value) == f"Another process is at work in {newer.path}. Wait for it to end."
    assert claim(tmp_path, never) == newer


def test_run_is_free_when_its_process_was_killed_and_a_forked_one_lives_on(tmp_path):
    folder = made(tmp_path, "20260101-000000")
    hold = (
        "import os, sys, time; from pathlib import Path; from maas.run_folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked():\n"
        "    os.fork() or print(os.getpid(), flush=True)\n"
        "    sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(folder.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        child = psutil.Process(int(process.stdout.readline()))
        process.kill()
        process.wait()
        with folder.try_lock() as is_ours:
            assert child.is_running()
            assert is_ours
        child.kill()


def test_newest_with_finds_the_newest_that_has_it_when_a_newer_run_has_not(tmp_path):
    older = made(tmp_path, "20260101-000000")
    made(tmp_path, "20260101-000001")
    older.bundle.mkdir()
    assert newest_with(tmp_path, "model", "net", artifact="bundle", stage="export") == older
    assert of_artifact(older.bundle).path == older.path.resolve()


def test_newest_with_says_what_to_run_when_there_is_none(tmp_path):
    with pytest.raises(ConfigError) as caught:
        newest_with(tmp_path, "model", "net", artifact="checkpoint", stage="train")
    assert str(caught.value) == (
        f"{tmp_path / 'model'} holds no run of these settings with a checkpoint. Run python -m maas.train recipe=model "
        "first, with the same overrides."
    )


def test_newest_with_passes_over_other_trainings_when_they_are_newer(tmp_path):
    older, newer = made(tmp_path, "20260101-000000"), made(tmp_path, "20260101-000001")
    newer.remember(training="another net")
    for folder in (older, newer):
        folder.bundle.mkdir()
    assert newest_with(tmp_path, "model", "net", artifact="bundle", stage="export") == older


def test_artifact_outside_of_a_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="lies in no run"):
        of_artifact(tmp_path / "bundle")


def test_state_is_empty_when_the_run_remembers_nothing(tmp_path):
    assert RunFolder(tmp_path).state == RunState(key="")

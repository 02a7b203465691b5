"""Which run to start or to resume, and who is at work in it."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from maas.errors import ConfigError
from maas.run_folders.folder import RunFolder, RunState, of_artifact
from maas.run_folders.lookup import claimed, newest_with, runs_of


def made(root: Path, name: str, key: str = "key") -> RunFolder:
    folder = RunFolder(root / "model" / name)
    folder.path.mkdir(parents=True)
    folder.remember(key=key, training="net")
    return folder


def claim(root: Path, *, may_resume: bool = True) -> RunFolder:
    with claimed(root, "model", "key", "net", may_resume=may_resume) as folder:
        return folder


def test_new_runs_are_distinct_when_they_fall_into_one_second(tmp_path):
    folders = [claim(tmp_path, may_resume=False) for _ in range(12)]
    assert len({folder.path for folder in folders}) == 12
    assert [folder.path for folder in runs_of(tmp_path, "model")] == [folder.path for folder in reversed(folders)]
    assert all(folder.state == RunState(key="key", training="net") for folder in folders)


def test_runs_are_the_newest_first_when_attempts_have_two_digits(tmp_path):
    names = ["20260101-000000", "20260101-000000-2", "20260101-000000-10", "20260101-000001"]
    for name in names:
        made(tmp_path, name)
    assert [folder.path.name for folder in runs_of(tmp_path, "model")] == names[::-1]


def test_runs_are_none_when_the_model_has_no_folder(tmp_path):
    assert runs_of(tmp_path, "model") == []


def test_latest_points_at_the_newest_when_it_is_moved_twice(tmp_path):
    first, second = made(tmp_path, "20260101-000000"), made(tmp_path, "20260101-000001")
    for folder in (first, second):
        folder.point_latest()
        assert (tmp_path / "model/latest").resolve() == folder.path.resolve()
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [first.path.name, second.path.name, "latest"]
    assert len(runs_of(tmp_path, "model")) == 2


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
    assert claim(tmp_path) == wanted


def test_claimed_is_the_finished_one_unless_none_may_be_taken(tmp_path):
    other, finished = made(tmp_path, "20260101-000001", key="another recipe"), made(tmp_path, "20260101-000000")
    finished.remember(finished=True)
    assert claim(tmp_path) == finished
    assert claim(tmp_path, may_resume=False) not in (other, finished)


def test_locked_run_is_refused_and_passed_over_when_another_process_holds_it(tmp_path):
    older, newer = made(tmp_path, "20260101-000000"), made(tmp_path, "20260101-000001")
    hold = (
        "import sys; from pathlib import Path; from maas.run_folders.folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked():\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(newer.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with newer.try_lock() as is_ours:
            assert not is_ours
        assert claim(tmp_path) == older
        with pytest.raises(ConfigError) as caught, newer.locked():
            pass
        process.kill()
    assert str(caught.value) == f"Another process is at work in {newer.path}. Wait for it to end."
    assert claim(tmp_path) == newer


def test_run_is_free_when_its_process_was_killed_and_a_forked_one_lives_on(tmp_path):
    folder = made(tmp_path, "20260101-000000")
    hold = (
        "import os, sys, time; from pathlib import Path; from maas.run_folders.folder import RunFolder\n"
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


def damaged(root: Path, kind: str) -> Path:
    """Puts what is no run among a model's runs, as the newest."""
    path = root / "model/20270101-000000"
    if kind == "file":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("no folder")
        return path
    if kind in ("backup", "copy"):
        path = path.with_name(f"{path.name}{'-backup' if kind == 'backup' else ' (copy)'}")
    path.mkdir(parents=True)
    state = path / "run.json"
    if kind == "folder":
        state.mkdir()
    elif kind == "loop":
        state.symlink_to(state)
    else:
        whole = b'{"key": "key", "training": "net"}'
        known = {"empty": b"", "newer": b'{"key": "key", "schema_version": 2, "novelty": 1}', "cut": whole[:9]}
        known |= {"unknown": b'{"key": "key", "novelty": 1}', "latin": b'{"key": "\xe9"}', "list": b"[]"}
        state.write_bytes(known.get(kind, whole))
    return path


SAID = {
    "backup": "a run's name is the time of its start; this is a copy, or was renamed",
    "copy": "a run's name is the time of its start; this is a copy, or was renamed",
    "file": "it is no folder",
    "empty": "run.json cannot be read: Input data was truncated. Remove ",
    "cut": "run.json cannot be read: Input data was truncated. Remove ",
    "newer": "run.json has schema version 2; this maas reads 1. Upgrade maas.",
    "unknown": "run.json cannot be read: Object contains unknown field `novelty`. Remove ",
    "latin": "run.json cannot be read: 'utf-8' codec can't decode byte 0xe9",
    "list": "run.json cannot be read: Expected `object`, got `array`. Remove ",
    "folder": "run.json cannot be read: Is a directory. Remove ",
    "loop": "run.json cannot be read: Too many levels of symbolic links. Remove ",
}


@pytest.mark.parametrize("kind", SAID)
def test_what_is_no_run_is_passed_over_with_one_warning(tmp_path, caplog, kind):
    wanted = made(tmp_path, "20260101-000000")
    wanted.bundle.mkdir()
    path = damaged(tmp_path, kind)
    assert claim(tmp_path) == wanted
    (warning,) = caplog.messages
    assert warning.startswith(f"{path} is passed over: ")
    assert SAID[kind] in warning
    assert "\n" not in warning
    assert newest_with(tmp_path, "model", "net", artifact="bundle", stage="export") == wanted
    wanted.point_latest()
    assert (tmp_path / "model/latest").resolve() == wanted.path.resolve()


def test_nothing_is_said_of_what_does_not_look_like_a_run(tmp_path, caplog):
    wanted = made(tmp_path, "20260101-000000-12")
    for name in ("notes", "2026 notes", "1", "sweeps"):
        (tmp_path / "model" / name).mkdir()
    (tmp_path / "model/2026.csv").touch()
    assert runs_of(tmp_path, "model") == [wanted]
    assert caplog.messages == []


def test_artifact_is_refused_in_one_line_when_its_run_cannot_be_read(tmp_path):
    folder = made(tmp_path, "20260101-000000")
    (folder.path / "run.json").write_bytes(b"{")
    with pytest.raises(ConfigError, match=r"run\.json cannot be read: Input data was truncated\. Remove "):
        of_artifact(folder.bundle)


@pytest.mark.parametrize("what", ["", "lock"])
def test_run_of_another_user_is_passed_over_when_it_cannot_be_written(tmp_path, caplog, monkeypatch, what):
    theirs = made(tmp_path, "20260101-000000")
    (theirs.path / "lock").touch()
    monkeypatch.setattr("maas.run_folders.folder.os.access", lambda path, _: path != theirs.path / what)
    assert claim(tmp_path) != theirs
    assert caplog.messages == [f"{theirs.path} cannot be written and is passed over"]


@pytest.mark.parametrize("above", ["runs", "runs/model"])
def test_run_is_refused_in_one_line_when_a_file_is_in_the_way(tmp_path, above):
    path = tmp_path / above
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a file")
    with pytest.raises(ConfigError) as caught:
        claim(tmp_path / "runs")
    assert str(caught.value).startswith(f"No run can be started in {tmp_path / 'runs/model'}: ")
    assert str(caught.value).endswith(". Set runs_dir=FOLDER to one that can be written.")


@pytest.mark.parametrize("kind", ["broken", "to a copy", "folder"])
def test_latest_is_put_right_or_left_with_a_warning_when_something_else_is_there(tmp_path, caplog, kind):
    folder, latest = made(tmp_path, "20260101-000000"), tmp_path / "model/latest"
    if kind == "folder":
        (latest / "bundle").mkdir(parents=True)
    else:
        latest.symlink_to("gone" if kind == "broken" else damaged(tmp_path, "backup").name)
    folder.point_latest()
    if kind == "folder":
        (warning,) = caplog.messages
        assert warning.startswith(f"{latest} is no link and stays as it is (Is a directory); the newest run is ")
    else:
        assert latest.resolve() == folder.path.resolve()
    assert not list(latest.parent.glob("*.partial"))


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


@pytest.mark.parametrize(
    ("then", "now", "edited"),
    [
        ({"net": "1", "helper": "1"}, {"net": "1", "helper": "2"}, "helper"),
        ({"net": "1"}, {"net": "2", "new": "1"}, "net, new"),
        ({"net": "1"}, {}, "net"),
        ({"net": "1"}, {"net": "1"}, ""),
        ({"net": "1"}, None, ""),
        ({}, {"net": "1"}, ""),  # a run of an earlier version
    ],
)
def test_edited_code_is_named_when_a_later_stage_takes_what_was_trained_before(tmp_path, caplog, then, now, edited):
    folder = made(tmp_path, "20260101-000000")
    folder.remember(sources=then)
    folder.checkpoint.mkdir()
    assert newest_with(tmp_path, "model", "net", artifact="checkpoint", stage="train", sources=now) == folder
    said = [f"{folder.path} was trained by other code: {edited} changed since"] if edited else []
    assert caplog.messages == said


def test_artifact_outside_of_a_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="lies in no run"):
        of_artifact(tmp_path / "bundle")


def test_state_is_empty_when_the_run_remembers_nothing(tmp_path):
    assert RunFolder(tmp_path).state == RunState(key="")

"""Writing whole or not at all."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from maas.errors import ConfigError
from maas.files import (
    drafts,
    folder_published_whole,
    process_writing,
    read_json,
    replace_folder,
    sha256_of,
    write_atomically,
)

KILLED = """
import os, sys
from pathlib import Path
from maas.files import folder_published_whole, write_atomically
folder = Path(sys.argv[1])
with folder_published_whole(folder / "folder") as draft:
    (draft / "file").write_text("half")
    Path.replace = lambda self, target: print("held", flush=True) or sys.stdin.read() or os._exit(1)
    write_atomically(folder / "file", b"half")
"""
"""Begins to write a folder and a file, and waits."""


@pytest.fixture
def writer(tmp_path):
    """Another process that writes `folder` and `file`, and waits."""
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def content_of(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_sha256_of_equals_hashlib_when_the_file_has_many_blocks(tmp_path):
    content = os.urandom(1_000_003)
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_write_atomically_leaves_one_file_when_it_replaces_an_old_one(tmp_path):
    write_atomically(tmp_path / "file", b"old")
    write_atomically(tmp_path / "file", b"new")
    assert content_of(tmp_path) == {"file": "new"}


def test_write_atomically_leaves_the_old_file_when_writing_fails(tmp_path):
    write_atomically(tmp_path / "file", b"old")
    with pytest.raises(TypeError):
        write_atomically(tmp_path / "file", "not bytes")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_folder_takes_its_place_when_the_block_ends_well(tmp_path):
    with folder_published_whole(tmp_path / "deep" / "folder") as draft:
        assert not (tmp_path / "deep" / "folder").exists()
        (draft / "sub").mkdir()
        (draft / "sub" / "file").write_text("new")
    assert content_of(tmp_path) == {"deep/folder/sub/file": "new"}


def test_folder_replaces_every_old_file_when_one_stood_there(tmp_path):
    for name in ("old", "new"):
        with folder_published_whole(tmp_path / "folder") as draft:
            (draft / name).write_text(name)
    assert content_of(tmp_path) == {"folder/new": "new"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_old_folder_stays_and_draft_goes_when_the_block_raises(tmp_path, error):
    with folder_published_whole(tmp_path / "folder") as draft:
        (draft / "file").write_text("old")

    def interrupted() -> None:
        with folder_published_whole(tmp_path / "folder") as draft:
            (draft / "file").write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert content_of(tmp_path) == {"folder/file": "old"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


def test_old_folder_stays_when_an_interrupt_falls_between_the_two_renames(tmp_path, monkeypatch):
    with folder_published_whole(tmp_path / "folder") as draft:
        (draft / "file").write_text("old")
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)

    def publish() -> None:
        with folder_published_whole(tmp_path / "folder") as draft:
            (draft / "file").write_text("new")

    with pytest.raises(KeyboardInterrupt):
        publish()
    assert content_of(tmp_path) == {"folder/file": "old"}


def test_draft_starts_empty_when_a_killed_process_left_one(tmp_path):
    (tmp_path / "folder.partial").mkdir()
    (tmp_path / "folder.partial" / "rubbish").write_text("half")
    with folder_published_whole(tmp_path / "folder") as draft:
        (draft / "file").write_text("new")
    assert content_of(tmp_path) == {"folder/file": "new"}


def test_replace_folder_removes_what_was_moved_aside_when_an_earlier_attempt_left_it(tmp_path):
    for name in ("folder", "folder.replaced", "draft"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    replace_folder(tmp_path / "draft", tmp_path / "folder")
    assert content_of(tmp_path) == {"folder/file": "draft"}


def partial(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.partial"))


def test_drafts_go_at_the_next_write_when_their_process_was_killed(tmp_path, writer):
    assert len(partial(tmp_path)) == 2
    writer.kill()
    writer.wait()
    assert process_writing(tmp_path / "folder") is None
    write_atomically(tmp_path / "file", b"new")
    assert partial(tmp_path) == []
    with folder_published_whole(tmp_path / "folder") as draft:
        (draft / "file").write_text("new")
    assert content_of(tmp_path) == {"file": "new", "folder/file": "new"}


def test_drafts_stay_and_both_are_published_when_two_processes_write_at_once(tmp_path, writer):
    theirs = partial(tmp_path)
    assert process_writing(tmp_path / "folder") == writer.pid
    write_atomically(tmp_path / "file", b"new")
    with folder_published_whole(tmp_path / "folder") as draft:
        (draft / "file").write_text("new")
    assert partial(tmp_path) == theirs
    assert {path: text for path, text in content_of(tmp_path).items() if "partial" not in path} == {
        "file": "new",
        "folder/file": "new",
    }


def test_draft_of_a_dead_process_goes_when_its_number_was_given_to_another(tmp_path):
    name = f"{drafts.draft_of(tmp_path / 'folder').name}"
    machine, process, start, number = name.removesuffix(".partial").rpartition(".")[2].split("-")
    for other in (f"folder.{machine}-{process}-{int(start) - 1}-{number}.partial", "folder.4242424.partial"):
        (tmp_path / other).mkdir()
    os.utime(tmp_path / "folder.4242424.partial", (0, 0))
    (tmp_path / "folder").mkdir()
    kept = [f"folder.{'0' * 8}-{process}-1-0.partial", "folder.1.partial", "another.partial", "folder.x-1.partial"]
    for one in kept:  # of another machine; of an earlier version and a process that is alive; of other programs
        (tmp_path / one).mkdir()
    with folder_published_whole(tmp_path / "folder"):
        pass
    assert partial(tmp_path) == sorted(kept)


def test_last_to_end_stays_when_two_drafts_of_one_process_are_open(tmp_path):
    with folder_published_whole(tmp_path / "folder") as one:
        (one / "file").write_text("one")
        with folder_published_whole(tmp_path / "folder") as other:
            (other / "file").write_text("other")
        assert content_of(tmp_path / "folder") == {"file": "other"}
    assert content_of(tmp_path) == {"folder/file": "one"}


def test_second_is_refused_and_the_first_stays_when_a_folder_must_be_new(tmp_path):
    def both() -> None:
        with folder_published_whole(tmp_path / "folder", is_new=True) as other:
            (other / "file").write_text("other")
            with folder_published_whole(tmp_path / "folder", is_new=True) as one:
                (one / "file").write_text("one")

    with pytest.raises(ConfigError, match=r"folder was written by another process in the meantime\. Name another"):
        both()
    assert content_of(tmp_path) == {"folder/file": "one"}


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"", dict, "Input data was truncated"),
        (b"[1", list, "Input data was truncated"),
        (b'"\xff"', str, "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b'{"a": 1}', dict[str, str], "Expected `str`, got `int` - at `$[...]`"),
        (b"[" * 100_000, Any, "maximum recursion depth exceeded while deserializing an object"),
    ],
)
def test_json_is_refused_in_one_line_when_it_is_something_else(tmp_path, content, kind, message):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=".") as caught:
        read_json(tmp_path / "file", kind)
    assert str(caught.value) == message

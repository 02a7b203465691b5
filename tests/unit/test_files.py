"""Writing whole or not at all."""

import hashlib
import os
from pathlib import Path

import pytest

from maas.files import folder_published_whole, replace_folder, sha256_of, write_atomically


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
        if self.name == "folder.partial":
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

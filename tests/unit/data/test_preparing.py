"""Files kept as Arrow files in the cache: read once, never half, and never silently short."""

import errno
import fcntl
import gzip
import json
import os
import time
from pathlib import Path

import pytest
import zstandard

from maas.data import columns, sources
from maas.data.arrow_writer import ArrowWriter
from maas.data.formats import TABLE_FORMATS
from maas.data.preparing import prepared
from maas.errors import DataError
from maas.files.cache_entries import KEPT_S


def read_file_table(path, target, kept=None, **settings):
    return columns.FileTable(path=path, target=target, columns=kept, **settings).read()


LINES = [json.dumps({"text": f"row {index}", "label": "ab"[index % 2]}) + "\n" for index in range(5000)]
CONTENT = "".join(LINES).encode()
PACKERS = {".gz": gzip.compress, ".zst": zstandard.compress}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/tables"


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def kept(cache: Path) -> list[Path]:
    """Returns what the cache holds, less the locks."""
    return [one for one in cache.glob("*/*") if one.is_dir()]


def test_second_start_reads_no_file_when_nothing_changed(tmp_path, cache, monkeypatch):
    path = written(tmp_path / "rows.jsonl", CONTENT)
    first = sources.files(str(path))["all"]["input"][:]
    monkeypatch.setattr(ArrowWriter, "write", lambda *_: pytest.fail("the file was read again"))
    assert sources.files(str(path))["all"]["input"][:] == first == [json.loads(line)["text"] for line in LINES]


def test_cache_holds_the_file_as_it_is_when_it_was_rewritten(tmp_path, cache):
    first = written(tmp_path / "first.jsonl", CONTENT)
    before = sources.files(str(first))["all"]["input"]
    written(first, CONTENT[: len(CONTENT) // 2].rpartition(b"\n")[0])
    after = sources.files(str(first))["all"]["input"]
    assert len(kept(cache)) == 1
    assert len(before[:]) > len(after[:])  # rows that are in use stay readable


def test_rows_of_a_file_stay_when_it_cannot_be_seen_for_now(tmp_path, cache):
    disk, other = tmp_path / "disk", written(tmp_path / "other.jsonl", CONTENT)
    disk.mkdir()
    path = written(disk / "rows.jsonl", CONTENT)
    sources.files(str(path))
    (mine,) = kept(cache)
    disk.rename(tmp_path / "unmounted")
    sources.files(str(other))
    assert mine in kept(cache)
    (tmp_path / "unmounted").rename(disk)
    made = (mine / "rows.arrow").stat().st_mtime_ns
    assert sources.files(str(path))["all"]["input"][0] == "row 0"
    assert (mine / "rows.arrow").stat().st_mtime_ns == made


def test_rows_go_when_nobody_has_opened_them_for_long_and_nobody_is_at_them(tmp_path, cache):
    for name in ("old", "busy", "new"):
        prepared(written(tmp_path / f"{name}.jsonl", CONTENT), TABLE_FORMATS[".jsonl"])
    old, busy, new = (one.parent for one in sorted(kept(cache), key=lambda one: one.stat().st_ctime_ns))
    long_ago = time.time() - KEPT_S - 1
    os.utime(old / "lock", (long_ago, long_ago))
    os.utime(busy / "lock", (long_ago, long_ago))
    with (busy / "lock").open() as held:
        fcntl.flock(held.fileno(), fcntl.LOCK_EX)
        prepared(tmp_path / "new.jsonl", TABLE_FORMATS[".jsonl"])
    assert {one.parent for one in kept(cache)} == {busy, new}
    assert not old.exists()


def test_file_is_refused_when_it_changes_while_it_is_read(tmp_path, cache, monkeypatch):
    path, close = written(tmp_path / "rows.jsonl", CONTENT), ArrowWriter.close
    monkeypatch.setattr(ArrowWriter, "close", lambda writer: (close(writer), written(path, CONTENT * 2)))
    with pytest.raises(DataError, match=r"rows\.jsonl has changed while it was read\. Start again when it is complete"):
        sources.files(str(path))
    assert not kept(cache)


@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize("damage", ["cut", "altered"])
def test_packed_file_is_refused_when_it_is_not_whole(tmp_path, cache, ending, damage):
    packed = PACKERS[ending](CONTENT)
    half = len(packed) // 2
    broken = packed[:half] if damage == "cut" else packed[:half] + bytes(64) + packed[half + 64 :]
    path = written(tmp_path / f"rows.jsonl{ending}", broken)
    with pytest.raises(DataError) as caught:
        sources.files(str(path))
    assert str(caught.value).startswith(f"{path} cannot be read as json: ")
    assert "\n" not in str(caught.value)
    assert not kept(cache)


def test_all_rows_are_read_when_a_packed_file_has_several_frames(tmp_path):
    halves = ["".join(LINES[:2000]).encode(), "".join(LINES[2000:]).encode()]
    path = written(tmp_path / "rows.jsonl.zst", b"".join(map(zstandard.compress, halves)))
    assert len(sources.files(str(path))["all"]["input"]) == 5000
    assert len(read_file_table(str(path), "label")["all"]["input"]) == 5000


def test_columns_are_refused_when_their_packed_file_is_cut(tmp_path):
    path = written(tmp_path / "rows.csv.zst", zstandard.compress(b"x,y\n" + b"1,2\n" * 1000)[:-4])
    with pytest.raises(DataError, match=r"rows\.csv\.zst cannot be read as csv: the file ends in the midst of its"):
        read_file_table(str(path), "y")


def test_lines_are_those_of_the_file_when_it_is_packed_or_ends_lines_as_windows_does(tmp_path):
    path = written(tmp_path / "a.txt.gz", gzip.compress("\ufeffone\r\n\r\ntwo\r\n".encode()))
    assert sources.labelled_lines({"a": str(path)})["all"]["input"][:] == ["one", "", "two"]


def test_file_is_named_when_it_is_empty(tmp_path):
    path = written(tmp_path / "a.txt", b"")
    with pytest.raises(DataError) as caught:
        sources.labelled_lines({"a": str(path)})
    assert str(caught.value) == f"{path} cannot be read as text: it is empty."


def test_folder_is_named_when_there_is_no_room(tmp_path, cache, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(ArrowWriter, "write", full)
    path = written(tmp_path / "rows.jsonl", CONTENT)
    with pytest.raises(DataError) as caught:
        sources.files(str(path))
    assert str(caught.value).startswith(f"There is no room for the rows of {path} in {cache}")
    assert "MAAS_CACHE" in str(caught.value)
    assert not kept(cache)


def test_draft_counts_for_nothing_when_a_killed_process_left_it(tmp_path, cache, monkeypatch):
    path = written(tmp_path / "rows.jsonl", CONTENT)
    prepared(path, TABLE_FORMATS[".jsonl"])
    (whole,) = kept(cache)
    whole.rename(whole.with_name(f"{whole.name}.partial"))
    (whole.with_name(f"{whole.name}.partial") / "half.arrow").write_bytes(b"half")
    assert sum(map(len, prepared(path, TABLE_FORMATS[".jsonl"]))) == 5000
    assert kept(cache) == [whole]

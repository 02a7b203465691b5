"""Memory and seconds of training on a text source that is larger than the memory it may take.

    python tests/benchmarks/bench_scale.py [GIGABYTES] [jsonl | csv | jsonl.zst | jsonl.gz]

Writes rows of two labels and about 1 KB into a temporary folder (3 GB of JSON lines unless told otherwise), and trains
on them twice: the second start finds the cache. All processes of a training are watched. Resident memory counts pages
of mapped files, too, which the system may take back; anonymous memory does not.
"""

import gzip
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import psutil
import zstandard

ROW_BYTES, WORDS, POOL_WORDS = 1000, 20_000, 2_000_000
CUES = {"good": "splendid", "bad": "dreadful"}
RECIPE = (
    "recipe=sentiment_zh", "data=files", "data.validation_fraction=0.001", "data.test_fraction=0.001",
    "processor.algorithm=words", "processor.max_tokens=4", "processor.keep=start", "model=text_cnn",
    "trainer.max_epochs=1", "+trainer.limit_train_batches=200",
)  # fmt: skip


class Peak(NamedTuple):
    """The most that all processes together held at one moment, in bytes."""

    resident: int
    anonymous: int


def rows(count: int) -> Iterator[tuple[str, str]]:
    """Yields texts that all differ, and labels that a word tells."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(WORDS)]
    pool = " ".join(draw.choices(words, k=POOL_WORDS))
    for index in range(count):
        label = draw.choice(list(CUES))
        start = draw.randrange(len(pool) - ROW_BYTES)
        yield f"{CUES[label]} {index} {pool[start : start + ROW_BYTES - 60]}", label


def write(path: Path, count: int) -> None:
    """Writes the rows in the format that the file's name tells."""
    with _opened(path) as file:
        if ".csv" in path.suffixes:
            file.write(b"text,label\n")
        for text, label in rows(count):
            is_csv = ".csv" in path.suffixes
            line = f"{text},{label}\n" if is_csv else json.dumps({"text": text, "label": label}) + "\n"
            file.write(line.encode())


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".zst":
        return zstandard.open(path, "wb")  # type: ignore[return-value]
    if path.suffix == ".gz":
        return gzip.open(path, "wb", compresslevel=1)  # type: ignore[return-value]
    return path.open("wb")


def trained(path: Path, out: Path) -> tuple[float, Peak]:
    """Trains in a process of its own; returns seconds and the peak of memory."""
    command = [sys.executable, "-m", "maas.train", *RECIPE, f"data.source.path={path}", f"runs_dir={out}"]
    started = time.monotonic()
    process = subprocess.Popen([*command, "resume=never"])
    peaks: list[Peak] = []
    watching = threading.Thread(target=_watch, args=(psutil.Process(process.pid), peaks))
    watching.start()
    if process.wait() != 0:
        raise SystemExit(process.returncode)
    watching.join()
    return time.monotonic() - started, Peak(max(one.resident for one in peaks), max(one.anonymous for one in peaks))


def _watch(parent: psutil.Process, peaks: list[Peak]) -> None:
    while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
        try:
            statuses = [_status(process.pid) for process in [parent, *parent.children(recursive=True)]]
            peaks.append(Peak(*(sum(status[name] for status in statuses) for name in ("VmRSS", "RssAnon"))))
        except (psutil.NoSuchProcess, FileNotFoundError, KeyError):
            pass
        time.sleep(0.2)


def _status(pid: int) -> dict[str, int]:
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name.rstrip(":"): int(value[0]) * 1024 for name, *value in lines if value[1:] == ["kB"]}


def main() -> None:
    """Writes, trains twice and says what it took."""
    arguments: list[Any] = sys.argv[1:]
    gigabytes, ending = float(arguments[0]) if arguments else 3.0, arguments[1] if len(arguments) > 1 else "jsonl"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows.{ending}"
        write(path, int(gigabytes * 1e9 / ROW_BYTES))
        print(f"{path.stat().st_size / 1e9:.2f} GB in {path.name}")
        for start in ("first", "second"):
            seconds, peak = trained(path, Path(folder) / start)
            print(
                f"{start} start: {seconds:.0f} s, at most {peak.resident / 1e9:.2f} GB resident, "
                f"{peak.anonymous / 1e9:.2f} GB of it anonymous"
            )


if __name__ == "__main__":
    main()

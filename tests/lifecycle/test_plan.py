"""The plan of the digits recipe, dry-run in small, against the run of the whole line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import maas
from maas.lifecycle import Line


def planned(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """Plans in a process of its own that works in one folder and has another for what is temporary."""
    (folder / "temporary").mkdir()
    (folder / "here").mkdir()
    command = [sys.executable, "-m", "maas.plan", "--json", "recipe=digits_mlp", "runs_dir=runs", *overrides]
    environment = {**os.environ, "TMPDIR": str(folder / "temporary"), "PYTHONPATH": str(Path(maas.__file__).parents[1])}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder / "here", env=environment)


def left(folder: Path) -> list[Path]:
    """Returns what a plan left of its own."""
    return [*(folder / "here").iterdir(), *(folder / "temporary").glob("maas-*")]


def test_plan_tells_what_the_line_takes_when_it_is_asked_beforehand(line: Line, tmp_path: Path) -> None:
    done = planned(tmp_path, "trainer.max_epochs=4")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert [stage["name"] for stage in plan["stages"]] == ["start", "train", "compress", "export"]
    assert all(stage["seconds"] > 0 for stage in plan["stages"])
    assert plan["artifact_bytes"] == {one.name: one.bytes for one in line.compressed.record.candidates}
    batches = -(-line.checkpoint.record.data.rows["train"] // 32)
    assert plan["stages"][1]["note"] == f"4 × {batches} steps"
    assert plan["peak_bytes"] >= plan["stages"][1]["peak_bytes"] > 100e6
    assert not left(tmp_path)


def test_fault_is_told_in_its_own_words_when_a_stage_would_refuse(tmp_path: Path) -> None:
    done = planned(tmp_path, "+model.outputs=7")
    assert done.returncode == 2
    assert done.stderr == "model.outputs is 7; the task and the data want 10. Leave model.outputs out.\n"
    assert not left(tmp_path)

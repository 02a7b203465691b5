"""The plan of the digits recipe, rehearsed in small, against the run of the whole line."""

import json
import subprocess
import sys
from pathlib import Path

import maas
from maas.lifecycle import Line


def planned(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """Plans in a process of its own, with `folder` for whatever it writes."""
    command = [sys.executable, "-m", "maas.plan", "--json", "recipe=digits_mlp", "runs_dir=runs", *overrides]
    environment = {"TMPDIR": str(folder), "PYTHONPATH": str(Path(maas.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def test_plan_tells_what_the_line_took_when_it_is_asked_beforehand(line: Line, tmp_path: Path) -> None:
    done = planned(tmp_path, "trainer.max_epochs=4")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert [stage["name"] for stage in plan["stages"]] == ["start", "train", "compress", "export"]
    assert all(stage["seconds"] > 0 for stage in plan["stages"])
    true = {candidate.name: candidate.bytes for candidate in line.compressed.record.candidates}
    assert plan["artifact_bytes"] == true
    batches = -(-line.checkpoint.record.data.rows["train"] // 32)
    assert plan["stages"][1]["note"] == f"4 × {batches} steps"
    assert plan["peak_bytes"] >= plan["stages"][1]["peak_bytes"] > 100e6
    assert list(tmp_path.iterdir()) == []


def test_fault_is_told_in_its_own_words_when_a_stage_would_refuse(tmp_path: Path) -> None:
    done = planned(tmp_path, "model.hidden=[]", "model.outputs=7")
    assert done.returncode == 2
    assert done.stderr == "model.outputs is 7; the task and the data want 10. Leave model.outputs out.\n"
    assert list(tmp_path.iterdir()) == []

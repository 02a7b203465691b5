"""The plan of the digits recipe, dry-run in small, against the run of the whole line."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import maas.plan
from maas.lifecycle import Line


@pytest.fixture
def planned(entered: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Plans in one folder, with another for what is temporary."""
    for name in ("temporary", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return lambda *overrides: entered(maas.plan.main, "--json", "recipe=digits_mlp", "runs_dir=runs", *overrides)


def left(folder: Path) -> list[Path]:
    """Returns what a plan left of its own."""
    return [*(folder / "here").iterdir(), *(folder / "temporary").glob("maas-*")]


def test_plan_tells_what_the_line_takes_when_it_is_asked_beforehand(
    line: Line, planned: Callable[..., Any], tmp_path: Path
) -> None:
    status, printed, told = planned("trainer.max_epochs=4")
    assert status == 0, told
    plan = json.loads(printed)
    assert [stage["name"] for stage in plan["stages"]] == ["start", "train", "compress", "export"]
    assert all(stage["seconds"] > 0 for stage in plan["stages"])
    assert plan["artifact_bytes"] == {one.name: one.bytes for one in line.compressed.record.candidates}
    batches = -(-line.checkpoint.record.data.rows["train"] // 32)
    assert plan["stages"][1]["note"] == f"4 × {batches} steps"
    assert plan["peak_bytes"] >= plan["stages"][1]["peak_bytes"] > 100e6
    assert not left(tmp_path)


@pytest.mark.slow
def test_fault_is_told_in_its_own_words_when_a_stage_would_refuse(planned: Callable[..., Any], tmp_path: Path) -> None:
    status, _, told = planned("+model.outputs=7")
    assert status == 2
    assert told == "model.outputs is 7; the task and the data want 10. Leave model.outputs out.\n"
    assert not left(tmp_path)

"""Every pass is tried and judged; what is refused says why, and fp32 ships when nothing may."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from maas.compression.budget import Budget
from maas.compression.passes import Calibration
from maas.compression.passes.quantize_static import QuantizeStatic
from maas.compression.search import Search, search
from maas.errors import ExportError
from maas.files import sha256_of

EASY = Budget(max_drop=None, min_agreement=None, max_batch_effect=None, max_latency_ratio=None)


@dataclass(frozen=True)
class Failing:
    """A pass that cannot be applied."""

    strength: int = 3
    side: ClassVar[str] = "onnx"

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        raise ExportError("this graph cannot be treated")


@dataclass(frozen=True)
class Unloadable:
    """A pass whose work onnxruntime cannot load."""

    side: ClassVar[str] = "onnx"

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        out.write_bytes(b"no graph")


@dataclass(frozen=True)
class Copying:
    """A pass that makes nothing smaller."""

    side: ClassVar[str] = "onnx"

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        out.write_bytes(parent.read_bytes())


def tried(line, bench, folder: Path, budget: Budget, **passes):
    return search(Search(budget, passes), line.bundle.model_path, bench, folder)


def test_smallest_allowed_is_chosen_with_its_numbers_when_a_pass_keeps_the_budget(line, bench, tmp_path):
    record, chosen = tried(
        line, bench, tmp_path, EASY, static=QuantizeStatic(), all=QuantizeStatic(keep_head=False), same=Copying()
    )
    assert record.chosen in ("static", "all")
    best = record.candidate(record.chosen)
    others = [one for one in record.candidates if not one.reasons and one.name != "fp32"]
    assert best.bytes * best.time_ratio == min(one.bytes * one.time_ratio for one in others)
    assert chosen == tmp_path / f"{record.chosen}.onnx"
    assert best.sha256 == sha256_of(chosen)
    assert best.parent_sha256 == record.candidate("fp32").sha256 == sha256_of(line.bundle.model_path)
    assert best.target == "maas.compression.passes.quantize_static.QuantizeStatic"
    assert record.candidate("static").settings == {
        "calibration_rows": 256, "method": "minmax", "per_channel": True, "keep_head": True,
    }  # fmt: skip
    assert record.reason.startswith(f"{record.candidate('fp32').bytes / best.bytes:.2f} times smaller, a batch takes ")
    assert record.rows == len(bench.validation)
    assert record.candidate("same").reasons[0].startswith("it has ")


def test_fp32_is_kept_with_every_reason_when_nothing_keeps_the_budget(line, bench, tmp_path):
    budget = Budget(max_latency_ratio=0.001)
    record, chosen = tried(line, bench, tmp_path, budget, static=QuantizeStatic(), failing=Failing())
    assert record.chosen == "fp32"
    assert chosen == line.bundle.model_path
    ratio = record.candidate("static").latency.ratio
    assert f"a batch takes {ratio:.3f} times as long, allowed is 0.001" in record.candidate("static").reasons
    assert record.reason.startswith("No pass may ship (static: ")
    assert "failing: this graph cannot be treated)." in record.reason
    assert record.budget["max_latency_ratio"] == 0.001


def test_failure_is_recorded_with_its_settings_when_a_pass_cannot_be_applied(line, bench, tmp_path):
    record, _ = tried(line, bench, tmp_path, EASY, failing=Failing())
    failed = record.candidate("failing")
    assert failed.reasons == ("this graph cannot be treated",)
    assert (failed.bytes, failed.sha256, failed.settings, failed.metric) == (0, "", {"strength": 3}, None)
    assert record.chosen == "fp32"


def test_failure_is_recorded_when_onnxruntime_cannot_load_what_a_pass_made(line, bench, tmp_path):
    record, chosen = tried(line, bench, tmp_path, EASY, unloadable=Unloadable())
    assert (record.chosen, chosen) == ("fp32", line.bundle.model_path)
    assert "ONNX Runtime cannot load" in record.candidate("unloadable").reasons[0]


def test_fp32_is_kept_when_no_pass_is_asked_for(line, bench, tmp_path):
    record, chosen = tried(line, bench, tmp_path, Budget())
    assert (record.chosen, record.reason, chosen) == ("fp32", "No pass was asked for.", line.bundle.model_path)
    assert record.candidate("fp32").drop.value == 0
    assert record.candidate("fp32").agreement == 1

"""What a small convolutional net may ship as: dynamic int8 slows it down, and a thousandfold speed is not to be had."""

import re
from pathlib import Path

import pytest

import maas
import maas.compress
import maas.run
from maas.errors import BundleError
from maas.lifecycle import Compressed
from maas.lifecycle.lookup import bundle_of, compressed_by
from maas.run_folders.folder import of_artifact

SMALL = ["faces", "folds=0", "registry=null", "trainer.max_epochs=2"]
COMMAND = [f"recipe={SMALL[0]}", *SMALL[1:]]
SLOW = r"a batch takes [0-9.]+ ms, by the model as exported [0-9.]+: (0[.][0-9]+) times as fast, required is 1"
KEPT = r"Nothing that was tried keeps the budget, so fp32 is kept \(quantize_dynamic: .*; quantize_static: .*\)[.]"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Where the net was trained."""
    folder = tmp_path_factory.mktemp("runs")
    maas.lifecycle.train(maas.compose(*SMALL, f"runs_dir={folder}"))
    return folder


def test_dynamic_int8_is_refused_with_both_times_when_it_slows_a_small_cnn_down(runs):
    config = maas.compose(*SMALL, f"runs_dir={runs}")
    record = maas.lifecycle.compress(config, maas.lifecycle.newest_checkpoint(config)).record
    dynamic = record.candidate("quantize_dynamic")
    said = next(match for reason in dynamic.reasons if (match := re.fullmatch(SLOW, reason)))
    assert float(said[1]) == pytest.approx(1 / dynamic.latency.ratio, rel=0.01)
    assert record.chosen != dynamic.name


def test_fp32_is_kept_with_a_status_of_its_own_when_nothing_is_a_thousand_times_faster(runs, entered):
    status, printed, _ = entered(maas.compress.main, *COMMAND, f"runs_dir={runs}", "compress.budget.speedup=1000")
    assert status == 3
    assert re.search(f"^chosen: fp32[.] {KEPT}$", printed, re.MULTILINE)
    found = Compressed.open(next(runs.glob("faces/[0-9]*/compress")))
    assert found.model.read_bytes() == found.exported.read_bytes()


@pytest.mark.slow
def test_nothing_is_taken_that_another_section_made_when_a_run_goes_on(runs):
    lossy = [f"compress.budget.{name}=null" for name in ("speedup", "max_drop", "min_agreement", "min_shrink")]
    lossy.append("export.min_agreement=0")
    plain, small = (maas.compose(*SMALL, f"runs_dir={runs}", *more) for more in (["compress=none"], lossy))
    checkpoint = maas.lifecycle.newest_checkpoint(plain)
    folder = of_artifact(checkpoint.folder)
    bundle = maas.lifecycle.export(plain, checkpoint, maas.lifecycle.compress(plain, checkpoint))
    kept = compressed_by(plain, folder)
    assert bundle_of(kept, folder).digest == bundle.digest
    other = maas.lifecycle.compress(small, checkpoint)
    assert other.record.chosen != kept.record.chosen
    assert compressed_by(plain, folder) is None
    assert compressed_by(maas.compose(*SMALL, f"runs_dir={runs}", *lossy, "export.min_agreement=1"), folder) is None
    assert bundle_of(compressed_by(small, folder), folder) is None
    with pytest.raises(
        BundleError, match="holds another model than .* chose since then. Run python -m maas.export recip"
    ):
        maas.lifecycle.verify(small, checkpoint, bundle)
    assert compressed_by(maas.compose(*SMALL, f"runs_dir={runs}", *lossy, "serve.threads=2"), folder) is None
    assert maas.lifecycle.compressed_of(small, checkpoint).record.chosen == other.record.chosen
    assert maas.lifecycle.compressed_of(plain, checkpoint) is None, "compress=none ships fp32, whatever lies there"
    assert maas.lifecycle.verify(plain, checkpoint, bundle).manifest_sha256 == bundle.digest
    again = maas.lifecycle.compress(plain, checkpoint)
    assert maas.lifecycle.compressed_of(plain, checkpoint).record.chosen == again.record.chosen == "fp32"


@pytest.mark.slow
def test_line_goes_on_with_fp32_and_says_so_when_nothing_keeps_the_budget(tmp_path, entered):
    status, printed, _ = entered(maas.run.main, *COMMAND, f"runs_dir={tmp_path}", "compress.budget.speedup=1000")
    assert status == 0
    assert re.search(f"^compress  chosen: fp32[.] {KEPT}$", printed, re.MULTILINE)
    assert "it is kept, as nothing that was tried keeps the budget" in printed
    assert next(tmp_path.glob("faces/[0-9]*/bundle/model.onnx")).is_file()

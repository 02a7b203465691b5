"""A file of predictions whose process is killed: the same command goes on, and writes the bytes of one never killed."""

import signal
import subprocess
import sys
import time

import pytest

from maas.errors import ConfigError
from maas.predicting.kept_parts import KeptParts

ROWS = 40_000
CODE = """
import atexit, sys, time
from maas.predicting import kept_parts, part_predictors
from maas.predicting.model_rows import PredictingModel
part_predictors.COLUMN_ROWS, kept_parts.FLUSHED_S = 1000, 0.0
predicted, made = PredictingModel.predicted, []
def slowly(self, part):
    made.append(1)
    time.sleep(float(sys.argv[1]))
    return predicted(self, part)
PredictingModel.predicted = slowly
atexit.register(lambda: print(len(made), file=sys.stderr))
from maas.predict import main
main(sys.argv[2:])
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    lines = (f"{at / 8},{'x' if at % 997 == 5 else at % 100},{'SML'[at % 3]}\n" for at in range(ROWS))
    path.write_text("price,area,size\n" + "".join(lines))
    return path


def command(model, source, out, pause_s):
    return [sys.executable, "-c", CODE, str(pause_s), str(model.folder), str(source), str(out)]


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_bytes_are_those_of_a_run_that_was_never_killed(table_model, table, tmp_path, ending):
    whole, killed = tmp_path / f"whole{ending}", tmp_path / f"killed{ending}"
    done = subprocess.run(command(table_model, table, whole, 0), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "40\n")
    kept = killed.with_name(f"{killed.name}.unfinished")
    with subprocess.Popen(command(table_model, table, killed, 0.05)) as process:
        while not kept.exists() or kept.stat().st_size < 20_000:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not killed.exists()
    with kept.open("ab") as file:
        file.write(b"half a part")
    done = subprocess.run(command(table_model, table, killed, 0), capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert 0 < int(done.stderr) < 40
    assert killed.read_bytes() == whole.read_bytes()
    reports = [path.with_name(f"{path.name}.errors.jsonl").read_bytes() for path in (whole, killed)]
    assert reports[0] == reports[1]
    assert reports[0].count(b"\n") == len(range(5, ROWS, 997))
    assert len(list(tmp_path.iterdir())) == 4


def test_other_work_is_refused_when_a_file_was_begun(table_model, table, tmp_path):
    out = tmp_path / "out.csv"
    with KeptParts.of(out, "a digest"):
        with pytest.raises(ConfigError) as caught, KeptParts.of(out, "a digest"):
            pass
        assert str(caught.value) == f"Another process writes {out} now. Wait for it, or name another file."
    done = subprocess.run(command(table_model, table, out, 0), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        f"{out}.unfinished was begun with another model, other rows or other settings. Remove it, or name another file."
    )

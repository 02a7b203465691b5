"""`python -m maas.bench` against a real server."""

import json
import subprocess
import sys

import pytest
from PIL import Image


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "maas.bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_table_record_and_picture_are_made_when_a_server_is_tested(serving_bundles, start, tmp_path):
    folder = serving_bundles.array_bundle(tmp_path / "array")
    with start(f"model={folder}") as url:
        short = ["seconds=0.5", "warm_up_s=0.1", f"url={url}"]
        done = run(*short, "rate=20,40", f"out={tmp_path}/load")
        assert done.returncode == 0, done.stderr
        record = json.loads((tmp_path / "load/load.json").read_text())
        wrong = run(*short, "rate=20", "model=other")
    lines = done.stdout.splitlines()
    assert lines[1].split()[:4] == ["rate/s", "answered/s", "p50", "p90"]
    assert [line.split()[0] for line in lines[2:] if line.split()[0][0].isdigit()] == ["20.0", "40.0"]
    assert [(load["requests"], load["errors"]) for load in record["loads"]] == [(10, {}), (20, {})]
    for load in record["loads"]:
        assert sum(load["histogram"]["requests"]) == load["requests"]
        assert 0 < load["latency_ms"]["p50"] <= load["latency_ms"]["p99"] <= load["latency_ms"]["max"]
    with Image.open(tmp_path / "load/load.png") as picture:
        assert min(picture.size) > 400
    assert "10 × 404 unknown_model" in wrong.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["url=http://127.0.0.1:9"], "http://127.0.0.1:9 cannot be reached: [Errno 111] Connection refused."),
        (["rate=auto"], "url is missing. Set e.g. url=http://127.0.0.1:8080."),
    ],
)
def test_fault_is_one_line_with_status_2(arguments, line):
    done = run(*arguments)
    assert (done.returncode, done.stderr.strip(), done.stdout) == (2, line, "")


def test_model_is_sent_a_row_of_its_own_task_when_it_is_not_the_default(serving_bundles, start, tmp_path):
    models = [getattr(serving_bundles, f"{kind}_bundle")(tmp_path / kind) for kind in ("array", "text", "combined")]
    with start(*(f"model={model}" for model in models)) as url:
        short = [f"url={url}", "rate=20", "seconds=0.2", "warm_up_s=0.1", "rows=2", f"out={tmp_path}/load"]
        for name in ("digits", "sentiment", "reviews"):
            assert run(*short, f"model={name}").returncode == 0
            (load,) = json.loads((tmp_path / "load/load.json").read_text())["loads"]
            assert (load["requests"], load["errors"]) == (4, {}), name


def test_record_is_written_when_nothing_can_draw(scripted, reply, tmp_path):
    arguments = ["seconds=0.1", "warm_up_s=0.1", "path=/x", f"out={tmp_path}"]
    document = {"paths": {"/x": {"post": {"requestBody": {"content": {"application/json": {"example": 1}}}}}}}
    with scripted(lambda handler, _, __: reply(handler, 200, json.dumps(document).encode())) as server:
        arguments.append(f"url={server.url}")
        code = f"import sys; sys.modules['matplotlib'] = None\nimport maas.bench\nmaas.bench.main({arguments})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    note = "matplotlib is not installed, so no picture was drawn."
    assert done.stdout.splitlines()[-2:] == [f"{tmp_path}/load.json", note]
    assert [path.name for path in tmp_path.iterdir()] == ["load.json"]


def test_help_names_every_setting():
    from maas.load_testing.settings import LoadSettings

    shown = run("--help").stdout
    assert all(f"\n    {name} " in shown for name in LoadSettings.__dataclass_fields__)

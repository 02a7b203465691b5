"""Every line of the log is one JSON object where that is chosen; processes of their own write them."""

import json
import subprocess
import sys
import time

import pytest

SET_UP = "from maas.serving.observers.log_format import set_up_logging; set_up_logging('json')\n"


def lines_of(code: str) -> list[dict]:
    done = subprocess.run([sys.executable, "-c", SET_UP + code], capture_output=True, text=True, check=False)
    return [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize(
    ("code", "level", "logger", "message"),
    [
        ("import logging; logging.getLogger('uvicorn').warning('a\\nb %s', '好')", "warning", "uvicorn", "a\nb 好"),
        ("import warnings; warnings.warn('old')", "warning", "py.warnings", "old"),
        ("raise OSError('gone')", "critical", "maas.serving", "The server ended by an error: gone"),
        (
            "import threading\ndef f(): raise OSError('gone')\nthreading.Thread(target=f, name='t').start()",
            "critical",
            "maas.serving",
            "The thread t ended by an error: gone",
        ),
        (
            (
                "import asyncio\nasync def f():\n asyncio.get_running_loop().call_soon(lambda: 1 / 0)\n"
                " await asyncio.sleep(0.01)\nasyncio.run(f())"
            ),
            "error",
            "asyncio",
            "Exception in callback",
        ),
    ],
)
def test_line_is_one_object_whatever_wrote_it(code, level, logger, message):
    (line,) = lines_of(code)
    assert (line["level"], line["logger"]) == (level, logger)
    assert message in line["message"]
    assert abs(line["time"] - time.time()) < 60


def test_exception_is_a_field_with_its_traceback():
    (line,) = lines_of("1 / 0")
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ZeroDivisionError: division by zero")


def test_request_and_failure_have_one_form_when_a_server_writes_them(start, array_folder):
    with start(f"model={array_folder}", "access_log=true", "log_format=json") as server:
        assert server.client.post("/predict", json={"input_data": [[1] * 64]}).status_code == 200
        assert server.client.get("/nowhere?token=secret").status_code == 404
        server.process.terminate()
        lines = [json.loads(line) for line in server.process.stderr.read().splitlines()]
    assert [(line["message"], line["status"], line["level"], line["logger"]) for line in lines] == [
        ("POST /predict", 200, "info", "maas.access"),
        ("GET unknown", 404, "info", "maas.access"),
    ]
    assert {"time", "route", "protocol", "model", "version", "request_id", "ms"} <= set(lines[0])
    assert "secret" not in json.dumps(lines)


def test_fault_at_the_start_is_a_json_line_when_that_form_is_chosen(tmp_path):
    command = [sys.executable, "-m", "maas.serve", f"model={tmp_path}", "port=0", "log_format=json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (line,) = map(json.loads, done.stderr.splitlines())
    assert done.returncode == 2
    assert (line["level"], line["logger"]) == ("critical", "maas.serving")
    assert "manifest.json" in line["message"]


@pytest.mark.parametrize("form", ["json", "text"])
def test_line_has_the_number_of_the_process_when_several_write_to_one_stream(form):
    code = (
        "import logging; from maas.serving.observers.log_format import set_up_logging\n"
        f"set_up_logging({form!r}, worker=2); logging.getLogger('maas.serving').warning('swapped')"
    )
    written = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr
    if form == "json":
        assert json.loads(written)["worker"] == 2
    else:
        assert written.endswith(" WARNING maas.serving[2]: swapped\n")

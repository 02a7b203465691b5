"""Bundles in environments of their own, made from their own requirements: no maas is installed there.

They install some hundred packages, and take minutes.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

pytestmark = pytest.mark.slow
MLSERVER = ["mlserver==1.7.1", "mlserver-mlflow==1.7.1", "pandas<3", "uvloop<0.22"]
ROWS = [[1, 2, 3, 4], [0, 16, 0, 16]]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def answer(address: str, content: object = None) -> dict:
    data = None if content is None else json.dumps(content).encode()
    with urlopen(Request(address, data, {"Content-Type": "application/json"}), timeout=60) as reply:
        body = reply.read()
    return json.loads(body) if body.strip() else {}


def wait_for(address: str, process: subprocess.Popen, log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            answer(address)
        except (URLError, OSError):
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(1)
        else:
            return


def ended(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=60)


def clean_environment() -> dict[str, str]:
    """Without what the tests themselves set, a path to maas among it."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MLFLOW_TRACKING_URI")}


@pytest.fixture(scope="module")
def mlserver(tmp_path_factory, arrays, sentences, columns) -> Iterator[str]:
    """MLServer over three bundles, in an environment of its own; gives its address."""
    folder = tmp_path_factory.mktemp("mlserver")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    requirements = ["-r", str(arrays.folder / "requirements.txt")]
    subprocess.run([folder / "venv/bin/pip", "install", "--quiet", *MLSERVER, *requirements], check=True)
    port = free_port()
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (folder / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0}))
    for bundle in (arrays, sentences, columns):
        name = bundle.manifest.name
        parameters = {"uri": str(bundle.folder), **({"content_type": "np"} if bundle is arrays else {})}
        (folder / name).mkdir()
        model = {"name": name, "implementation": "mlserver_mlflow.MLflowRuntime", "parameters": parameters}
        (folder / name / "model-settings.json").write_text(json.dumps(model))
    log = folder / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [folder / "venv/bin/mlserver", "start", "."],
            cwd=folder, stdout=file, stderr=file, env=clean_environment(), start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{port}/v2/health/ready", process, log, 180)
        yield f"http://127.0.0.1:{port}/v2/models"
    finally:
        ended(process)


def outputs(address: str, *inputs: tuple[str, str, list]) -> dict[str, list]:
    tensors = [
        {
            "name": name,
            "datatype": datatype,
            "shape": [len(data), len(data[0])],
            "data": [one for row in data for one in row],
        }
        for name, datatype, data in inputs
    ]
    found = answer(f"{address}/infer", {"inputs": tensors})
    return {one["name"]: one["data"] for one in found["outputs"]}


@pytest.mark.parametrize("datatype", ["FP32", "FP64", "INT64"])
def test_arrays_are_answered_alike_when_mlserver_opens_the_bundle(mlserver, arrays, datatype):
    found = outputs(f"{mlserver}/arrays", ("input", datatype, ROWS))
    assert found["label"] == [one["label"] for one in arrays.predict(ROWS)]
    assert found["score"] == pytest.approx([one["score"] for one in arrays.predict(ROWS)])


def test_texts_and_columns_are_answered_alike_when_mlserver_opens_the_bundle(mlserver, sentences, columns):
    found = outputs(f"{mlserver}/texts", ("text", "BYTES", [["bad"], ["很好"]]))
    assert found["label"] == [one["label"] for one in sentences.predict(["bad", "很好"])]
    hours, carriers = ("hour", "FP64", [[1.5], [3.0]]), ("carrier", "BYTES", [["7"], ["UA"]])
    found = outputs(f"{mlserver}/columns", hours, ("distance", "FP64", [[2.0], [4.5]]), carriers)
    assert found["value"] == [103.5, 207.5]  # 1.5 + 2 + 100, and 3 + 4.5 + 200


@pytest.mark.skipif(shutil.which("pyenv") is None, reason="MLflow makes virtual environments by pyenv")
def test_arrays_are_answered_alike_when_mlflow_makes_a_virtual_environment(arrays, tmp_path):
    port, log = free_port(), tmp_path / "log"
    command = [
        sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(arrays.folder), "--env-manager",
        "virtualenv", "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    environment = {**clean_environment(), "MLFLOW_ENV_ROOT": str(tmp_path / "environments")}
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment, start_new_session=True)
    try:
        wait_for(f"http://127.0.0.1:{port}/ping", process, log, 1800)
        found = answer(f"http://127.0.0.1:{port}/invocations", {"inputs": ROWS})["predictions"]
        assert [one["label"] for one in found] == [one["label"] for one in arrays.predict(ROWS)]
        whole = {"dataframe_split": {"columns": ["a", "b", "c", "d"], "data": ROWS}}
        assert answer(f"http://127.0.0.1:{port}/invocations", whole)["predictions"] == found
    finally:
        ended(process)


def test_dockerfile_copies_the_runtime_when_mlflow_generates_one(arrays, tmp_path):
    """Building the image takes a daemon; what it would hold is looked at."""
    command = [sys.executable, "-m", "mlflow", "models", "generate-dockerfile", "-m", str(arrays.folder)]
    subprocess.run([*command, "-d", str(tmp_path / "image")], check=True, capture_output=True)
    assert "COPY model_dir/arrays /opt/ml/model" in (tmp_path / "image/Dockerfile").read_text()
    copied = tmp_path / "image/model_dir/arrays/code/maas_runtime.zip"
    assert copied.read_bytes() == (arrays.folder / "code/maas_runtime.zip").read_bytes()

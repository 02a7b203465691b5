#!/usr/bin/env bash
# MLServer 1.7.1 serves no model with uvloop 0.22.1 or 0.23.0, the one that a plain `pip install mlserver` brings: each
# process of its inference pool, which is on by default, ends at its start as it takes the current event loop
# (`_ignore_signals` of parallel/worker.py), which uvloop 0.21.0 made for it. The model is "not ready yet", then the
# server ends itself, with exit status 0. Upstream it is issue 2286.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
mkdir "$folder/model"
cat > "$folder/model/runtime.py" <<'PY'
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Echo(MLModel):
    async def predict(self, payload):
        output = NumpyCodec.encode_output("sent", NumpyCodec.decode_input(payload.inputs[0]))
        return InferenceResponse(model_name=self.name, outputs=[output])
PY
echo '{"name": "model", "implementation": "runtime.Echo"}' > "$folder/model/model-settings.json"
cat > "$folder/try.py" <<'PY'
import contextlib
import importlib.metadata
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ERROR = "RuntimeError: There is no current event loop in thread 'MainThread'."
LOG = Path("log")
START_S = 120


def free_ports(count):
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in servers]


@contextlib.contextmanager
def served(http, grpc, metrics):
    environment = {
        **os.environ,
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(http),
        "MLSERVER_GRPC_PORT": str(grpc),
        "MLSERVER_METRICS_PORT": str(metrics),
    }
    command = [str(Path(sys.executable).with_name("mlserver")), "start", "model"]
    with LOG.open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield server
    finally:
        if server.poll() is None:
            server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)


def ask(port):
    """Status and text of one inference, or None while nobody listens."""
    tensor = {"name": "sent", "shape": [2], "datatype": "INT64", "data": [1, 2]}
    url = f"http://127.0.0.1:{port}/v2/models/model/infer"
    request = urllib.request.Request(url, json.dumps({"inputs": [tensor]}).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, str(json.load(answer)["outputs"][0]["data"])
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return None


def answers(server, port):
    """The different answers until the model's first, or the server's end."""
    found = []
    deadline = time.monotonic() + START_S
    while server.poll() is None and time.monotonic() < deadline:
        answer = ask(port)
        if answer and answer not in found:
            found.append(answer)
        if answer and answer[0] == 200:
            break
        time.sleep(0.2)
    return found


ports = free_ports(3)
with served(*ports) as server:
    found = answers(server, ports[0])
    status = server.poll()
errors = LOG.read_text().count(ERROR)
versions = (f"{name} {importlib.metadata.version(name)}" for name in ("mlserver", "uvloop"))
print(*versions, "Python", platform.python_version())
print("  answers:", *(f"{code} {text}" for code, text in found))
print(f"  {errors} processes of the pool ended with {ERROR}" if errors else "  no process of the pool ended")
print("  the server", "runs on" if status is None else f"ended itself, with status {status}")
is_served = (200, "[1, 2]") in found
as_stated = is_served and not errors if sys.argv[1] == "served" else errors and not is_served and status == 0
sys.exit(0 if as_stated else 1)
PY
cd "$folder"
for case in 0.21.0:served 0.22.1:ended 0.23.0:ended; do
    [ "${case#*:}" = served ] && echo "expected: the model predicts, as with" || echo "seen:"
    "$folder/venv/bin/pip" install --quiet \
        mlserver==1.7.1 "uvloop==${case%:*}" fastapi==0.115.14 uvicorn==0.54.0 grpcio==1.85.3 numpy==2.4.6
    "$folder/venv/bin/python" try.py "${case#*:}" || { cat log; exit 1; }
done

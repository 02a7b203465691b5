#!/usr/bin/env bash
# LitServe 0.2.19 polls its queue without a pause where max_batch_size is above 1 and batch_timeout is left at 0, its
# default: an idle server is always busy, in its worker and in the process that holds the queue. With a batch_timeout of
# one millisecond it uses a fraction of that, and without batches next to nothing, as it waits for the queue there.
# Run it where little else runs: beside other load the polling gets less of the processor than it would take.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet litserve==0.2.19 fastapi==0.165.0 uvicorn==0.54.0 psutil==7.2.2
cd "$folder"
cat > serve.py <<'PY'
import json
import sys

import litserve


class Echo(litserve.LitAPI):
    def setup(self, device):
        pass

    def predict(self, inputs):
        return inputs


if __name__ == "__main__":
    server = litserve.LitServer(Echo(**json.loads(sys.argv[2])), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
PY
cat > try.py <<'PY'
import contextlib
import importlib.metadata
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import psutil

IDLE_S = 5
START_S = 120


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_for_prediction(port):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/predict", b'{"sent": 1}', headers)
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=START_S) as answer:
                return json.load(answer)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextlib.contextmanager
def served(**settings):
    """The processes of a server that has answered once."""
    port = free_port()
    server = psutil.Popen([sys.executable, "serve.py", str(port), json.dumps(settings)])
    processes = [server]
    try:
        assert wait_for_prediction(port) == {"sent": 1}
        processes += server.children(recursive=True)
        yield processes
    finally:
        processes += [child for child in server.children(recursive=True) if child not in processes]
        server.send_signal(signal.SIGINT)
        for process in psutil.wait_procs(processes, timeout=20)[1]:
            process.kill()


def cpu_s(processes):
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def idle_cpu_s(**settings):
    with served(**settings) as processes:
        time.sleep(1)
        before = cpu_s(processes)
        time.sleep(IDLE_S)
        return cpu_s(processes) - before


print(*(f"{name} {importlib.metadata.version(name)}" for name in ("litserve", "fastapi", "uvicorn")))
single = idle_cpu_s(max_batch_size=1)
waiting = idle_cpu_s(max_batch_size=8, batch_timeout=0.001)
default = idle_cpu_s(max_batch_size=8)
print(f"processor time of all the server's processes in {IDLE_S} s without requests")
print(f"expected: next to none, as without batches: {single:.2f} s")
print(f"seen:     {default:.2f} s with max_batch_size=8 and {waiting:.2f} s with batch_timeout=0.001 as well,")
print(f"          {default / waiting:.1f} times as much")
sys.exit(0 if default > 2 * waiting and default > 10 * single else 1)
PY
"$folder/venv/bin/python" try.py

"""`workers=2`: processes behind one port, of which one may die at any time."""

import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import httpx
import psutil
import pytest

ZEROS = json.dumps({"input_data": [[0] * 64]}).encode()
COUNT = 'maas_requests_total{model="digits",protocol="rest",route="/predict",status="200",version="1"}'


def wait_until(condition) -> None:
    """Waits; pytest's own timeout ends a wait in vain."""
    while not condition():
        time.sleep(0.01)


def workers_of(server) -> list[psutil.Process]:
    """The workers of a server, in the order of their start."""
    children = psutil.Process(server.process.pid).children()
    return sorted((one for one in children if "maas.serving.workers.worker" in one.cmdline()), key=lambda one: one.pid)


def processes_that_reply(server) -> set[str]:
    """The beginnings of request ids, one a process, of requests on connections of their own."""
    with httpx.Client(base_url=server.url, headers={"connection": "close"}) as client:
        replies = [client.get("/v2/health/live") for _ in range(8)]
    return {reply.headers["x-request-id"].partition("-")[0] for reply in replies}


class SteadyClient(threading.Thread):
    """Sends requests on one connection, and again on another where that breaks, until it is stopped or refused."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.replies: list[tuple[int, str]] = []
        self.broken: list[str] = []
        self.is_stopped = self.is_refused = False
        self.start()

    def run(self) -> None:
        while not (self.is_stopped or self.is_refused):
            connection = http.client.HTTPConnection("127.0.0.1", self.port)
            try:
                connection.connect()
            except ConnectionRefusedError:
                self.is_refused = True
            else:
                self._send_on(connection)
            connection.close()

    def _send_on(self, connection: http.client.HTTPConnection) -> None:
        while not self.is_stopped and connection.sock is not None:
            try:
                connection.request("POST", "/predict", ZEROS)
                reply = connection.getresponse()
                reply.read()
            except (http.client.HTTPException, OSError):
                self.broken.append(self.replies[-1][1] if self.replies else "")
                return
            self.replies.append((reply.status, reply.headers["x-request-id"].partition("-")[0]))


@pytest.fixture(scope="module")
def fresh():
    """A client whose requests each have a connection of their own."""
    with httpx.Client(headers={"connection": "close"}) as client:
        yield client


@pytest.fixture(scope="module")
def pair(start, array_folder):
    """A server of two workers."""
    with start(f"model={array_folder}", "workers=2", "admin_port=0") as server:
        server.admin = re.search(r"administration: (\S+)", server.process.stdout.readline())[1]
        assert server.process.stdout.readline() == "workers: 2 processes\n"
        yield server


def test_supervisor_opens_no_model_when_workers_serve(pair):
    maps = {path.path for path in psutil.Process(pair.process.pid).memory_maps()}
    assert not [path for path in maps if "onnxruntime" in path or "numpy" in path]
    assert len(workers_of(pair)) == 2


def test_metrics_are_those_of_all_workers_at_any_of_them(pair, fresh):
    before, prefixes = pair.metric(COUNT), set()
    sent = 0
    while len(prefixes) < 2 or sent < 20:
        reply = fresh.post(f"{pair.url}/predict", content=ZEROS)  # on a connection of its own
        assert reply.status_code == 200
        prefixes.add(reply.headers["x-request-id"].partition("-")[0])
        sent += 1
    pages: set[str] = set()
    while len(pages) < 2:
        page = fresh.get(f"{pair.url}/metrics")
        pages.add(page.headers["x-request-id"].partition("-")[0])
        assert float(re.search(rf"^{re.escape(COUNT)} (\S+)$", page.text, re.MULTILINE)[1]) == before + sent
    stats = {
        fresh.get(f"{pair.url}/v2/models/digits/stats").json()["model_stats"][0]["inference_count"] for _ in range(8)
    }
    assert stats == {before + sent}
    assert fresh.get(f"{pair.url}/v2/models/z/stats").status_code == 404
    memory = sum(one.memory_info().rss for one in workers_of(pair))
    assert pair.metric("process_resident_memory_bytes") == pytest.approx(memory, rel=0.2)
    info = re.findall(r"^maas_model_info\{.*\} (\S+)$", pair.client.get("/metrics").text, re.MULTILINE)
    assert info == ["1.0"]


def test_administrator_reaches_all_workers_through_any_of_them(pair, fresh):
    for _ in range(2):
        assert fresh.post(f"{pair.admin}/v2/repository/models/digits/unload").json() == {}
        ready = {fresh.get(f"{pair.url}/v2/models/digits/ready").status_code for _ in range(8)}
        assert ready == {404}
        index = fresh.post(f"{pair.admin}/v2/repository/index").json()
        assert [(one["state"], one["reason"]) for one in index] == [("UNAVAILABLE", "unloaded")]
        assert fresh.post(f"{pair.admin}/v2/repository/models/digits/load").json() == {}
        assert {fresh.get(f"{pair.url}/v2/models/digits/ready").status_code for _ in range(8)} == {200}
    unknown = fresh.post(f"{pair.admin}/v2/repository/models/z/load")
    assert unknown.status_code == 404
    assert unknown.json()["error"].endswith("No model 'z' is known here; there is digits.")


def test_others_continue_when_a_worker_is_killed_and_another_takes_its_place(start, fresh, array_folder):
    with start(f"model={array_folder}", "workers=2", "admin_port=0") as server:
        admin = re.search(r"administration: (\S+)", server.process.stdout.readline())[1]
        clients = [SteadyClient(server.port) for _ in range(8)]
        wait_until(lambda: all(len(client.replies) > 20 for client in clients))
        fresh.post(f"{admin}/v2/repository/models/digits/load")
        counted, killed = server.metric(COUNT), workers_of(server)[0]
        server.client.close()
        killed.kill()
        before = [len(client.replies) for client in clients]
        wait_until(lambda: all(len(client.replies) > count + 20 for client, count in zip(clients, before, strict=True)))
        wait_until(lambda: killed not in workers_of(server) and len(workers_of(server)) == 2)
        wait_until(lambda: len(processes_that_reply(server)) == 2)
        for client in clients:
            client.is_stopped = True
            client.join()
        broken = [prefix for client in clients for prefix in client.broken]
        assert all(len(client.broken) <= 1 for client in clients)
        assert len(set(broken)) <= 1  # connections of the one that was killed
        assert {status for client in clients for status, _ in client.replies} == {200}
        counts = re.findall(rf"^{re.escape(COUNT)} (\S+)$", fresh.get(f"{server.url}/metrics").text, re.MULTILINE)
        assert float(counts[0]) > counted
        server.process.terminate()
        assert server.process.wait() == 0
        assert (
            f"Worker 1 (process {killed.pid}) ended by signal SIGKILL and is replaced." in server.process.stderr.read()
        )


def test_nothing_is_lost_when_workers_are_stopped_under_load(start, array_folder):
    with start(f"model={array_folder}", "workers=2") as server:
        clients = [SteadyClient(server.port) for _ in range(8)]
        wait_until(lambda: all(len(client.replies) > 20 for client in clients))
        workers = workers_of(server)
        server.client.close()
        server.process.terminate()
        for client in clients:
            client.join()
        assert [client.broken for client in clients] == [[]] * 8
        assert {status for client in clients for status, _ in client.replies} == {200}
        assert server.process.wait() == 0
        assert server.process.stderr.read() == ""
        assert not psutil.wait_procs(workers)[1]


@pytest.mark.slow
def test_all_workers_read_the_settings_again_after_a_hangup_and_speak_grpc(start, fresh, array_folder, tmp_path):
    from tritonclient.grpc import InferenceServerClient

    file = tmp_path / "models.yaml"
    file.write_text(f"models: [{{model: {array_folder}}}]")
    with start(f"models={file}", "workers=2", "grpc_port=0") as server:
        address = re.search(r"gRPC: (\S+)", server.process.stdout.readline())[1]
        with InferenceServerClient(address) as client:
            assert client.is_model_ready("digits")
        file.write_text(f"models: [{{model: {array_folder}}}, {{model: {array_folder}, name: second}}]")
        server.process.send_signal(signal.SIGHUP)
        ready: dict[str, int] = {}
        while sorted(ready.values()) != [200, 200]:
            reply = fresh.get(f"{server.url}/v2/models/second/ready")
            ready[reply.headers["x-request-id"].partition("-")[0]] = reply.status_code
        file.write_text("models: [")  # a file that is wrong by now changes nothing, not for a new worker either
        for worker in workers_of(server):
            worker.kill()
        wait_until(lambda: len(processes_that_reply(server) - ready.keys()) == 2)
        assert {fresh.get(f"{server.url}/v2/models/second/ready").status_code for _ in range(8)} == {200}
        with InferenceServerClient(address) as client:
            assert client.is_model_ready("second")
        server.process.terminate()
        assert server.process.wait() == 0


def test_workers_end_when_their_supervisor_is_killed(start, array_folder):
    with start(f"model={array_folder}", "workers=2") as server:
        workers = workers_of(server)
        server.process.kill()
        assert not psutil.wait_procs(workers)[1]


def test_worker_that_cannot_start_is_one_line_and_status_2(tmp_path):
    command = [sys.executable, "-m", "maas.serve", f"model={tmp_path}", "port=0", "workers=2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "holds no manifest.json; name the folder of a bundle" in done.stderr


@pytest.mark.slow
def test_server_ends_with_what_was_wrong_when_no_worker_can_take_another_s_place(start, array_folder, tmp_path):
    folder = shutil.copytree(array_folder, tmp_path / "bundle")
    with start(f"model={folder}", "workers=2") as server:
        (folder / "manifest.json").unlink()
        for worker in workers_of(server):
            worker.kill()
        assert server.process.wait() == 2
        lines = server.process.stderr.read().splitlines()
    assert "holds no manifest.json; name the folder of a bundle" in lines[-1]
    assert [line for line in lines if "cannot start, and is tried again in 0.2 s" in line]


def test_second_signal_ends_all_workers_at_once(start, array_folder):
    with start(f"model={array_folder}", "workers=2") as server:
        workers = workers_of(server)
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.putrequest("POST", "/predict")
        connection.putheader("content-length", "100")
        connection.endheaders()  # and no body: the workers wait for it
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGINT)  # two of one number may be delivered as one
        assert server.process.wait() == 0
        assert not psutil.wait_procs(workers)[1]
        connection.close()


def test_worker_offers_what_a_server_of_one_process_does(pair, array_server):
    assert array_server.client.post("/predict", content=ZEROS).status_code == 200
    assert pair.client.get("/openapi.json").json() == array_server.client.get("/openapi.json").json()


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(10))
def test_no_request_on_a_new_connection_is_lost_when_workers_are_stopped(start, array_folder, fresh_client, attempt):
    with start(f"model={array_folder}", "workers=2") as server:
        clients = [fresh_client(server.port, ZEROS) for _ in range(8)]
        time.sleep(0.3 + 0.01 * attempt)
        server.process.terminate()
        for client in clients:
            client.join()
        assert server.process.wait() == 0
        outcomes = [outcome for client in clients for outcome in client.outcomes]
        assert len(outcomes) > 50
        assert [outcome for outcome in outcomes if outcome.status != 200] == []


@pytest.mark.slow
def test_new_requests_are_answered_within_a_second_whenever_a_worker_is_killed(start, array_folder):
    with start(f"model={array_folder}", "workers=2") as server:
        for _ in range(6):
            wait_until(lambda: len(processes_that_reply(server)) == 2)
            workers_of(server)[0].kill()
            deadline_s = time.monotonic() + 2
            while time.monotonic() < deadline_s:
                connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=1)
                connection.request("POST", "/predict", ZEROS)
                assert connection.getresponse().status == 200
                connection.close()


def test_worker_that_replies_to_nothing_is_named_ended_and_replaced_when_all_change(
    start, hung_module, fresh, array_folder
):
    with start(f"model={array_folder}", "workers=2", "admin_port=0", module=hung_module) as server:
        admin = re.search(r"administration: (\S+)", server.process.stdout.readline())[1]
        hung = workers_of(server)[1]
        hung.suspend()
        assert fresh.post(f"{admin}/v2/repository/models/digits/load", timeout=60).json() == {}
        line = server.process.stderr.readline()
        assert re.search(rf"Worker [12] \(process {hung.pid}\) has replied to nothing for 5 s and is ended\.", line)
        wait_until(lambda: len(workers_of(server)) == 2 and hung not in workers_of(server))
        wait_until(lambda: len(processes_that_reply(server)) == 2)

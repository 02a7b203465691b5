"""The server as a process: what it loads, how it stops, what it says."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import jsonschema
import psutil
import pytest

HEAVY = "torch lightning hydra omegaconf datasets transformers pandas sklearn matplotlib onnx mlflow scipy"
ZEROS = json.dumps({"input_data": [[0] * 64]}).encode()


def wait_until(condition) -> None:
    """Waits; pytest's own timeout ends a wait in vain."""
    while not condition():
        time.sleep(0.01)


def asked(server, found: list) -> threading.Thread:
    """Asks from a thread of its own; the status and headers are appended to `found`."""

    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("POST", "/predict", ZEROS)
        response = connection.getresponse()
        response.read()
        found.append((response.status, response.headers))
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def test_server_imports_nothing_heavy():
    found = f"[name for name in {HEAVY.split()!r} if name in sys.modules]"
    code = f"import sys, maas.serve, maas.serving.workers.worker; print({found})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_server_stays_below_150_megabytes(text_server):
    text_server.client.post("/v1/text-classification", json={"text": "好"})
    assert psutil.Process(text_server.process.pid).memory_info().rss < 150e6
    maps = "\n".join(mapped.path for mapped in psutil.Process(text_server.process.pid).memory_maps())
    assert "onnxruntime" in maps
    assert "torch" not in maps


def test_server_says_where_it_is_and_its_example_works(array_server):
    ready, documentation, example = array_server.lines
    assert re.match(r"digits version 1 is served at http://127\.0\.0\.1:\d+ ", ready)
    assert array_server.client.get(documentation.split()[1]).status_code == 200
    done = subprocess.run(["bash", "-c", example], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == {"label", "score"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_server_answers_what_it_accepted_and_exits_with_0(start, array_folder, slow_module, number):
    with start(f"model={array_folder}", "batch_size=1", module=slow_module) as server:
        found: list = []
        threads = [asked(server, found) for _ in range(3)]
        wait_until(lambda: server.metric('maas_queue_rows{model="digits",version="1"}') == 2)
        server.client.close()
        server.process.send_signal(number)
        for thread in threads:
            thread.join()
        assert [status for status, _ in found] == [200, 200, 200]
        assert server.process.wait() == 0
        assert server.process.stderr.read() == ""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))


def test_stopped_server_ends_when_a_run_of_its_model_never_does(start, array_folder, stuck_module):
    with start(f"model={array_folder}", "batch_size=1", module=stuck_module) as server:
        waiting = socket.create_connection(("127.0.0.1", server.port))
        waiting.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(ZEROS), ZEROS))
        wait_until(lambda: server.metric('maas_batch_rows_count{model="digits",version="1"}') == 1)
        server.client.close()
        server.process.terminate()
        assert server.process.wait() == 0
        assert waiting.recv(1) == b""
        waiting.close()
        written = server.process.stderr.read()
    assert "Work of models did not end within" in written
    assert "The server is ended: work in it did not end within" in written


def test_server_goes_on_after_a_hangup_when_that_was_ignored_before(array_folder):
    command = ["nohup", sys.executable, "-m", "maas.serve", f"model={array_folder}", "port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        url = re.search(r"http://\S+?:\d+", process.stdout.readline())[0]
        process.send_signal(signal.SIGHUP)
        assert httpx.post(f"{url}/predict", content=ZEROS).status_code == 200
        process.terminate()
        assert process.wait() == 0


def test_full_queue_answers_503_and_when_to_come_back(start, array_folder, slow_module):
    with start(f"model={array_folder}", "batch_size=1", "max_queue=1", module=slow_module) as server:
        found: list = []
        threads = [asked(server, found)]
        wait_until(lambda: server.metric('maas_batch_rows_count{model="digits",version="1"}') == 1)
        threads.append(asked(server, found))
        wait_until(lambda: server.metric('maas_queue_rows{model="digits",version="1"}') == 1)
        refused = server.client.post("/predict", content=ZEROS)
        for thread in threads:
            thread.join()
        assert [status for status, _ in found] == [200, 200]
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["code"] == "overloaded"
        assert "holds 1 rows of at most 1" in refused.json()["error"]


def test_request_of_a_client_that_left_is_not_run(start, array_folder, slow_module):
    with start(f"model={array_folder}", "batch_size=1", module=slow_module) as server:
        found: list = []
        threads = [asked(server, found)]
        wait_until(lambda: server.metric('maas_batch_rows_count{model="digits",version="1"}') == 1)
        with socket.create_connection(("127.0.0.1", server.port)) as leaving:
            leaving.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(ZEROS), ZEROS))
            wait_until(lambda: server.metric('maas_queue_rows{model="digits",version="1"}') == 1)
        threads.append(asked(server, found))
        gone = 'maas_requests_total{model="digits",protocol="rest",route="/predict",status="499",version="1"}'
        wait_until(lambda: server.metric(gone) == 1)
        for thread in threads:
            thread.join()
        assert [status for status, _ in found] == [200, 200]
        assert server.metric('maas_batch_rows_count{model="digits",version="1"}') == 2


def test_port_in_use_is_one_line_and_status_2(array_server, array_folder):
    command = [sys.executable, "-m", "maas.serve", f"model={array_folder}", f"port={array_server.port}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"Cannot listen on 127.0.0.1:{array_server.port}: Address already in use. Choose another port" in done.stderr


def test_address_of_another_machine_is_one_line_and_status_2(array_folder):
    command = [sys.executable, "-m", "maas.serve", f"model={array_folder}", "host=192.0.2.1", "port=0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Cannot listen on 192.0.2.1:0" in done.stderr
    assert "Name an address of this machine, e.g. host=127.0.0.1." in done.stderr


def test_access_log_is_one_json_line_a_request(start, array_folder):
    with start(f"model={array_folder}", "access_log=true") as server:
        replies = [
            server.client.post("/predict", content=ZEROS, headers={"x-request-id": "mine-7"}),
            server.client.get("/nothing", headers={"x-request-id": "two words"}),
        ]
        server.process.terminate()
        lines = [json.loads(line) for line in server.process.stderr.read().splitlines()]
    assert [(line["route"], line["model"], line["status"]) for line in lines] == [
        ("/predict", "digits", 200),
        ("unknown", "", 404),
    ]
    assert [(line["protocol"], line["version"]) for line in lines] == [("rest", "1"), ("server", "")]
    assert [line["request_id"] for line in lines] == [reply.headers["x-request-id"] for reply in replies]
    assert lines[0]["request_id"] == "mine-7"
    assert len({line["request_id"] for line in lines}) == 2


def test_reply_names_the_model_and_its_version_when_a_model_ran(array_server):
    reply = array_server.client.post("/predict", content=ZEROS)
    assert (reply.headers["maas-model"], reply.headers["maas-version"]) == ("digits", "1")
    assert "maas-model" not in array_server.client.get("/v2/health/live").headers


def test_metrics_count_requests_by_route_model_and_status(text_server):
    labels = 'model="sentiment",protocol="rest",route="/v1/text-classification",status="200",version="1"'
    line = f"maas_requests_total{{{labels}}}"
    before = text_server.metric(line)
    text_server.client.post("/v1/text-classification", json={"text": "好"})
    assert text_server.metric(line) == before + 1
    assert text_server.metric("process_resident_memory_bytes") > 0


def test_page_needs_nothing_from_elsewhere(text_server, array_server):
    for server in (text_server, array_server):
        page = server.client.get("/docs").text
        assert not re.findall(r"""(?:src|href)=["'](?:/|\w+://)|@import|url\(|//[a-z]""", page)
        assert "{{" not in page
        assert "curl -s $ORIGIN/predict" in page


def test_openapi_examples_fit_their_schemas_and_every_route_is_there(text_server, array_server):
    for server in (text_server, array_server):
        described = server.client.get("/openapi.json").json()
        assert described["openapi"] == "3.1.0"
        assert {"/predict", "/metrics", "/v2/models/{name}/infer"} <= set(described["paths"])
        for operations in described["paths"].values():
            for operation in operations.values():
                assert operation["summary"].endswith(".")
                contents = [
                    operation["responses"]["200"]["content"],
                    operation.get("requestBody", {}).get("content", {}),
                ]
                for content in (content for kinds in contents for content in kinds.values()):
                    jsonschema.Draft202012Validator.check_schema(content["schema"])
                    jsonschema.validate(content["example"], content["schema"])


def test_head_is_answered_like_get_without_a_body(text_server):
    response = text_server.client.head("/v2/health/ready")
    assert (response.status_code, response.content) == (200, b"")

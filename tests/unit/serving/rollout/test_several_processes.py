"""Roll-outs of a server of two processes: what an administrator changes, and what one of them finds, holds in both."""

import re
import signal
import time
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

ROWS, FAILING = {"input_data": [[3] * 64]}, {"input_data": [[16] * 64]}


def wait_until(condition) -> None:
    """Waits; pytest's own timeout ends a wait in vain."""
    while not condition():
        time.sleep(0.01)


def kill_one(server) -> None:
    workers = [one for one in psutil.Process(server.process.pid).children() if "workers.worker" in str(one.cmdline())]
    workers[0].kill()
    wait_until(lambda: not workers[0].is_running() or workers[0].status() == psutil.STATUS_ZOMBIE)


@pytest.fixture(scope="module")
def place(tmp_path_factory, bundles) -> Path:
    """A folder with versions 3 and 7, of which the second fails for some rows."""
    place = tmp_path_factory.mktemp("pair")
    bundles.array_bundle(place / "a")
    bundles.failing_bundle(place / "failing")
    return place


@pytest.fixture(scope="module")
def models_file(place):
    """What writes a file of models."""

    def write(**rollouts) -> None:
        entries = [{"model": str(place / name), "version": version} for name, version in (("a", 3), ("failing", 7))]
        (place / "models.yaml").write_text(yaml.safe_dump({"models": entries, "rollouts": rollouts}))

    return write


@pytest.fixture(scope="module")
def pair(start, place, models_file):
    """A server of two workers."""
    models_file()
    settings = (f"models={place / 'models.yaml'}", f"state={place / 'state'}")
    with start(*settings, "workers=2", "admin_port=0") as server:
        url = re.search(r"administration: (\S+)", server.process.stdout.readline())[1]
        assert server.process.stdout.readline() == "workers: 2 processes\n"
        with httpx.Client(base_url=url, timeout=60) as administrator:
            yield server, administrator


def replies_of_both(server, rows=ROWS, **headers) -> list[httpx.Response]:
    """Replies of a connection to each of the processes, which request ids tell apart."""
    found: dict[str, httpx.Response] = {}
    with httpx.Client(base_url=server.url, headers={"connection": "close", **headers}, timeout=60) as client:
        while len(found) < 2:
            reply = client.post("/predict", json=rows)
            found[reply.headers["x-request-id"].partition("-")[0]] = reply
    return list(found.values())


def versions(server) -> list[str]:
    return [reply.headers["maas-version"] for reply in replies_of_both(server)]


def test_change_holds_in_all_processes_and_in_one_that_is_started_later(pair):
    server, administrator = pair
    canary = {"kind": "canary", "model": "digits", "candidate": "7", "percent": 100}
    assert administrator.put("/v1/rollouts/digits-7", json=canary).status_code == 200
    assert versions(server) == ["7", "7"]
    kill_one(server)
    assert versions(server) == ["7", "7"]
    assert administrator.delete("/v1/rollouts/digits-7").status_code == 200
    assert versions(server) == ["3", "3"]


def test_process_that_is_started_later_has_the_rollouts_of_the_others_whatever_the_file_has_by_then(
    start, place, models_file
):
    split = {"kind": "ab", "model": "digits", "versions": {"3": 0, "7": 1}}
    models_file(test=split)
    with start(f"models={place / 'models.yaml'}", "workers=2") as server:
        assert versions(server) == ["7", "7"]
        models_file()
        kill_one(server)
        assert versions(server) == ["7", "7"]
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: versions(server) == ["3", "3"])
        kill_one(server)
        assert versions(server) == ["3", "3"]


def test_candidate_is_returned_in_all_processes_when_one_finds_that_it_fails(pair):
    server, administrator = pair
    bounds = {"max_error_fraction": 0.5, "min_requests": 4}
    canary = {"kind": "canary", "model": "digits", "candidate": "7", "percent": 100, "bounds": bounds}
    assert administrator.put("/v1/rollouts/digits-7", json=canary).status_code == 200
    with httpx.Client(base_url=server.url, timeout=60) as client:  # one connection: one process
        statuses = [client.post("/predict", json=FAILING).status_code for _ in range(5)]
    assert statuses == [500] * 4 + [200]
    wait_until(lambda: versions(server) == ["3", "3"])
    found = administrator.get("/v1/rollouts/digits-7").json()
    assert (found["status"], found["reason"]) == ("returned", "4 of its latest 4 requests failed (1); allowed is 0.5")
    administrator.delete("/v1/rollouts/digits-7")

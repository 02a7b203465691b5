"""Roll-outs of a server that serves several versions of a model: canary, A/B and shadow, and what survives it."""

import contextlib
import math
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import jsonschema
import numpy as np
import psutil
import pytest
import yaml

from maas.serving.rollout.assignment import point_of, role_at

ROWS = {"input_data": [[3] * 64]}
FAILING = {"input_data": [[16] * 64]}
"""Rows that version 7 fails for."""


@pytest.fixture(scope="module")
def place(tmp_path_factory, bundles) -> Path:
    """A folder with bundles: `a`, the same again as `same`, and one that gives other predictions, `b`."""
    place = tmp_path_factory.mktemp("versions")
    bundles.array_bundle(place / "a")
    bundles.array_bundle(place / "same")
    bundles.array_bundle(place / "b", seed=1)
    bundles.array_bundle(place / "narrow", width=4)
    bundles.failing_bundle(place / "failing")
    return place


def models_file(place: Path, **rollouts) -> str:
    entries = [
        {"model": str(place / "a"), "version": 3},
        {"model": str(place / "b"), "version": 4, "labels": ["next"]},
        {"model": str(place / "same"), "version": 5},
        {"model": str(place / "narrow"), "version": 6},
        {"model": str(place / "failing"), "version": 7},
    ]
    file = place / "models.yaml"
    file.write_text(yaml.safe_dump({"models": entries, "rollouts": rollouts}))
    return f"models={file}"


class Administrator:
    """What an administrator sends to a server."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def put(self, name: str, **rollout) -> httpx.Response:
        return self.client.put(f"/v1/rollouts/{name}", json={"model": "digits", **rollout})

    def end(self, name: str) -> None:
        assert self.client.delete(f"/v1/rollouts/{name}").status_code == 200


@contextlib.contextmanager
def administrating(server) -> Iterator[Administrator]:
    url = printed(server, r"administration: (http://\S+)")
    with httpx.Client(base_url=url, timeout=60) as client:
        yield Administrator(client)


def printed(server, pattern: str) -> str:
    lines = iter(server.process.stdout.readline, "")
    return next(found[1] for line in lines if (found := re.match(pattern, line)))


@pytest.fixture(scope="module")
def served(start, place):
    with start(models_file(place), "admin_port=0", "grpc_port=0") as server, administrating(server) as administrator:
        yield server, administrator


@pytest.fixture(scope="module")
def grpc_address(served) -> str:
    return printed(served[0], r"gRPC: (\S+)")


def versions(server, count: int, **headers: str) -> list[tuple[str, str | None]]:
    found = []
    for _ in range(count):
        reply = server.client.post("/predict", json=ROWS, headers=headers)
        assert reply.status_code == 200, reply.text
        found.append((reply.headers["maas-version"], reply.headers.get("maas-rollout")))
    return found


def test_canary_gets_its_share_and_named_versions_none(served):
    server, administrator = served
    assert versions(server, 1) == [("3", None)]
    put = administrator.put("digits-4", kind="canary", candidate="next", percent=25)
    assert put.status_code == 200
    assert put.json()["versions"] == {"stable": "3", "candidate": "4"}
    count = 400
    found = versions(server, count)
    assert set(found) == {("3", "stable"), ("4", "candidate")}
    share = found.count(("4", "candidate")) / count
    assert abs(share - 0.25) < 5 * math.sqrt(0.25 * 0.75 / count)  # 5 standard deviations: once in 2 million runs
    named = server.client.post("/predict", json={**ROWS, "version": "3"})
    assert (named.headers["maas-version"], named.headers.get("maas-rollout")) == ("3", None)
    named = server.client.post("/predict", json={**ROWS, "version": "next"})
    assert (named.headers["maas-version"], named.headers.get("maas-rollout")) == ("4", None)
    administrator.end("digits-4")
    assert versions(server, 1) == [("3", None)]


def test_header_forces_a_role_when_the_rollout_has_it(served):
    server, administrator = served
    assert administrator.put("digits-4", kind="canary", candidate="4", percent=0).status_code == 200
    assert versions(server, 1) == [("3", "stable")]
    assert versions(server, 1, **{"maas-rollout": "candidate"}) == [("4", "candidate")]
    assert versions(server, 1, **{"maas-rollout": "b"}) == [("3", "stable")]
    assert administrator.put("digits-4", kind="canary", candidate="4", percent=100).status_code == 200
    assert versions(server, 1) == [("4", "candidate")]
    assert versions(server, 1, **{"maas-rollout": "stable"}) == [("3", "stable")]
    administrator.end("digits-4")


def test_every_protocol_gets_the_candidate_when_no_version_is_named(served):
    server, administrator = served
    assert administrator.put("digits-4", kind="canary", candidate="4", percent=100).status_code == 200
    row = [3] * 64
    tensor = {"name": "input", "shape": [1, 64], "datatype": "FP32", "data": row}
    replies = [
        server.client.post(path, json=body)
        for path, body in [
            ("/predict", {"input_data": [row]}),
            ("/predict", {"input_data": [row] * 300}),  # read by another process
            ("/v1/tabular-classification", {"input": row}),
            ("/v1/predictions", {"inputs": [row]}),
            ("/v2/models/digits/infer", {"inputs": [tensor]}),
            ("/v1/models/digits:predict", {"instances": [row]}),
            ("/invocations", {"inputs": [row]}),
        ]
    ]
    assert [(one.status_code, one.headers.get("maas-version"), one.headers.get("maas-rollout")) for one in replies] == [
        (200, "4", "candidate")
    ] * len(replies)
    named = server.client.post("/v2/models/digits/versions/3/infer", json={"inputs": [tensor]})
    assert (named.headers["maas-version"], named.headers.get("maas-rollout")) == ("3", None)
    unknown = server.client.post("/v2/models/digits/versions/9/infer", json={"inputs": [tensor]})
    assert "versions 3, 4 (next), 5, 6 and 7, not 9" in unknown.json()["error"]
    administrator.end("digits-4")


def test_grpc_gets_the_candidate_and_its_callers_have_keys_and_roles(served, grpc_address):
    from tritonclient.grpc import InferenceServerClient, InferInput

    _, administrator = served
    assert administrator.put("digits-4", kind="canary", candidate="4", percent=50).status_code == 200
    tensor = InferInput("input", [1, 64], "FP32")
    tensor.set_data_from_numpy(np.full((1, 64), 3, np.float32))
    with InferenceServerClient(grpc_address) as client:
        for user in ("ann", "bob", "cai", "dee"):
            role = role_at(point_of("digits", "digits-4", user.encode()), {"candidate": 0.5, "stable": 0.5})
            found = client.infer("digits", [tensor], headers={"maas-user": user})
            assert found.get_response().model_version == {"candidate": "4", "stable": "3"}[role]
        for role, version in (("candidate", "4"), ("stable", "3")):
            found = client.infer("digits", [tensor], headers={"maas-rollout": role})
            assert found.get_response().model_version == version
    administrator.end("digits-4")


def test_user_has_one_version_when_the_key_is_in_the_query(served):
    server, administrator = served
    assert administrator.put("test", kind="ab", versions={"3": 1, "4": 1}, key="customer").status_code == 200
    for user in map(str, range(12)):
        role = role_at(point_of("digits", "test", user.encode()), {"a": 0.5, "b": 0.5})
        replies = [
            server.client.post("/predict", json=ROWS, params={"customer": user}),
            server.client.post("/predict", json=ROWS, headers={"customer": user}),
        ]
        assert {reply.headers["maas-rollout"] for reply in replies} == {role}
    administrator.end("test")


def copied(server, result: str) -> float:
    return server.metric(f'maas_shadow_total{{model="digits",result="{result}"}}')


def wait_until(condition) -> None:
    """Waits; pytest's own timeout ends a wait in vain."""
    while not condition():
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("candidate", "rows", "result"),
    [
        ("5", ROWS, "same"),
        ("4", ROWS, "different"),
        ("7", FAILING, "failed"),
        ("5", {"input_data": [[3] * 64] * 300}, "same"),
    ],
)
def test_shadow_compares_and_callers_get_what_they_got_before(served, candidate, rows, result):
    server, administrator = served
    before = server.client.post("/predict", json=rows)
    counted = copied(server, result)
    assert administrator.put("shadow", kind="shadow", candidate=candidate, percent=100).status_code == 200
    for _ in range(5):
        reply = server.client.post("/predict", json=rows)
        assert (reply.status_code, reply.content) == (200, before.content)
        assert (reply.headers["maas-version"], reply.headers["maas-rollout"]) == ("3", "stable")
    wait_until(lambda: copied(server, result) == counted + 5)
    administrator.end("shadow")


def test_no_copy_is_sent_when_its_percentage_is_0(served):
    server, administrator = served
    runs = 'maas_batch_rows_count{model="digits",version="4"}'
    before = server.metric(runs)
    assert administrator.put("shadow", kind="shadow", candidate="4", percent=0).status_code == 200
    versions(server, 3)
    administrator.end("shadow")
    assert server.metric(runs) == before


@pytest.mark.parametrize(
    ("name", "rollout", "message"),
    [
        (
            "x",
            {"kind": "canary", "candidate": "9"},
            "Version 9 of digits is not served. Name another version; there is 3, ",
        ),
        ("x", {"kind": "canary", "candidate": "3"}, "Version 3 of digits is the stable version itself. Name another"),
        (
            "x",
            {"kind": "canary", "candidate": "6"},
            "Version 6 of digits takes other inputs than the stable version 3.",
        ),
        ("x", {"kind": "canary", "model": "z", "candidate": "4"}, "No model 'z' is served here; there is digits."),
        ("x", {"kind": "canary", "candidate": "4", "percent": 101}, "Expected `float` <= 100.0 - at `$.percent`"),
        (
            "x",
            {"kind": "canary", "candidate": "4", "bounds": {}},
            "bounds has no bound; set max_error_fraction, max_lat",
        ),
        ("x", {"kind": "canary", "candidate": "4", "prcent": 1}, "Object contains unknown field `prcent`"),
        ("x", {"kind": "canary", "candidate": "4", "key": "A b"}, "Expected `str` matching regex"),
        ("x", {"kind": "blue"}, "Invalid value 'blue' - at `$.kind`"),
        ("x", {"kind": "ab", "versions": {"3": 1}}, "versions has 1; an A/B test has 2 to 26"),
        ("x", {"kind": "ab", "versions": {"3": 0, "4": 0}}, "versions has no weight above 0"),
        ("-x", {"kind": "canary", "candidate": "4"}, "The name of the roll-out is not one: "),
    ],
)
def test_wrong_rollout_is_refused_in_one_line(served, name, rollout, message):
    _, administrator = served
    reply = administrator.put(name, **rollout)
    assert reply.status_code == (404 if rollout.get("model") == "z" else 400), reply.text
    assert message in reply.json()["error"]
    assert "\n" not in reply.json()["error"]
    assert administrator.client.get("/v1/rollouts").json() == {"rollouts": []}


def test_administrator_finds_what_there_is_and_how_it_is_written(served):
    _, administrator = served
    assert administrator.client.get("/v1/rollouts/x").json()["code"] == "unknown_rollout"
    assert administrator.client.delete("/v1/rollouts/x").status_code == 404
    refused = administrator.client.put("/v1/rollouts/x", json={}, headers={"origin": "https://example.org"})
    assert refused.status_code == 400
    document = administrator.client.get("/openapi.json").json()["paths"]["/v1/rollouts/{name}"]
    body = document["put"]["requestBody"]["content"]["application/json"]
    jsonschema.Draft202012Validator.check_schema(body["schema"])
    jsonschema.validate(body["example"], body["schema"])
    assert set(document) == {"get", "put", "delete"}
    made = administrator.put("digits-4", **{**body["example"], "model": "digits"})
    assert made.status_code == 200
    jsonschema.validate(made.json(), document["put"]["responses"]["200"]["content"]["application/json"]["schema"])
    second = administrator.put("other", kind="shadow", candidate="5")
    assert "Roll-outs digits-4 and other are both of model digits" in second.json()["error"]
    administrator.end("digits-4")


def test_decisions_survive_a_kill_when_there_is_a_folder(start, place, tmp_path):
    state, models = f"state={tmp_path / 'state'}", models_file(place)
    users = [f"user-{number}" for number in range(20)]

    def versions_of_users(server) -> list[str]:
        replies = [server.client.post("/predict", json=ROWS, headers={"maas-user": user}) for user in users]
        return [reply.headers["maas-version"] for reply in replies]

    with start(models, state, "admin_port=0") as server, administrating(server) as administrator:
        assert administrator.put("test", kind="ab", versions={"3": 1, "4": 3}).status_code == 200
        before = versions_of_users(server)
    expected = [role_at(point_of("digits", "test", user.encode()), {"3": 0.25, "4": 0.75}) for user in users]
    assert before == expected
    with (
        start(models, state, "admin_port=0") as server,
        administrating(server) as administrator,
    ):  # the first was killed
        assert versions_of_users(server) == before
        administrator.end("test")
        bounds = {"max_error_fraction": 0.2, "min_requests": 10}
        put = administrator.put("digits-7", kind="canary", candidate="7", percent=100, bounds=bounds)
        assert put.status_code == 200
        forced = [
            server.client.post("/predict", json=FAILING, headers={"maas-rollout": "candidate"}) for _ in range(12)
        ]
        assert {reply.status_code for reply in forced} == {500}  # who wants it gets it, and nothing is concluded
        found = [server.client.post("/predict", json=rows).status_code for rows in [ROWS] * 7 + [FAILING] * 5]
        assert found == [200] * 7 + [500] * 3 + [200] * 2
        assert server.metric('maas_rollout_returns_total{model="digits",rollout="digits-7"}') == 1
        wait_until(lambda: (tmp_path / "state/rollout.json").read_text().count("returned"))
    with start(models, state, "admin_port=0") as server, administrating(server) as administrator:
        assert versions(server, 1) == [("3", None)]
        known = administrator.client.get("/v1/rollouts/digits-7").json()
        assert known["status"] == "returned"
        assert known["reason"] == "3 of its latest 10 requests failed (0.3); allowed is 0.2"
        assert (known["figures"]["requests"], known["figures"]["errors"]) == (10, 3)
        assert administrator.put("digits-7", kind="canary", candidate="7", percent=100).status_code == 200
        assert versions(server, 1) == [("7", "candidate")]
        (tmp_path / "state/rollout.json").write_text("{")
        refused = administrator.put("digits-7", kind="canary", candidate="7")
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_input")
        assert "rollout.json is no state of roll-outs: Input data was truncated" in refused.json()["error"]
        assert versions(server, 1) == [("7", "candidate")]
        (tmp_path / "state/rollout.json").unlink()  # as the message says
        assert administrator.put("digits-7", kind="canary", candidate="4", percent=100).status_code == 200
        assert versions(server, 1) == [("4", "candidate")]


def test_rollout_of_a_file_of_models_is_active_and_faults_of_it_are_one_line(start, place):
    canary = {"kind": "canary", "model": "digits", "candidate": 4, "percent": 100}
    with start(models_file(place, **{"digits-4": canary})) as server:
        assert versions(server, 1) == [("4", "candidate")]
        models_file(place, test={"kind": "ab", "model": "digits", "versions": {3: 0, 5: 1}})
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: versions(server, 1) == [("5", "b")])
        models_file(place)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: versions(server, 1) == [("3", None)])
    for wrong, message in [
        ({**canary, "candidate": 9}, "Roll-out digits-4: Version 9 of digits is not served. Name another version"),
        ({**canary, "percent": -1}, "rollouts: Expected `float` >= 0.0 - at `$[...].percent`. Write e.g. rollouts: {"),
    ]:
        command = [sys.executable, "-m", "maas.serve", models_file(place, **{"digits-4": wrong}), "port=0"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert message in done.stderr


def test_server_does_not_start_when_its_state_is_another_programs(place, tmp_path):
    (tmp_path / "rollout.json").write_text('{"rollouts": []}')
    command = [sys.executable, "-m", "maas.serve", f"model={place / 'a'}", f"state={tmp_path}", "port=0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"{tmp_path}/rollout.json has no schema_version; this server reads 1. Move it away, or set state= to another "
        "folder.\n"
    )


@pytest.mark.slow
def test_rollout_reaches_all_workers_and_those_that_take_their_places(start, place):
    with (
        start(models_file(place), "admin_port=0", "workers=2") as server,
        administrating(server) as administrator,
        httpx.Client(base_url=server.url, headers={"connection": "close"}) as fresh,
    ):

        def predicted_by() -> tuple[str, str]:
            reply = fresh.post("/predict", json=ROWS)
            assert reply.status_code == 200
            return reply.headers["x-request-id"].partition("-")[0], reply.headers["maas-version"]

        assert administrator.put("trial", kind="canary", candidate="4", percent=100).status_code == 200
        versions: dict[str, str] = {}
        while len(versions) < 2:
            versions |= dict([predicted_by()])
        assert set(versions.values()) == {"4"}
        for worker in psutil.Process(server.process.pid).children():
            worker.kill()
        later: dict[str, str] = {}
        while len(later) < 2:
            process, version = predicted_by()
            later |= {} if process in versions else {process: version}
        assert set(later.values()) == {"4"}  # it was kept in no file
        administrator.end("trial")
        assert {predicted_by()[1] for _ in range(8)} == {"3"}

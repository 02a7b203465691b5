"""Roll-outs of a server that serves several versions of a model: canary, A/B and shadow, and what survives it."""

import contextlib
import math
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

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
    lines = iter(server.process.stdout.readline, "")
    url = next(found[1] for line in lines if (found := re.match(r"administration: (http://\S+)", line)))
    with httpx.Client(base_url=url, timeout=60) as client:
        yield Administrator(client)


@pytest.fixture(scope="module")
def served(start, place):
    with start(models_file(place), "admin_port=0", "grpc_port=0") as server, administrating(server) as administrator:
        yield server, administrator


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

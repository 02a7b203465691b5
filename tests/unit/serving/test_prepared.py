"""Requests of one row whose head came before: every reply is the same as if the head and the body were looked at."""

import asyncio
import gc
import json
import re
import weakref
from collections.abc import Sequence

import numpy as np
import pytest
import uvloop

from maas.runtime.bundle import Bundle
from maas.serving.costs import Costs
from maas.serving.engines.batch import BatchEngine
from maas.serving.entries import LocatedEntry, ModelEntry
from maas.serving.prepared import PreparedInference
from maas.serving.repository import Repository
from maas.serving.repository.slots import EngineSettings
from maas.serving.rollout import edits
from maas.serving.rollout.records import Canary
from maas.serving.rollout.rollouts import Rollouts
from maas.serving.service import Service
from maas.serving.transports.body_limits import BodyBudget
from maas.serving.transports.cors import CorsPolicy
from maas.serving.transports.exchanges import ServerState
from maas.serving.transports.http1 import ConnectionLimits, Http1Connection
from maas.serving.transports.known_heads import KnownHeads

TIMES = 4
"""A head is parsed, looked at again, prepared, and known."""
ROW = [round(0.25 * number, 2) for number in range(64)]
PREDICT = "/predict"
INFER = "/v2/models/digits/infer"


@pytest.fixture(autouse=True)
def _runs_on_the_loop(monkeypatch):
    """Rows are read and run on the event loop, however busy the machine is."""
    init = BatchEngine.__init__

    def quick(engine, predictor, costs, lane, **settings):
        init(engine, predictor, Costs(0.0, 0.0, 0.0, costs.rows, 0.0), lane, **settings)

    monkeypatch.setattr(BatchEngine, "__init__", quick)


class Wire(asyncio.Transport):
    """Keeps what a connection writes."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.arrived = asyncio.Event()
        self.is_closed = False

    def write(self, data):
        self.written += data
        self.arrived.set()

    async def reply(self) -> bytes:
        """Returns what is written, once something is."""
        async with asyncio.timeout(30):
            await self.arrived.wait()
        return self.written

    def is_closing(self):
        return self.is_closed

    def close(self):
        self.is_closed = True

    def can_write_eof(self):
        return False

    def pause_reading(self):
        """Does nothing."""

    def resume_reading(self):
        """Does nothing."""


class Seen:
    """Keeps outcomes, without what is never twice the same."""

    def __init__(self) -> None:
        self.outcomes = []

    def observe(self, outcome):
        assert outcome.seconds > 0
        fields = ("method", "path", "route", "protocol", "model", "version", "status", "metadata")
        self.outcomes.append(tuple(getattr(outcome, name) for name in fields))


class Talk:
    """Connections to a server in this process, none of which has a socket."""

    def __init__(self, repository: Repository, *, rollouts: Rollouts | None = None, bodies: BodyBudget | None = None):
        self.seen = Seen()
        self.service = Service(repository, observers=[self.seen], rollouts=rollouts)
        cors = CorsPolicy(["https://a.example"])
        self.state = ServerState(self.service, bodies or BodyBudget(2**20, 2**21), cors)
        self.connections: list[tuple[Http1Connection, Wire]] = []

    def connect(self, count: int) -> None:
        for _ in range(count):
            connection, wire = Http1Connection(self.state, ConnectionLimits(), lambda _: None, print), Wire()
            connection.connection_made(wire)
            self.connections.append((connection, wire))

    def send(self, requests: Sequence[bytes]) -> None:
        self.connect(len(requests) - len(self.connections))
        for (connection, wire), request in zip(self.connections, requests, strict=False):
            wire.written = b""
            wire.arrived.clear()
            connection.data_received(request)

    async def replies(self, requests: Sequence[bytes]) -> list[bytes]:
        """Sends a request on each of some connections, in one turn of the loop; returns the replies."""
        self.send(requests)
        return [without_ids(await wire.reply()) for _, wire in self.connections[: len(requests)]]


def without_ids(reply: bytes) -> bytes:
    reply = re.sub(rb"x-request-id: [0-9a-f]{10}-[0-9a-f]+\r\n", b"x-request-id: NEW\r\n", reply)
    return re.sub(rb"[0-9a-f]{32}", b"ENTRY", reply)


def post(body: bytes, path: str = PREDICT, fields: bytes = b"", version: bytes = b"1.1") -> bytes:
    head = b"POST %b HTTP/%b\r\nhost: x\r\ncontent-length: %d\r\n%b\r\n" % (path.encode(), version, len(body), fields)
    return head + body


def rows(*values: object, **beside: object) -> bytes:
    return json.dumps({"input_data": values, **beside}).encode()


def binary(
    array: np.ndarray,
    *,
    path: str = INFER,
    size: int = 0,
    shape: object = None,
    tensor: object = None,
    **beside: object,
) -> bytes:
    described = {"name": "input", "datatype": "FP32", "shape": shape or list(array.shape), **(tensor or {})}
    described.setdefault("parameters", {"binary_data_size": array.nbytes})
    beside.setdefault("parameters", {"binary_data_output": True})
    head = json.dumps({"inputs": [described], **beside}).encode()
    return post(head + array.tobytes(), path, b"inference-header-content-length: %d\r\n" % (size or len(head)))


def one_row(first: float = 0.5, kind: type = np.float32) -> np.ndarray:
    return np.array([[first, *ROW[1:]]], dtype=kind)


@pytest.fixture
def prepared_calls(monkeypatch):
    """Requests that a prepared inference took, by the length of their bodies."""
    taken = []
    begin = PreparedInference.begin

    def counted(prepared, request, done, callers):
        size = len(request.body)
        withdraw = begin(prepared, request, done, callers)
        if withdraw is not None:
            taken.append(size)
        return withdraw

    monkeypatch.setattr(PreparedInference, "begin", counted)
    return taken


def opened(*folders) -> Repository:
    repository = Repository()
    for number, folder in enumerate(folders, 1):
        repository.open(folder, version=str(number))
    return repository


def talked(monkeypatch, repository: Repository, turns: Sequence[Sequence[bytes]], *, is_prepared: bool, **settings):
    """Returns the replies to requests, turn by turn, and what observers saw."""
    with monkeypatch.context() as patch:
        if not is_prepared:
            patch.setattr(KnownHeads, "prepared", lambda *_: None)

        async def scenario():
            talk = Talk(repository, **settings)
            found = [await talk.replies(turn) for turn in turns]
            assert (talk.state.bodies.held_bytes, repository.snapshot.first.engine.queued_rows) == (0, 0)
            return found, talk.seen.outcomes

        return uvloop.run(scenario())


SPELLED = b'{"input_data": [[%b]]}'
JSON_BODIES = {
    "a row": (rows(ROW), True),
    "whole numbers": (rows([3] * 64), True),
    "blanks and exponents": (SPELLED % b" ,\n".join([b"1.5e0", b"-0.0", b"0.1E+1", *[b"2"] * 61]), True),
    "a key with an escape": (b'{"input\\u005fdata": [[%b]]}' % b",".join([b"1"] * 64), True),
    "beyond the range": (rows([99, *ROW[1:]]), True),
    "too few": (rows(ROW[1:]), True),
    "too many": (rows([*ROW, 1]), True),
    "no numbers": (rows([]), True),
    "large numbers": (rows([1e300, *ROW[1:]]), True),
    "two rows": (rows(ROW, ROW), False),
    "no rows": (rows(), False),
    "nested more deeply": (rows([ROW]), False),
    "not nested": (rows(*ROW), False),
    "a text": (rows(["1", *ROW[1:]]), False),
    "null": (rows([None, *ROW[1:]]), False),
    "a truth value": (rows([True, *ROW[1:]]), False),
    "NaN": (SPELLED % b",".join([b"NaN", *[b"1"] * 63]), False),
    "beyond float64": (SPELLED % b",".join([b"1e999", *[b"1"] * 63]), False),
    "a model": (rows(ROW, model="digits"), False),
    "another model": (rows(ROW, model="letters"), False),
    "a version": (rows(ROW, version=1), False),
    "an unknown key": (rows(ROW, colour="red"), False),
    "a key twice": (b'{"input_data": [[1]], "input_data": [[%b]]}' % b",".join([b"1"] * 64), False),
    "no key": (json.dumps([ROW]).encode(), False),
    "something after it": (rows(ROW) + b" x", False),
    "an end too early": (rows(ROW)[:-2], False),
    "no UTF-8": (rows(ROW)[:-1] + b"\xff", False),
    "nothing": (b"", False),
}


@pytest.mark.parametrize("name", JSON_BODIES)
def test_reply_is_the_same_for_json_when_its_head_is_prepared(array_folder, monkeypatch, prepared_calls, name):
    body, is_taken = JSON_BODIES[name]
    repository, turns = opened(array_folder), [[post(body)]] * TIMES
    usual, usual_outcomes = talked(monkeypatch, repository, turns, is_prepared=False)
    assert prepared_calls == []
    found, outcomes = talked(monkeypatch, repository, turns, is_prepared=True)
    assert (found, outcomes) == (usual, usual_outcomes)
    assert len(prepared_calls) == (TIMES - 2 if is_taken else 0)


def test_rows_that_differ_get_replies_of_their_own_when_their_head_is_the_same(
    array_folder, monkeypatch, prepared_calls
):
    bodies = [rows([number, *ROW[1:]]) for number in (1, 2, 99, 3, 4)]
    assert len(set(map(len, bodies))) == 2  # 99 is one character more
    turns = [[post(body)] for body in bodies] * TIMES
    usual, _ = talked(monkeypatch, opened(array_folder), turns, is_prepared=False)
    found, _ = talked(monkeypatch, opened(array_folder), turns, is_prepared=True)
    assert found == usual
    assert len(prepared_calls) > TIMES
    assert len({reply for (reply,) in found}) == len(bodies)


TASK = "/v1/tabular-classification"
TASK_BODIES = {
    "a row": ({"input": ROW}, True),
    "whole numbers": ({"input": [3] * 64}, True),
    "beyond the range": ({"input": [99, *ROW[1:]]}, True),
    "large numbers": ({"input": [1e300, *ROW[1:]]}, True),
    "too few": ({"input": ROW[1:]}, False),
    "a row in a list": ({"input": [ROW]}, False),
    "a text": ({"input": ["1", *ROW[1:]]}, False),
    "null": ({"input": [None, *ROW[1:]]}, False),
    "a truth value": ({"input": [True, *ROW[1:]]}, False),
    "a nested number": ({"input": [[1], *ROW[1:]]}, False),
    "scores": ({"input": ROW, "top_k": 2}, False),
    "another model": ({"input": ROW, "model": "letters"}, False),
    "another key": ({"rows": ROW}, False),
    "an empty object": ({}, False),
}


@pytest.mark.parametrize("name", TASK_BODIES)
def test_reply_is_the_same_for_a_task_when_its_head_is_prepared(array_folder, monkeypatch, prepared_calls, name):
    body, is_taken = TASK_BODIES[name]
    repository, turns = opened(array_folder), [[post(json.dumps(body).encode(), TASK)]] * TIMES
    usual, usual_outcomes = talked(monkeypatch, repository, turns, is_prepared=False)
    found, outcomes = talked(monkeypatch, repository, turns, is_prepared=True)
    assert (found, outcomes) == (usual, usual_outcomes)
    assert len(prepared_calls) == (TIMES - 2 if is_taken else 0)


@pytest.mark.parametrize("path", [f"{TASK}?top_k=2", f"{TASK}?model=digits", TASK])
@pytest.mark.parametrize("kind", [b"image/png", b"application/x-www-form-urlencoded"])
def test_reply_is_the_same_for_a_task_when_its_head_says_more(array_folder, monkeypatch, path, kind):
    request = post(json.dumps({"input": ROW}).encode(), path, b"content-type: %b\r\n" % kind)
    repository, turns = opened(array_folder), [[request]] * TIMES
    usual = talked(monkeypatch, repository, turns, is_prepared=False)
    assert talked(monkeypatch, repository, turns, is_prepared=True) == usual


def tensor(data: object, *, name: str = "input", datatype: str = "FP32", shape: object = (1, 64), **beside) -> bytes:
    described = {"name": name, "datatype": datatype, "shape": shape, "data": data}
    return json.dumps({"inputs": [described], **beside}).encode()


V2_BODIES = {
    "a row": (tensor(ROW), True),
    "whole numbers": (tensor([3] * 64), True),
    "a name of the request": (tensor(ROW, id="seven"), True),
    "a name with a bracket": (tensor(ROW, id='"data": ['), False),
    "some outputs": (tensor(ROW, outputs=[{"name": "score"}]), True),
    "classes": (tensor(ROW, outputs=[{"name": "score", "parameters": {"classification": 1}}]), True),
    "one output as binary data": (
        tensor(ROW, outputs=[{"name": "score", "parameters": {"binary_data": True}}, {"name": "label"}]),
        True,
    ),
    "beyond the range": (tensor([99, *ROW[1:]]), True),
    "large numbers": (tensor([1e300, *ROW[1:]]), True),
    "larger numbers": (tensor(ROW, datatype="FP64"), False),
    "outputs as binary data": (tensor(ROW, parameters={"binary_data_output": True}), False),
    "nested": (tensor([ROW]), False),
    "too few": (tensor(ROW[1:]), False),
    "two rows": (tensor(ROW * 2, shape=[2, 64]), False),
    "a text": (tensor(["1", *ROW[1:]]), False),
    "null": (tensor([None, *ROW[1:]]), False),
    "a truth value": (tensor([True, *ROW[1:]]), False),
    "another name": (tensor(ROW, name="pixels"), False),
    "a deadline": (tensor(ROW, parameters={"timeout": 60_000_000}), False),
    "a priority": (tensor(ROW, parameters={"priority": 1}), False),
    "an unknown parameter": (tensor(ROW, parameters={"sequence_id": 1}), False),
    "data twice": (tensor(ROW).replace(b'"inputs"', b'"data": [1], "inputs"'), False),
    "an end too early": (tensor(ROW)[:-2], False),
    "something after it": (tensor(ROW) + b" x", False),
    "nothing": (b"", False),
}


@pytest.mark.parametrize("name", V2_BODIES)
def test_reply_is_the_same_for_json_of_version_2_when_its_head_is_prepared(
    array_folder, monkeypatch, prepared_calls, name
):
    body, is_taken = V2_BODIES[name]
    repository, turns = opened(array_folder), [[post(body, INFER)]] * TIMES
    usual, usual_outcomes = talked(monkeypatch, repository, turns, is_prepared=False)
    found, outcomes = talked(monkeypatch, repository, turns, is_prepared=True)
    assert (found, outcomes) == (usual, usual_outcomes)
    assert len(prepared_calls) == (TIMES - 2 if is_taken else 0)


def test_json_of_version_2_is_read_when_others_of_its_form_came_before(array_folder, monkeypatch, prepared_calls):
    first = tensor(ROW)
    other = first.replace(b"0.25", b"9.25").replace(b"1.25", b"null")  # as long as the first one
    bad = first.replace(b"[0.0, 0.25", b"[0.0, [1.]")
    few = first.replace(b"0.25, 0.5,", b"0.25 ,     ")
    third = tensor([7.0, *ROW[1:]])
    turns = [[post(body, INFER)] for body in (first, other, bad, few, third, first)] * TIMES
    usual, _ = talked(monkeypatch, opened(array_folder), turns, is_prepared=False)
    found, _ = talked(monkeypatch, opened(array_folder), turns, is_prepared=True)
    assert found == usual
    assert len(prepared_calls) > TIMES


def test_replies_of_version_2_are_their_own_when_rows_of_several_clients_run_together(array_folder, monkeypatch):
    bodies = [tensor([number, *ROW[1:]], id=f"request {number}") for number in (1, 2, 3, 4)]
    turns = [[post(body, INFER) for body in bodies]] * TIMES
    usual, _ = talked(monkeypatch, opened(array_folder), turns, is_prepared=False)
    found, _ = talked(monkeypatch, opened(array_folder), turns, is_prepared=True)
    assert found == usual
    assert len(set(found[-1])) == len(bodies)


def test_reply_is_written_at_once_when_its_connection_is_the_only_one(array_folder):
    async def scenario():
        repository = opened(array_folder)
        talk = Talk(repository)
        request, refused = post(rows(ROW)), post(rows([99, *ROW[1:]]))
        usual = [(await talk.replies([one]))[0] for one in [request, refused] * TIMES][-2:]
        talk.state.connections = 1
        found = []
        for one in (request, refused):
            talk.send([one])
            found.append(without_ids(talk.connections[0][1].written))
        left = talk.state.bodies.held_bytes, repository.snapshot.first.engine.queued_rows
        talk.state.connections = 2
        talk.send([request])
        waits = not talk.connections[0][1].written
        await talk.connections[0][1].reply()
        await repository.snapshot.first.engine.drain()
        return usual, found, left, waits

    usual, found, left, waits = uvloop.run(scenario())
    assert found == usual
    assert [reply[9:12] for reply in found] == [b"200", b"400"]
    assert left == (0, 0)
    assert waits


def test_reply_waits_when_its_connection_is_the_only_one_and_the_engine_is_paused(array_folder):
    async def scenario():
        repository = opened(array_folder)
        talk, engine = Talk(repository), repository.snapshot.first.engine
        for _ in range(TIMES):
            await talk.replies([post(rows(ROW))])
        talk.state.connections = 1
        engine.pause()
        talk.send([post(rows(ROW))])
        waiting, written = engine.queued_rows, talk.connections[0][1].written
        engine.resume()
        reply = await talk.connections[0][1].reply()
        return waiting, written, reply[9:12], engine.queued_rows, talk.state.bodies.held_bytes

    assert uvloop.run(scenario()) == (1, b"", b"200", 0, 0)


BINARY_REQUESTS = {
    "a row": (binary(one_row()), True),
    "a row of a version": (binary(one_row(), path="/v2/models/digits/versions/1/infer"), True),
    "some outputs": (binary(one_row(), outputs=[{"name": "probabilities", "parameters": {"binary_data": True}}]), True),
    "outputs in another order": (binary(one_row(), outputs=[{"name": "score"}, {"name": "label"}]), True),
    "beyond the range": (binary(one_row(99)), True),
    "NaN": (binary(one_row(np.nan)), True),
    "infinite": (binary(one_row(np.inf)), True),
    "larger numbers": (binary(one_row(kind=np.float64), tensor={"datatype": "FP64"}), False),
    "two rows": (binary(np.concatenate([one_row(), one_row(1)])), False),
    "no rows": (binary(np.empty((0, 64), np.float32), shape=[0, 64]), False),
    "a flat row": (binary(one_row()[0]), False),
    "too few": (binary(one_row()[:, :-1]), False),
    "bytes that lack": (binary(one_row(), tensor={"parameters": {"binary_data_size": 252}}), False),
    "another shape": (binary(one_row(), shape=[1, 32]), False),
    "another name": (binary(one_row(), tensor={"name": "pixels"}), False),
    "a name of the request": (binary(one_row(), id="seven"), False),
    "a deadline": (binary(one_row(), parameters={"binary_data_output": True, "timeout": 60_000_000}), False),
    "a priority": (binary(one_row(), parameters={"binary_data_output": True, "priority": 1}), False),
    "an unknown parameter": (binary(one_row(), parameters={"binary_data_output": True, "sequence_id": 1}), False),
    "outputs as JSON": (binary(one_row(), parameters={}), False),
    "one output as JSON": (
        binary(one_row(), outputs=[{"name": "score"}, {"name": "label", "parameters": {"binary_data": False}}]),
        False,
    ),
    "classes": (binary(one_row(), outputs=[{"name": "score", "parameters": {"classification": 1}}]), False),
    "an unknown output": (binary(one_row(), outputs=[{"name": "colour"}]), False),
    "no inputs": (post(b'{"inputs": []}', INFER, b"inference-header-content-length: 14\r\n"), False),
    "a length beyond the body": (binary(one_row(), size=9999), False),
    "a length within the JSON": (binary(one_row(), size=20), False),
    "another model": (binary(one_row(), path="/v2/models/letters/infer"), False),
    "another version": (binary(one_row(), path="/v2/models/digits/versions/2/infer"), False),
    "a long JSON": (binary(one_row(), outputs=[{"name": "score"}] * 40), False),
}


@pytest.mark.parametrize("name", BINARY_REQUESTS)
def test_reply_is_the_same_for_binary_data_when_its_head_is_prepared(array_folder, monkeypatch, prepared_calls, name):
    request, is_taken = BINARY_REQUESTS[name]
    repository, turns = opened(array_folder), [[request]] * TIMES
    usual, usual_outcomes = talked(monkeypatch, repository, turns, is_prepared=False)
    found, outcomes = talked(monkeypatch, repository, turns, is_prepared=True)
    assert (found, outcomes) == (usual, usual_outcomes)
    assert len(prepared_calls) == (TIMES - 2 if is_taken else 0)


def test_another_json_of_equal_length_is_read_when_it_comes_with_the_same_head(
    array_folder, monkeypatch, prepared_calls
):
    outputs = [[{"name": name} for name in names] for names in (("score", "label"), ("label", "score"))]
    requests = [binary(one_row(), outputs=one) for one in outputs]
    assert len(requests[0]) == len(requests[1])
    turns = [[request] for request in requests * TIMES]
    usual, _ = talked(monkeypatch, opened(array_folder), turns, is_prepared=False)
    found, _ = talked(monkeypatch, opened(array_folder), turns, is_prepared=True)
    assert found == usual
    assert found[0] != found[1]
    assert len(prepared_calls) == 2 * TIMES - 2


HEADS = {
    "a time": b"x-request-timeout-ms: 60000\r\n",
    "no time": b"x-request-timeout-ms: soon\r\n",
    "a priority": b"x-request-priority: high\r\n",
    "a name": b"x-request-id: mine\r\n",
    "a page that may read": b"origin: https://a.example\r\n",
    "a page that may not": b"origin: https://b.example\r\n",
    "a form": b"content-type: multipart/form-data; boundary=x\r\n",
    "a compression": b"content-encoding: gzip\r\n",
    "an end": b"connection: close\r\n",
}


@pytest.mark.parametrize("name", HEADS)
def test_reply_is_the_same_when_its_head_says_more(array_folder, monkeypatch, prepared_calls, name):
    repository, turns = opened(array_folder), [[post(rows(ROW), fields=HEADS[name])]] * (1 if "end" in name else TIMES)
    usual, usual_outcomes = talked(monkeypatch, repository, turns, is_prepared=False)
    found, outcomes = talked(monkeypatch, repository, turns, is_prepared=True)
    assert (found, outcomes) == (usual, usual_outcomes)
    assert len(prepared_calls) == (TIMES - 2 if name in ("a name", *(one for one in HEADS if "page" in one)) else 0)


@pytest.mark.parametrize("path", ["/predict?model=digits", "/predict?version=1", "/v1/predictions"])
def test_reply_is_the_same_when_its_path_has_no_reader(array_folder, monkeypatch, prepared_calls, path):
    body = rows(ROW) if "predict" in path else json.dumps({"inputs": [ROW]}).encode()
    turns = [[post(body, path)]] * TIMES
    usual, _ = talked(monkeypatch, opened(array_folder), turns, is_prepared=False)
    found, _ = talked(monkeypatch, opened(array_folder), turns, is_prepared=True)
    assert found == usual
    assert prepared_calls == []


def test_old_client_is_answered_alike_when_it_keeps_its_connection(array_folder, monkeypatch, prepared_calls):
    turns = [[post(rows(ROW), fields=b"connection: keep-alive\r\n", version=b"1.0")]] * TIMES
    usual, _ = talked(monkeypatch, opened(array_folder), turns, is_prepared=False)
    found, _ = talked(monkeypatch, opened(array_folder), turns, is_prepared=True)
    assert found == usual
    assert b"\r\nconnection: keep-alive\r\n" in found[-1][0]
    assert len(prepared_calls) == TIMES - 2


@pytest.mark.parametrize("kind", ["array", "value", "failing"])
def test_replies_are_the_same_when_requests_of_all_kinds_share_a_run(
    bundles, tmp_path, monkeypatch, prepared_calls, kind
):
    folder = getattr(bundles, f"{kind}_bundle")(tmp_path / kind)
    repository = opened(folder)
    first = repository.snapshot.first
    size = first.signature.inputs[0].shape[-1]
    values = np.round(np.random.default_rng(0).uniform(0, 15, (6, size)), 3)
    path = f"/v2/models/{first.name}/infer"
    turn = [post(rows(row.tolist())) for row in values]
    turn += [binary(row[None].astype(np.float32), path=path) for row in values]
    turn += [post(rows([16, *values[0][1:]])), post(rows([99, *values[0][1:]])), post(rows(*values.tolist()[:2]))]
    turns = [turn, turn[::-1], turn, turn[::2] + turn[1::2]]
    usual, usual_outcomes = talked(monkeypatch, repository, turns, is_prepared=False)
    found, outcomes = talked(monkeypatch, repository, turns, is_prepared=True)
    assert found == usual
    assert sorted(outcomes, key=str) == sorted(usual_outcomes, key=str)
    statuses = [reply[9:12] for reply in found[0]]
    assert statuses == [*[b"200"] * 12, b"500" if kind == "failing" else b"200", b"400", b"200"]
    assert len(prepared_calls) > 2 * len(turn)


def test_each_request_gets_its_own_reply_when_many_rows_differ(array_folder, array_bundle_of, prepared_calls):
    """By an independent reference: the bundle's own predictions."""
    random = np.random.default_rng(1)
    values = random.integers(0, 17, (40, 64))

    async def scenario():
        talk = Talk(opened(array_folder))
        turn = [post(b'{"input_data": [[%b]]}' % b",".join(b"%2d" % one for one in row)) for row in values]
        for _ in range(TIMES):
            found = await talk.replies(turn)
        return found

    found = uvloop.run(scenario())
    scores = [json.loads(reply.partition(b"\r\n\r\n")[2])["predictions"][0] for reply in found]
    np.testing.assert_allclose(scores, array_bundle_of.predictor.scores(values.tolist()), atol=1e-6)
    assert len(prepared_calls) == TIMES * len(values) - 2


@pytest.fixture
def array_bundle_of(array_folder):
    return Bundle.open(array_folder)


def test_new_version_answers_and_the_old_one_is_forgotten_when_it_is_swapped(bundles, tmp_path, prepared_calls):
    folders = [bundles.array_bundle(tmp_path / str(seed), seed=seed) for seed in range(2)]

    async def scenario():
        repository = Repository()
        slot = repository.add(LocatedEntry.of_folder(folders[0]))
        talk = Talk(repository)
        request = post(rows(ROW))
        before = [(await talk.replies([request]))[0] for _ in range(TIMES)]
        old = weakref.ref(slot.deployment)
        await repository.swap(slot, LocatedEntry.of_folder(folders[1], version="2"))
        after = [(await talk.replies([request]))[0] for _ in range(TIMES)]
        await asyncio.gather(*repository._retiring)
        gc.collect()
        return before, after, old()

    before, after, old = uvloop.run(scenario())
    assert (len(set(before)), len(set(after))) == (1, 1)
    assert (b"maas-version: 1\r\n" in before[0], b"maas-version: 2\r\n" in after[0]) == (True, True)
    assert before[0].partition(b"\r\n\r\n")[2] != after[0].partition(b"\r\n\r\n")[2]
    assert old is None
    assert len(prepared_calls) == TIMES - 2 + TIMES - 1


def test_old_version_is_forgotten_when_heads_that_named_it_do_not_come_again(bundles, tmp_path):
    folders = [bundles.array_bundle(tmp_path / str(seed), seed=seed) for seed in range(2)]
    get = b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n"
    others = [*(post(b" " * size + rows(ROW)) for size in range(4)), get % b"/openapi.json", get % b"/docs"]

    async def scenario():
        repository = Repository()
        slot = repository.add(LocatedEntry.of_folder(folders[0]))
        talk = Talk(repository)
        for request in [one for one in others for _ in range(TIMES)]:
            assert (await talk.replies([request]))[0].startswith(b"HTTP/1.1 200 ")
        old = weakref.ref(slot.deployment)
        await repository.swap(slot, LocatedEntry.of_folder(folders[1], version="2"))
        for _ in range(TIMES):
            await talk.replies([post(rows(ROW, ROW))])
        await asyncio.gather(*repository._retiring)
        gc.collect()
        return old()

    assert uvloop.run(scenario()) is None


def test_old_engine_is_forgotten_when_the_same_bundle_is_served_by_other_settings(array_folder):
    get = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"

    async def scenario():
        repository = Repository()
        slot = repository.add(LocatedEntry.of_folder(array_folder))
        talk = Talk(repository)
        for request in (post(rows(ROW)), get):
            await talk.replies([request])
        old = weakref.ref(slot.deployment)
        entry = ModelEntry(model=str(array_folder), batch_size=4)
        await repository.refresh(slot, LocatedEntry(entry, str(array_folder), None, "1"))
        for request in (post(rows(ROW)), get):
            await talk.replies([request])
        await asyncio.gather(*repository._retiring)
        gc.collect()
        return old()

    assert uvloop.run(scenario()) is None


def test_roll_out_decides_when_it_begins_between_two_requests(bundles, tmp_path, prepared_calls):
    async def scenario():
        repository = Repository()
        for version in ("1", "2"):
            folder = bundles.array_bundle(tmp_path / version, seed=int(version))
            repository.add(LocatedEntry(ModelEntry(model=str(folder)), str(folder), None, version))
        rollouts = Rollouts()
        talk = Talk(repository, rollouts=rollouts)
        request = post(rows(ROW))
        found = [(await talk.replies([request]))[0] for _ in range(TIMES)]
        taken = len(prepared_calls)
        await rollouts.change(edits.put("next", Canary(model="digits", candidate="2", percent=100), 1.0))
        found += [(await talk.replies([request]))[0] for _ in range(TIMES)]
        assert len(prepared_calls) == taken
        await rollouts.change(edits.delete("next", 2.0))
        found += [(await talk.replies([request]))[0] for _ in range(TIMES)]
        await rollouts.close()
        return found

    found = uvloop.run(scenario())
    versions = [re.search(rb"maas-version: (.)", reply)[1] for reply in found]
    assert versions == [b"1"] * TIMES + [b"2"] * TIMES + [b"1"] * TIMES
    assert [b"maas-rollout: candidate" in reply for reply in found[TIMES:]] == [True] * TIMES + [False] * TIMES
    assert len(prepared_calls) == TIMES - 2 + TIMES


def test_requests_are_refused_alike_when_the_queue_is_full(array_folder, monkeypatch):
    def refused(*, is_prepared: bool) -> list[bytes]:
        async def scenario():
            repository = Repository(EngineSettings(max_queue=8))
            repository.open(array_folder)
            talk, engine = Talk(repository), repository.snapshot.first.engine
            request = post(rows(ROW))
            for _ in range(TIMES):
                await talk.replies([request])
            engine.pause()
            talk.send([request] * 12)
            late = [without_ids(wire.written) for _, wire in talk.connections[8:]]
            assert engine.queued_rows == 8
            engine.resume()
            for _, wire in talk.connections:
                await wire.reply()
            return late

        with monkeypatch.context() as patch:
            if not is_prepared:
                patch.setattr(KnownHeads, "prepared", lambda *_: None)
            return uvloop.run(scenario())

    found = refused(is_prepared=True)
    assert found == refused(is_prepared=False)
    assert all(reply.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1\r\n" in reply for reply in found)


@pytest.mark.parametrize(("spare", "statuses"), [(0, [b"200"] * 3 + [b"503"] * 2), (-1, [b"413"] * 5)])
def test_requests_are_refused_alike_when_there_is_no_room_for_bodies(array_folder, monkeypatch, spare, statuses):
    body = rows(ROW)
    alone = [[post(body)]] * (TIMES - 1) if not spare else []  # a connection ends after 413
    turns, limits = [*alone, [post(body)] * 5], (len(body) + spare, 3 * len(body))
    usual, _ = talked(monkeypatch, opened(array_folder), turns, is_prepared=False, bodies=BodyBudget(*limits))
    found, _ = talked(monkeypatch, opened(array_folder), turns, is_prepared=True, bodies=BodyBudget(*limits))
    assert found == usual
    assert [reply[9:12] for reply in found[-1]] == statuses


def test_request_leaves_nothing_when_its_client_goes(array_folder):
    async def scenario():
        repository = opened(array_folder)
        talk, engine = Talk(repository), repository.snapshot.first.engine
        request = post(rows(ROW))
        for _ in range(TIMES):
            await talk.replies([request] * 2)
        engine.pause()
        talk.send([request] * 2)
        waiting = engine.queued_rows, talk.state.bodies.held_bytes
        talk.connections[0][0].connection_lost(None)
        left = engine.queued_rows, talk.state.bodies.held_bytes
        engine.resume()
        await talk.connections[1][1].reply()
        await engine.drain()
        return waiting, left, talk.connections[0][1].written, talk.seen.outcomes[-2:]

    waiting, left, written, outcomes = uvloop.run(scenario())
    assert (waiting, left, written) == ((2, 2 * len(rows(ROW))), (1, len(rows(ROW))), b"")
    assert [outcome[6] for outcome in outcomes] == [499, 200]


def test_connection_ends_with_its_reply_when_the_server_stops(array_folder):
    async def scenario():
        repository = opened(array_folder)
        talk, engine = Talk(repository), repository.snapshot.first.engine
        request = post(rows(ROW))
        for _ in range(TIMES):
            await talk.replies([request])
        engine.pause()
        talk.send([request])
        talk.state.is_stopping = True
        engine.resume()
        ((_, wire),) = talk.connections
        await wire.reply()
        return wire

    wire = uvloop.run(scenario())
    assert b"\r\nconnection: close\r\n" in wire.written
    assert wire.is_closed


def test_replies_are_in_order_when_prepared_requests_are_pipelined_with_others(array_folder, monkeypatch):
    requests = [post(rows([number, *ROW[1:]])) for number in range(5)] + [post(rows(ROW, ROW))]

    async def scenario():
        talk = Talk(opened(array_folder))
        talk.connect(1)
        ((connection, wire),) = talk.connections
        for _ in range(TIMES):
            wire.written = b""
            for request in requests:
                connection.data_received(request)
            while wire.written.count(b"HTTP/1.1 200 ") < len(requests):
                wire.arrived.clear()
                await wire.reply()
        return without_ids(wire.written)

    found = uvloop.run(scenario())
    monkeypatch.setattr(KnownHeads, "prepared", lambda *_: None)
    usual = uvloop.run(scenario())
    bodies = [re.findall(rb'\{"predictions".*?\}', reply) for reply in (found, usual)]
    np.testing.assert_allclose(*[[json.loads(body)["predictions"][0] for body in one] for one in bodies], atol=1e-6)

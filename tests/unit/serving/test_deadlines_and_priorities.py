"""What callers want beside their prediction: to have it in time, and before or after others."""

import asyncio
import json
import zlib
from functools import partial
from itertools import pairwise

import httpx
import pytest

from maas.errors import DeadlineError, InputError, OverloadError
from maas.serving.call import HIGH, LOW, NORMAL
from maas.serving.costs import Costs
from maas.serving.deadlines import RequestInTime, priority_of, timeout_s
from maas.serving.engines.jobs import MOST_PASSED, Job, JobQueue
from maas.serving.entries import LocatedEntry, ModelEntry
from maas.serving.protocols.operations import Request
from maas.serving.repository import Repository
from maas.serving.transports.http import HttpApp

ZEROS = {"input_data": [[0] * 64]}
LATE = {"x-request-timeout-ms": "50"}


def job(name: int, rows: int = 1, bucket: int = 1) -> Job:
    return Job([{"name": name}] * rows, bucket, rows, lambda outcome: None)


def names(jobs: list[Job]) -> list[int]:
    return [one.features[0]["name"] for one in jobs]


def queue_of(batch_size: int, **jobs: list[Job]) -> JobQueue:
    queue = JobQueue(batch_size, 1000)
    for priority, some in jobs.items():
        queue.admit(sum(len(one.features) for one in some))
        queue.put(some, {"high": HIGH, "normal": NORMAL, "low": LOW}[priority])
    return queue


def test_highest_priority_runs_first_and_others_fill_the_run():
    queue = queue_of(3, low=[job(30)], normal=[job(20), job(21)], high=[job(10), job(11)])
    assert [names(queue.take()) for _ in range(2)] == [[10, 11, 20], [21, 30]]
    assert queue.is_empty
    assert queue.waiting_rows == 0


def test_run_has_one_bucket_and_order_stays_when_priorities_are_mixed():
    queue = queue_of(4, normal=[job(20, bucket=2), job(21), job(22)], high=[job(10), job(11, bucket=2)])
    assert [names(queue.take()) for _ in range(2)] == [[10, 21, 22], [11, 20]]


def test_job_that_does_not_fit_waits_when_others_of_its_priority_fill_the_run():
    queue = queue_of(4, high=[job(10, 3)], normal=[job(20, 2), job(21, 1)])
    assert [names(queue.take()) for _ in range(2)] == [[10], [20, 21]]


def runs_until_empty(queue: JobQueue) -> list[int]:
    found = []
    while not queue.is_empty:
        found += names(queue.take())
    return found


def test_lower_priorities_do_not_starve_when_there_is_always_something_higher():
    queue = queue_of(1, high=[job(1) for _ in range(40)], normal=[job(2) for _ in range(3)], low=[job(3)])
    order = runs_until_empty(queue)
    assert order[:MOST_PASSED] == [1] * MOST_PASSED
    for name in (2, 3):
        places = [-1, *(place for place, one in enumerate(order) if one == name)]
        assert max(b - a for a, b in pairwise(places)) <= MOST_PASSED + 2
    assert order.count(1) == 40


def test_order_is_that_of_arrival_when_all_have_one_priority():
    queue = queue_of(1, high=[job(number) for number in range(5)])
    assert runs_until_empty(queue) == list(range(5))
    queue.put([job(7), job(8)])
    assert runs_until_empty(queue) == [7, 8]


def test_withdrawn_job_is_left_out_whatever_its_priority():
    gone, kept = job(1), job(2)
    queue = queue_of(4, high=[gone], normal=[kept])
    gone.is_withdrawn = True
    assert names(queue.take()) == [2]
    assert queue.is_empty


def test_low_priority_takes_half_of_the_queue_at_most():
    queue = JobQueue(8, 10)
    queue.admit(4, LOW)
    with pytest.raises(OverloadError, match="holds 4 rows of at most 5 for work of low priority; 2 more do not fit"):
        queue.admit(2, LOW)
    queue.admit(6, HIGH)
    with pytest.raises(OverloadError, match="holds 10 rows of at most 10; 1 more do not fit"):
        queue.admit(1)


@pytest.mark.parametrize("value", [b"", b"0", b"-1", b"1.5", b"1e3", b"86400001", b"\xb2", b"9" * 50, b"soon"])
def test_timeout_is_refused_when_it_is_none(value):
    with pytest.raises(
        InputError, match=r"^The header x-request-timeout-ms is .*; it is a whole number of milliseconds"
    ):
        timeout_s(value)


def test_values_of_headers_are_read():
    assert (timeout_s(b"250"), timeout_s(b"86400000")) == (0.25, 86400.0)
    assert [priority_of(one) for one in (b"high", b"Normal", b"low")] == [HIGH, NORMAL, LOW]
    with pytest.raises(InputError, match="The header x-request-priority is 'urgent'; it is high, normal or low."):
        priority_of(b"urgent")


def test_reply_is_handed_over_once_when_it_comes_too_late():
    async def scenario():
        outcomes, withdrawn = [], []
        late = RequestInTime(b"1", outcomes.append)
        finish = []
        late.begin(lambda done: finish.append(done) or (lambda: withdrawn.append(True)))
        await asyncio.sleep(0.05)
        finish[0]("reply")
        assert [type(one) for one in outcomes] == [DeadlineError]
        assert withdrawn == [True]
        early = RequestInTime(b"1", outcomes.append)
        early.begin(lambda done: done("reply") or (lambda: withdrawn.append(True)))
        gone = RequestInTime(b"1", outcomes.append)
        gone.begin(lambda done: lambda: withdrawn.append(False))()
        await asyncio.sleep(0.05)
        assert outcomes[1:] == ["reply"]
        assert withdrawn == [True, False]

    asyncio.run(scenario())


class PausedApp:
    """A server in this process whose model runs once it is told to, one row at a time."""

    def __init__(self, folder):
        self.repository = Repository()
        entry = ModelEntry(model=str(folder), batch_size=1)
        self.repository.add(LocatedEntry(entry, str(folder), None, "1"))
        self.engine = self.repository.snapshot.first.engine
        self.engine.costs = Costs(0.0, 0.0, 0.0, 1, 0.0)  # rows are preprocessed at once, however busy the machine is
        self.engine.pause()
        self.runs = 0
        self.engine._runs.observe = self._count
        self.app = HttpApp(self.repository)

    def _count(self, rows):
        self.runs += 1

    async def __aenter__(self):
        transport = httpx.ASGITransport(self.app)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://test")
        return self

    async def __aexit__(self, *_):
        await self.client.aclose()
        self.engine.resume()
        await self.app.close()


@pytest.mark.parametrize("rows", [1, 300], ids=["small", "read by another process"])
def test_request_that_waits_too_long_is_not_run(array_folder, rows):
    async def scenario():
        async with PausedApp(array_folder) as paused:
            body = {"input_data": [[0] * 64] * rows}
            reply = await paused.client.post("/predict", json=body, headers=LATE)
            assert (reply.status_code, reply.json()["code"]) == (504, "deadline_exceeded"), reply.text
            assert paused.engine.queued_rows == 0
            paused.engine.resume()
            far = await paused.client.post("/predict", json=ZEROS, headers={"x-request-timeout-ms": "60000"})
            assert (far.status_code, paused.runs) == (200, 1)
            soon = await paused.client.post("/predict", json=ZEROS, headers={"x-request-timeout-ms": "soon"})
            assert (soon.status_code, soon.json()["code"]) == (400, "invalid_input")

    asyncio.run(scenario())


@pytest.mark.parametrize("encoding", ["identity", "deflate"])
@pytest.mark.parametrize("header", ["x-request-timeout-ms", "x-request-priority"])
def test_header_reaches_the_server_when_it_comes_over_http(array_server, header, encoding):
    body = json.dumps(ZEROS).encode()
    content = body if encoding == "identity" else zlib.compress(body)
    for value, status in (("urgent", 400), ("60000" if "timeout" in header else "high", 200)):
        headers = {header: value, "content-encoding": encoding}
        reply = array_server.client.post("/predict", content=content, headers=headers)
        assert reply.status_code == status, reply.text
        assert status == 200 or f"The header {header} is 'urgent'" in reply.json()["error"]


def test_priority_is_read_when_a_request_makes_several_calls(array_server):
    query = "query ($inputs: [JSON!]!) { predict(inputs: $inputs) { predictions } }"
    for path, body in [
        ("/graphql", {"query": query, "variables": {"inputs": [[0] * 64]}}),
        ("/v1/explanations", {"inputs": [[0] * 64], "orders": 1}),
    ]:
        wrong = array_server.client.post(path, json=body, headers={"x-request-priority": "urgent"})
        assert "x-request-priority is 'urgent'" in wrong.text
        low = array_server.client.post(path, json=body, headers={"x-request-priority": "low"})
        assert low.status_code == 200, low.text
        assert "errors" not in low.json()


def test_request_whose_body_was_compressed_has_a_deadline_as_well(array_folder):
    async def scenario():
        async with PausedApp(array_folder) as paused:
            service = paused.app.service
            operation, values = service.find("POST", "/predict")
            request = Request(json.dumps(ZEROS).encode(), values, timeout=b"50")
            with pytest.raises(DeadlineError, match="The deadline of the request has passed"):
                await service.respond(operation, request)
            assert paused.engine.queued_rows == 0

    asyncio.run(scenario())


def test_higher_priority_runs_first_when_requests_wait(array_folder):
    """The first number of each row says which request it is; the model reads it as some number that grows with it."""
    ran = []

    def infer(number: int, priority: int) -> dict:
        tensor = {"name": "input", "shape": [1, 64], "datatype": "FP32", "data": [number] * 64}
        return {"inputs": [tensor], "parameters": {"priority": priority}}

    def requests(client):
        predict, v2 = partial(client.post, "/predict"), partial(client.post, "/v2/models/digits/infer")
        yield predict(json={"input_data": [[1] * 64]}, headers={"x-request-priority": "low"})
        yield v2(json=infer(2, 3))
        yield predict(json={"input_data": [[3] * 64]})
        yield v2(json=infer(4, 0))
        yield predict(json={"input_data": [[5] * 64]}, headers={"x-request-priority": "high"})
        yield v2(json=infer(6, 1), headers={"x-request-priority": "low"})  # the body decides

    async def scenario():
        async with PausedApp(array_folder) as paused:
            run = paused.engine._runs.run
            paused.engine._runs.run = lambda rows: ran.append(rows[0]["values"][0]) or run(rows)
            tasks = []
            for waiting, request in enumerate(requests(paused.client), 1):
                tasks.append(asyncio.create_task(request))
                while paused.engine.queued_rows < waiting:  # noqa: ASYNC110  nothing says that it waits
                    await asyncio.sleep(0)
            paused.engine.resume()
            replies = await asyncio.gather(*tasks)
            assert {reply.status_code for reply in replies} == {200}
            urgent = await paused.client.post("/predict", json=ZEROS, headers={"x-request-priority": "urgent"})
            assert urgent.status_code == 400

    asyncio.run(scenario())
    assert [1 + sorted(ran).index(one) for one in ran] == [5, 6, 3, 4, 1, 2]

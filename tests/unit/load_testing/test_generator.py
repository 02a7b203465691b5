"""The generator against servers whose behaviour is known."""

import threading
import time

import numpy as np
import pytest

from maas.load_testing.generator import Generator
from maas.load_testing.rates import MOST_REQUESTS_PER_S, arrivals, capacity, highest_kept, measured_loads
from maas.load_testing.settings import settings_of
from maas.load_testing.target import LoadTarget


@pytest.fixture
def generator():
    """Returns a function that makes a generator for a URL."""
    made = []

    def make(url: str, connections: int = 4, timeout_s: float = 30, body: bytes = b"{}") -> Generator:
        host, _, port = url.removeprefix("http://").partition(":")
        request = b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        made.append(Generator(LoadTarget(host, int(port), [request], ""), connections, timeout_s))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_each_request_is_answered_once_when_the_server_keeps_up(generator, scripted, reply):
    with scripted(lambda handler, _, __: reply(handler, 200, b"{}")) as server:
        load = generator(server.url).run(arrivals("even", 100, 0.5), 0.5)
        assert len(server.seen) == 50
    assert (load.requests, load.errors, load.rate) == (50, {}, 100)
    assert np.isfinite(load.latencies_ms).all()


def test_stall_counts_for_every_request_that_was_due_in_it(generator, scripted, reply):
    """A closed loop would see one slow request; 50 more were due in the half second."""

    def respond(handler, number, _):
        if number == 10:
            time.sleep(0.5)
        reply(handler, 200)

    with scripted(respond) as server:
        load = generator(server.url, connections=1).run(arrivals("even", 100, 1), 1)
    assert not load.errors
    assert (load.latencies_ms > 100).sum() >= 40
    assert load.queued_fraction > 0.3


def test_failures_are_counted_by_status_and_code(generator, scripted, reply):
    replies = [(200, b"{}"), (503, b'{"error": "full", "code": "overloaded"}'), (404, b"<html>"), (200, b"")]

    with scripted(lambda handler, number, _: reply(handler, *replies[number % 4])) as server:
        load = generator(server.url, connections=1).run(np.zeros(40), 20)
    assert load.errors == {"503 overloaded": 10, "404": 10}
    assert len(load.answered) == 20


def test_connection_is_opened_again_when_the_server_closes_it(generator, scripted, reply):
    connections = set()

    def respond(handler, number, _):
        connections.add(handler.client_address)
        reply(handler, 200, b"{}", connection="close")

    with scripted(respond) as server:
        load = generator(server.url, connections=2).run(arrivals("even", 50, 0.4), 0.4)
    assert not load.errors
    assert len(connections) == 20


def test_broken_reply_is_a_failure_and_the_next_request_is_answered(generator, scripted, reply):
    def respond(handler, number, _):
        if number % 2:
            reply(handler, 200)
        else:
            handler.wfile.write((b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", b"SSH-2.0\r\n\r\n")[number % 4 == 0])
            handler.close_connection = True

    with scripted(respond) as server:
        load = generator(server.url, connections=1).run(arrivals("even", 40, 0.5), 0.5)
    assert load.errors == {"no HTTP": 5, "closed": 5}
    assert len(load.answered) == 10


def test_silent_server_is_a_timeout(generator, scripted, reply):
    done = threading.Event()
    with scripted(lambda handler, _, __: done.wait(30)) as server:
        load = generator(server.url, connections=3, timeout_s=0.2).run(np.zeros(3), 0.1)
        done.set()
    assert load.errors == {"timeout": 3}


def test_requests_that_found_no_connection_in_time_have_failed(generator, scripted, reply):
    done = threading.Event()

    def respond(handler, *_):
        done.wait(30)
        reply(handler, 200)

    with scripted(respond) as server:
        threading.Timer(0.5, done.set).start()
        load = generator(server.url, connections=2).run(arrivals("even", 100, 0.2), 0.2)
    assert load.errors == {"not sent in time": 18}
    assert len(load.answered) == 2


def test_server_that_is_away_refuses_every_request(generator):
    load = generator("http://127.0.0.1:9").run(arrivals("even", 100, 0.1), 0.1)
    assert load.errors == {"refused": 10}


def test_generator_says_so_when_it_is_the_limit(generator):
    """No generator in Python sends a hundred thousand a second; this one is refused all of them at once."""
    load = generator("http://127.0.0.1:9").run(arrivals("even", 100_000, 0.2), 0.2)
    assert load.limit.startswith(("the generator was busy for ", "other processes kept ", "requests left "))


def test_generator_is_not_the_limit_when_it_waits_for_the_server(generator, scripted, reply):
    def respond(handler, *_):
        time.sleep(0.2)
        reply(handler, 200)

    with scripted(respond) as server:
        load = generator(server.url, connections=2).run(np.zeros(6), 5)
    assert load.busy_fraction < 0.5


def test_large_body_arrives_whole_when_the_socket_takes_it_in_parts(generator, scripted, reply):
    body = bytes(range(256)) * 40_000
    with scripted(lambda handler, _, __: reply(handler, 200, b"x" * 3_000_000)) as server:
        load = generator(server.url, connections=2, body=body).run(np.zeros(3), 5)
        assert all(seen == body for _, seen in server.seen)
    assert not load.errors


class KnownServer:
    """Stands for a generator whose server keeps a known rate."""

    def __init__(self, kept: float) -> None:
        self.kept = kept
        self.rates: list[float] = []

    def run(self, due_s, seconds):
        from maas.load_testing.measurement import Load

        rate = len(due_s) / seconds
        self.rates.append(rate)
        slow = rate > self.kept
        values = np.full(len(due_s), 100.0 if slow else 1.0)
        seconds = seconds if rate < MOST_REQUESTS_PER_S else len(due_s) / (1.2 * self.kept)
        zero = dict.fromkeys(("late_ms", "busy_fraction", "cpu_fraction", "queued_fraction"), 0.0)
        return Load(rate=rate, seconds=seconds, latencies_ms=values, errors={}, **zero)


@pytest.mark.parametrize("kept", [7.3, 432.1, 20_000])
def test_search_finds_the_highest_rate_that_is_kept(kept):
    server = KnownServer(kept)
    loads = list(measured_loads(settings_of(["url=http://h", "rate=auto", "seconds=10", "p99_ms=50"]), server))
    assert capacity(KnownServer(kept), 1) == pytest.approx(1.2 * kept)
    best = highest_kept(loads, 50)
    assert 0.97 * kept < best.rate <= kept


def test_search_finds_none_when_no_rate_is_kept():
    assert highest_kept(list(measured_loads(settings_of(["url=http://h", "rate=auto"]), KnownServer(0.01))), 50) is None


def test_poisson_arrivals_have_the_rate_and_independent_distances():
    due = arrivals("poisson", 1000, 20)
    distances = np.diff(due)
    assert len(due) == 20_000
    assert 0 <= due[0] < due[-1] <= 20
    assert distances.std() == pytest.approx(distances.mean(), rel=0.03)  # of an exponential distribution both are equal
    assert np.array_equal(arrivals("even", 4, 1), [0, 0.25, 0.5, 0.75])

"""What a client does where a server is busy, breaks off, is silent or fails."""

import asyncio
import email.utils
import json
import time

import pytest

import maas
from maas.client import exchanges
from maas.errors import DeadlineError, InputError, OverloadError, ServerError

GOOD = json.dumps({"predictions": [{"value": 2.5}]}).encode()


@pytest.fixture(params=["blocking", "asynchronous"])
def predict(request):
    """Returns a function that predicts one row with one of the clients."""

    def blocking(url, **settings):
        with maas.Client(url, **settings) as client:
            return client.predict([0])

    def asynchronous(url, **settings):
        async def call():
            async with maas.AsyncClient(url, **settings) as client:
                return await client.predict([0])

        return asyncio.run(call())

    return {"blocking": blocking, "asynchronous": asynchronous}[request.param]


@pytest.mark.parametrize("status", [429, 503])
def test_busy_server_is_asked_again_after_its_delay_and_not_before(status, predict, scripted, reply):
    moments = []

    def respond(handler, number, _):
        moments.append(time.monotonic())
        if number < 2:
            reply(handler, status, b'{"error": "full"}', retry_after="1" if number == 0 else "0")
        else:
            reply(handler, 200, GOOD)

    with scripted(respond) as server:
        assert predict(server.url) == [{"value": 2.5}]
    assert len(server.seen) == 3
    assert moments[1] - moments[0] >= 1


def broken(handler):
    """Closes the connection without a reply."""
    handler.close_connection = True
    handler.connection.shutdown(2)


def cut_short(handler):
    """Closes the connection in the middle of a reply."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
    broken(handler)


@pytest.mark.parametrize("fail", [broken, cut_short])
def test_call_is_sent_again_when_the_connection_breaks_off(fail, predict, scripted, reply):
    def respond(handler, number, _):
        if number < 2:
            fail(handler)
        else:
            reply(handler, 200, GOOD)

    with scripted(respond) as server:
        assert predict(server.url) == [{"value": 2.5}]
    assert len({body for _, body in server.seen}) == 1
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, b'{"error": "Row 0 is wrong.", "code": "x"}', InputError, "Row 0 is wrong."),
        (404, b'{"error": {"message": "No\\nsuch model."}}', InputError, "No such model."),
        (413, b"too large", InputError, "The server refuses the request with status 413."),
        (500, b'{"error": "It failed."}', ServerError, "It failed."),
        (502, b"<html>", ServerError, "The server failed with status 502."),
        (504, b'{"error": "Late."}', DeadlineError, "Late."),
    ],
)
def test_error_is_raised_at_once_with_the_servers_message(status, body, kind, message, predict, scripted, reply):
    with scripted(lambda handler, _, __: reply(handler, status, body)) as server, pytest.raises(kind) as found:
        predict(server.url)
    assert str(found.value) == message
    assert len(server.seen) == 1


def test_redirect_names_the_other_address(predict, scripted, reply):
    with (
        scripted(lambda handler, _, __: reply(handler, 308, location="https://other/")) as server,
        pytest.raises(ServerError, match="redirects to https://other/; use that URL"),
    ):
        predict(server.url)


def test_overload_is_raised_with_its_delay_when_attempts_are_used_up(predict, scripted, reply):
    with (
        scripted(lambda handler, _, __: reply(handler, 503, b'{"error": "full"}', retry_after="0")) as server,
        pytest.raises(OverloadError, match="^full$"),
    ):
        predict(server.url, retries=2)
    assert len(server.seen) == 3


def test_overload_is_raised_at_once_when_the_delay_is_longer_than_the_time_that_is_left(predict, scripted, reply):
    with (
        scripted(lambda handler, _, __: reply(handler, 503, b"", retry_after="3600")) as server,
        pytest.raises(OverloadError) as found,
    ):
        predict(server.url, timeout_s=30)
    assert found.value.retry_after_s == 3600
    assert len(server.seen) == 1


def silent(handler):
    time.sleep(3)


def dripping(handler):
    """Sends a byte of a reply every tenth of a second: no pause is long, all together are."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n")
    for _ in range(40):
        handler.wfile.write(b" ")
        time.sleep(0.1)


@pytest.mark.parametrize("be_slow", [silent, dripping])
def test_deadline_ends_the_call_when_a_reply_is_slow(be_slow, predict, scripted):
    def respond(handler, *_):
        try:
            be_slow(handler)
        except OSError:  # the client left
            handler.close_connection = True

    with scripted(respond) as server:
        start = time.monotonic()
        with pytest.raises(DeadlineError, match="timeout_s"):
            predict(server.url, timeout_s=0.4)
        assert time.monotonic() - start < 2  # far less than the reply takes
    assert len(server.seen) == 1


def test_host_that_does_not_exist_is_not_tried_again():
    with maas.Client("http://nowhere.invalid") as client, pytest.raises(exchanges.NoReplyError) as found:
        client.predict([0])
    assert str(found.value).startswith("http://nowhere.invalid cannot be reached: ")
    assert not found.value.is_transient


@pytest.mark.parametrize(("value", "expected"), [("7", 7), ("", 0), ("soon", 0), ("-3", 0)])
def test_delay_is_read_when_it_is_seconds(value, expected):
    assert exchanges.retry_after_s(exchanges.Incoming(503, {"retry-after": value}, b"")) == expected


def test_delay_is_read_when_it_is_a_date():
    later = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 97 < exchanges.retry_after_s(exchanges.Incoming(503, {"retry-after": later}, b"")) <= 100
    assert exchanges.retry_after_s(exchanges.Incoming(503, {"retry-after": email.utils.formatdate(0)}, b"")) == 0

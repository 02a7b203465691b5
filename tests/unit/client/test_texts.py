"""Texts by both clients: those of the bundle, whole and in pieces; repeated before the first piece, never after it."""

import asyncio
import json
import time
from contextlib import aclosing

import pytest

import maas
from maas.errors import DeadlineError, InputError, OverloadError, ServerError
from maas.runtime.bundle import Bundle

MESSAGES = [{"role": "user", "content": "write"}]
SETTINGS = [{}, {"temperature": 1.0, "seed": 3, "top_p": 0.9}, {"temperature": 0.7, "seed": 1, "top_k": 5}]


class Blocking:
    """Both calls by the blocking client."""

    def generate(self, url, prompt, options=None, **settings):
        with maas.Client(url, **(options or {})) as client:
            return client.generate(prompt, **settings)

    def pieces(self, url, prompt, options=None, most=None, **settings):
        found = []
        with maas.Client(url, **(options or {})) as client:
            stream = client.stream(prompt, **settings)
            for piece in stream:
                found.append(piece)
                if len(found) == most:
                    stream.close()
        return found


class Asynchronous:
    """Both calls by the client for an event loop."""

    def generate(self, url, prompt, options=None, **settings):
        async def call():
            async with maas.AsyncClient(url, **(options or {})) as client:
                return await client.generate(prompt, **settings)

        return asyncio.run(call())

    def pieces(self, url, prompt, options=None, most=None, **settings):
        async def call():
            found = []
            async with (
                maas.AsyncClient(url, **(options or {})) as client,
                aclosing(client.stream(prompt, **settings)) as stream,
            ):
                async for piece in stream:
                    found.append(piece)
                    if len(found) == most:
                        break
            return found

        return asyncio.run(call())


@pytest.fixture(params=[Blocking, Asynchronous])
def calls(request):
    return request.param()


@pytest.fixture(scope="module")
def bundle(served):
    return Bundle.open(served("generating").folder)


@pytest.fixture(scope="module")
def url(served):
    return served("generating").url


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("prompt", ["the", MESSAGES], ids=["text", "messages"])
def test_text_is_the_bundles_when_it_is_whole_or_in_pieces(calls, url, bundle, prompt, settings):
    expected = bundle.generate(prompt, max_tokens=24, **settings)
    found = calls.generate(url, prompt, max_tokens=24, **settings)
    assert (found.text, found.finish_reason) == (expected.text, expected.finish_reason)
    assert (found.prompt_tokens, found.tokens) == (expected.prompt_tokens, len(expected.tokens))
    pieces = calls.pieces(url, prompt, max_tokens=24, **settings)
    assert "".join(piece.text for piece in pieces) == expected.text
    assert [piece.finish_reason for piece in pieces] == [None] * (len(pieces) - 1) + [expected.finish_reason]


def test_text_ends_at_the_server_when_nobody_reads_on(calls, url):
    import httpx

    pieces = calls.pieces(url, "the", most=2, max_tokens=120, temperature=1.0, seed=2, model="tiny")
    assert len(pieces) == 2
    end = time.monotonic() + 20
    while 'maas_running_texts{model="tiny",version="1"} 0.0' not in httpx.get(f"{url}/metrics").text:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("prompt", "settings", "message"),
    [
        ("x" * 200, {}, "at most 128, the model's context"),
        ("the", {"temprature": 1}, "temprature"),
        ("the", {"model": "none"}, "No model 'none' is served here; there is tiny."),
        ("", {}, "The prompt is empty"),
        ([], {}, "messages"),
        ("\ud800", {}, "cannot be written as JSON"),
        ("the", {"stop": Ellipsis}, "cannot be written as JSON"),
        ("the", {"n": 2}, "n is 2; a call gives one text."),
        ([{"role": "user", "content": "a"}], {"tools": [{}]}, "tools are given; a client gives texts alone."),
        ("the", {"stream": True}, "stream is no setting here; call stream(…)"),
    ],
    ids=str,
)
@pytest.mark.parametrize("form", ["generate", "pieces"])
def test_prompt_is_refused_with_the_servers_message(calls, url, form, prompt, settings, message):
    with pytest.raises(InputError) as caught:
        getattr(calls, form)(url, prompt, **settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def event(text: str, finish_reason: str | None = None) -> bytes:
    return (
        b"data: %s\n\n" % json.dumps({"choices": [{"index": 0, "text": text, "finish_reason": finish_reason}]}).encode()
    )


DONE = b"data: [DONE]\n\n"
WHOLE = json.dumps(
    {"choices": [{"text": "ab", "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
).encode()


def streamed(handler, *parts: bytes, pause_s: float = 0.0) -> None:
    """Sends a body without a length, part by part, and closes the connection."""
    handler.send_response(200)
    handler.send_header("connection", "close")
    handler.end_headers()
    for part in parts:
        handler.wfile.write(part)
        handler.wfile.flush()
        time.sleep(pause_s)
    handler.close_connection = True


def broken(handler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(2)


def test_attempts_are_repeated_when_the_server_is_busy_or_breaks_off_before_the_first_piece(calls, scripted, reply):
    def respond(handler, number, _):
        if number == 0:
            reply(handler, 503, b'{"error": "full"}', retry_after="0")
        elif number == 1:
            broken(handler)
        else:
            streamed(handler, event("a"), event("b", "stop"), DONE)

    with scripted(respond) as server:
        assert [piece.text for piece in calls.pieces(server.url, "the")] == ["a", "b"]
    assert len(server.seen) == 3
    assert json.loads(server.seen[0][1]) == {"temperature": 0, "prompt": "the", "stream": True}


def test_attempts_are_repeated_when_a_whole_text_is_wanted(calls, scripted, reply):
    def respond(handler, number, _):
        if number:
            reply(handler, 200, WHOLE)
        else:
            reply(handler, 429, b"", retry_after="0")

    with scripted(respond) as server:
        assert calls.generate(server.url, MESSAGES, temperature=0.5).text == "ab"
    assert json.loads(server.seen[1][1]) == {"temperature": 0.5, "messages": MESSAGES}


def test_pieces_are_whole_when_the_bytes_of_events_come_in_any_parts(calls, scripted):
    content = event("é") + event("文\n字") + event("", "length") + DONE
    with scripted(
        lambda handler, _, __: streamed(handler, *(content[at : at + 7] for at in range(0, len(content), 7)))
    ) as server:
        found = calls.pieces(server.url, "the")
    assert [piece.text for piece in found] == ["é", "文\n字", ""]
    assert found[-1].finish_reason == "length"


@pytest.mark.parametrize(
    ("parts", "kind", "message"),
    [
        ([event("a")], ServerError, "The server closed the connection in the middle of a text."),
        ([event("a"), b"<html>\n\n"], ServerError, "it has no events"),
        ([event("a"), b"data: {\n\n"], ServerError, "The reply is none of a server of maas"),
        (
            [event("a"), b'data: {"error": {"message": "Late.", "code": "deadline_exceeded"}}\n\n'],
            DeadlineError,
            "Late.",
        ),
        ([event("a"), b'data: {"error": {"message": "Full.", "code": "overloaded"}}\n\n'], OverloadError, "Full."),
        ([event("a"), b'data: {"error": {"message": "It\\nfailed.", "code": "x"}}\n\n'], ServerError, "It failed."),
    ],
    ids=str,
)
def test_error_is_raised_and_nothing_repeated_when_a_stream_breaks_off_after_a_piece(
    calls, scripted, parts, kind, message
):
    with (
        scripted(lambda handler, _, __: streamed(handler, *parts)) as server,
        pytest.raises(kind) as caught,
    ):
        calls.pieces(server.url, "the")
    assert message in str(caught.value)
    assert type(caught.value) is kind
    assert len(server.seen) == 1


def test_deadline_ends_a_stream_when_it_passes_in_the_middle(calls, scripted):
    def respond(handler, *_):
        try:
            streamed(handler, *[event("a")] * 40, pause_s=0.1)
        except OSError:  # the client left
            handler.close_connection = True

    with scripted(respond) as server:
        start = time.monotonic()
        with pytest.raises(DeadlineError, match="timeout_s"):
            calls.pieces(server.url, "the", {"timeout_s": 0.5})
        assert time.monotonic() - start < 2
    assert len(server.seen) == 1


@pytest.mark.parametrize("body", [b"{}", b"<html>", WHOLE.replace(b'"stop"', b"null")], ids=str)
def test_reply_is_refused_when_it_is_of_another_server(calls, scripted, reply, body):
    with (
        scripted(lambda handler, _, __: reply(handler, 200, body)) as server,
        pytest.raises(ServerError, match="The reply is none of a server of maas"),
    ):
        calls.generate(server.url, "the")

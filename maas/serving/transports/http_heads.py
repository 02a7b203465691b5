"""Heads of HTTP/1.1 requests: what a parser found, checked against what a server may accept, and heads of replies.

Source: RFC 9110 (semantics) and RFC 9112 (HTTP/1.1).
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

import msgspec

from maas.errors import shortened_value
from maas.serving.deadlines import PRIORITY, TIMEOUT
from maas.serving.faults import CallError
from maas.serving.protocols.operations import Metadata, Reply
from maas.serving.protocols.streaming import StreamedReply

LONGEST_REMEMBERED = 200  # bytes of a target
FieldList = Sequence[tuple[bytes, bytes]]
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REASONS = {499: "Client Closed Request"} | {one.value: one.phrase for one in HTTPStatus}


class MalformedRequestError(CallError):
    """What was sent is not HTTP/1.1 as a server may accept it."""

    kind = "malformed_request"


class LargeHeadError(CallError):
    """The head of a request has more bytes or fields than a head may have."""

    kind = "head_too_large"


class SlowRequestError(CallError):
    """A request arrives more slowly than a connection may be held for it."""

    kind = "too_slow"


class HttpHead(msgspec.Struct):
    """The head of one request.

    Args:
        method: in upper case.
        path: decoded, without the query.
        query: parameters beside the path.
        metadata: its fields.
        body_bytes: announced size of the body; null where it comes in chunks.
        waits: whether the client waits for `100 Continue` before it sends the body.
        media_type: declared type of the body.
        encoding: declared compression of the body.
        request_id: name that the client gave the request.
        origin: origin of the page that sends it, where a browser does.
        timeout: time within which the client wants a reply.
        priority: before or after others.
        is_old: whether the client speaks HTTP/1.0, where a connection closes unless the reply says otherwise.
    """

    method: str = ""
    path: str = ""
    query: Mapping[str, str] = {}
    metadata: Metadata = {}
    body_bytes: int | None = 0
    waits: bool = False
    media_type: bytes = b""
    encoding: bytes = b""
    request_id: bytes = b""
    origin: bytes = b""
    timeout: bytes = b""
    priority: bytes = b""
    is_old: bool = False


def http_head(method: bytes, target: bytes, version: str, fields: FieldList) -> HttpHead:
    """Returns a checked head.

    Args:
        method: as it was sent.
        target: as it was sent, in origin or absolute form.
        version: of HTTP.
        fields: names in lower case, and values.

    Raises:
        MalformedRequestError: there is not exactly one Host, or the version is another.
    """
    by_name = joined_fields(fields)
    if version not in ("1.1", "1.0"):
        raise MalformedRequestError(f"The request is of HTTP {version}; this server speaks HTTP/1.1.")
    hosts = int(b"host" in by_name)
    if len(by_name) < len(fields):
        hosts = sum(name == b"host" for name, _ in fields)
    if hosts != 1 and (hosts or version == "1.1"):
        raise MalformedRequestError(f"The request has {hosts} Host fields; HTTP/1.1 requires exactly one.")
    coding = by_name.get(b"transfer-encoding")
    if coding is not None and coding.strip().lower() != b"chunked":
        raise MalformedRequestError(
            f"The transfer coding is {shortened_value(coding.decode('latin-1'))}; send chunked."
        )
    path, query = _split(target)
    return HttpHead(
        method.decode("latin-1"),
        path,
        query,
        by_name,
        None if coding is not None else int(by_name.get(b"content-length", 0)),
        b"expect" in by_name and version == "1.1" and by_name[b"expect"].lower() == b"100-continue",
        by_name.get(b"content-type", b""),
        by_name.get(b"content-encoding", b""),
        by_name.get(b"x-request-id", b""),
        by_name.get(b"origin", b""),
        by_name.get(TIMEOUT, b""),
        by_name.get(PRIORITY, b""),
        version == "1.0",
    )


def joined_fields(fields: FieldList) -> Metadata:
    """Returns fields by name; the values of one that came several times are joined by commas."""
    by_name = dict(fields)
    if len(by_name) < len(fields):
        by_name = {name: b", ".join(value for other, value in fields if other == name) for name in by_name}
    return by_name


def _split(target: bytes) -> tuple[str, Mapping[str, str]]:
    return _remembered(target) if len(target) <= LONGEST_REMEMBERED else _remembered.__wrapped__(target)


@lru_cache(maxsize=1024)
def _remembered(target: bytes) -> tuple[str, Mapping[str, str]]:
    """Returns the decoded path and the parameters of a request's target."""
    text = target.decode("latin-1")
    if "://" in text[:8]:  # absolute form, as proxies send it
        text = "/" + text.partition("://")[2].partition("/")[2]
    path, _, query = text.partition("?")
    if "#" in text:
        raise MalformedRequestError(f"The target {shortened_value(text)} holds a fragment, which is never sent.")
    return unquote(path) if "%" in path else path, dict(parse_qsl(query, keep_blank_values=True)) if query else {}


def reply_head(status: int, reply: Reply, request_id: bytes, connection: bytes, extra: bytes) -> bytes:
    """Returns the head of a reply.

    Args:
        status: of HTTP.
        reply: what follows.
        request_id: name of the request.
        connection: field that says what becomes of the connection, as a line; empty where it stays open.
        extra: more fields, as lines.
    """
    first, last = _lines_around(status, reply.media_type, reply.metadata)
    return b"%b%d\r\nx-request-id: %b\r\n%b%b%b\r\n" % (first, len(reply.body), request_id, last, connection, extra)


def streamed_head(
    reply: StreamedReply, request_id: bytes, connection: bytes, extra: bytes, *, is_chunked: bool
) -> bytes:
    """Returns the head of a reply whose size nobody knows yet.

    Args:
        reply: what follows.
        request_id: name of the request.
        connection: field that says what becomes of the connection, as a line; empty where it stays open.
        extra: more fields, as lines.
        is_chunked: whether the body comes in chunks; else the end of the connection ends it.
    """
    return b"%bcontent-type: %b\r\n%bcache-control: no-cache\r\nx-request-id: %b\r\n%b%b%b\r\n" % (
        _status_line(200),
        reply.media_type,
        b"transfer-encoding: chunked\r\n" if is_chunked else b"",
        request_id,
        _lines(reply.metadata),
        connection,
        extra,
    )


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n".encode()


@lru_cache(maxsize=1024)
def _lines_around(status: int, media_type: bytes, metadata: tuple[tuple[bytes, bytes], ...]) -> tuple[bytes, bytes]:
    """Returns what a head has before the size of its body, and its lines after the name of the request."""
    first = b"%bcontent-type: %b\r\ncontent-length: " % (_status_line(status), media_type)
    return first, _lines(metadata)


@lru_cache(maxsize=1024)
def _lines(metadata: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"".join(b"%b: %b\r\n" % field for field in metadata)

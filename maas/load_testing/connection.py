"""One connection of a load test: a request at a time, written and read without waiting."""

import contextlib
import socket
from typing import Protocol

import httptools
import msgspec

READ_BYTES = 1 << 18
SHOWN_BYTES = 4096
"""Of the body of a reply that is an error."""


class ResponseParser(Protocol):
    """The parser of httptools."""

    def feed_data(self, data: bytes) -> None:
        """Reads bytes, and calls back."""

    def get_status_code(self) -> int:
        """Returns the status."""

    def should_keep_alive(self) -> bool:
        """Returns whether another request may follow."""


class Connection:
    """A connection that is opened by its first request, and again where the server closed it.

    Args:
        domain: the socket's, such as IPv4.
        address: of the server, and its port.

    Attributes:
        unsent: bytes of the request that did not fit into the socket's buffer yet.
        due: when its newest request was due.
        sent: when its request began to be sent.
    """

    def __init__(self, domain: socket.AddressFamily, address: tuple[str, int]) -> None:
        self._domain, self._address = domain, address
        self._socket: socket.socket | None = None
        self._parser: ResponseParser | None = None
        self._is_complete = False
        self._body = b""
        self.unsent = memoryview(b"")
        self.due = 0.0
        self.sent = 0.0

    def fileno(self) -> int:
        """Returns the socket's number."""
        return -1 if self._socket is None else self._socket.fileno()

    def begin(self, request: bytes, due: float, now: float) -> None:
        """Begins to send a request.

        Args:
            request: head and body.
            due: when it was due.
            now: when it is sent.

        Raises:
            OSError: the connection is broken.
        """
        self.due, self.sent, self.unsent = due, now, memoryview(request)
        self._is_complete, self._body = False, b""
        self._parser = httptools.HttpResponseParser(self)
        if self._was_closed():
            self.close()
        if self._socket is None:
            self._socket = socket.socket(self._domain, socket.SOCK_STREAM)
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.connect_ex(self._address)  # what comes of it shows when the request is written
        else:
            self.write()

    def write(self) -> None:
        """Sends as much of the request as fits.

        Raises:
            OSError: the connection is broken, or could not be made.
        """
        if self._socket is not None:
            with contextlib.suppress(BlockingIOError):
                self.unsent = self.unsent[self._socket.send(self.unsent) :]

    def read(self) -> str | None:
        """Reads what has come.

        Returns:
            Null while the reply is not whole; what it is then: empty for a success, else its status and code.

        Raises:
            OSError: the connection is broken.
            httptools.HttpParserError: the reply is not HTTP.
        """
        data = b"" if self._socket is None else self._socket.recv(READ_BYTES)
        if not data or self._parser is None:
            raise ConnectionResetError("closed")
        self._parser.feed_data(data)
        if not self._is_complete:
            return None
        status = self._parser.get_status_code()
        if not self._parser.should_keep_alive():
            self.close()
        return "" if 200 <= status < 300 else f"{status} {_code_of(self._body)}".strip()

    def close(self) -> None:
        """Closes the socket; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _was_closed(self) -> bool:
        """Returns whether the server closed a connection that nobody used."""
        if self._socket is None:
            return False
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def on_body(self, data: bytes) -> None:
        """Keeps the beginning of a body, for its code if it is an error."""
        if len(self._body) < SHOWN_BYTES:
            self._body += data[:SHOWN_BYTES]

    def on_message_complete(self) -> None:
        """Notes that the reply is whole."""
        self._is_complete = True


def _code_of(body: bytes) -> str:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    code = found.get("code") if isinstance(found, dict) else None
    return code if isinstance(code, str) else ""

"""A client that opens a connection for every request."""

import http.client
import threading
import time
from typing import NamedTuple


class Outcome(NamedTuple):
    """What became of a request that was sent on an established connection.

    Args:
        began_s: when the connection was opened, by the monotonic clock.
        seconds: time from then to the end of the reply, or to the failure.
        status: of the reply; the failure where there was none.
    """

    began_s: float
    seconds: float
    status: int | Exception


class FreshClient(threading.Thread):
    """Sends requests, one after the other, until it is stopped or a connection is refused.

    Args:
        port: of the server.
        body: of the requests.
        path: likewise.
        pause_s: time between a reply and the next connection.
    """

    def __init__(self, port: int, body: bytes, *, path: str = "/predict", pause_s: float = 0.0) -> None:
        super().__init__(daemon=True)
        self._port, self._body, self._path, self._pause_s = port, body, path, pause_s
        self.outcomes: list[Outcome] = []
        self.is_stopped = False
        self.start()

    def run(self) -> None:
        while not self.is_stopped:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            began_s = time.monotonic()
            try:
                connection.connect()
            except (ConnectionRefusedError, ConnectionResetError):
                return
            status = self._status(connection)
            self.outcomes.append(Outcome(began_s, time.monotonic() - began_s, status))
            time.sleep(self._pause_s)

    def _status(self, connection: http.client.HTTPConnection) -> int | Exception:
        try:
            connection.request("POST", self._path, self._body)
            response = connection.getresponse()
            response.read()
        except (http.client.HTTPException, OSError) as error:
            return error
        else:
            return response.status
        finally:
            connection.close()

"""New processes without the seconds of importing: forks of one that has imported a module and done nothing else.

`python -m maas.exporting.fork_server SOCKET MODULE …` is that process; its forks run the first module. It reads
requests from the socket, one JSON object a line, and writes two lines for each: the fork's process id, and its exit
status. It ends when the other end of the socket is closed, and after `IDLE_S` without a request.
"""

import atexit
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NoReturn, TextIO

import msgspec

from maas.runtime.kinds import environment_with_kinds

IDLE_S = 120
"""Seconds after which the memory of what was imported is given back."""


class ForkRequest(msgspec.Struct, frozen=True):
    """What makes a fork a process like any other.

    Args:
        arguments: arguments of its command line.
        output: path of the file that takes what it prints.
        folder: working directory.
        path: `sys.path`.
        environment: environment variables.
    """

    arguments: list[str]
    output: str
    folder: str
    path: list[str]
    environment: dict[str, str]


@dataclass(frozen=True)
class _Server:
    """A running server, seen from the process that started it."""

    process: "subprocess.Popen[bytes]"
    channel: TextIO
    owner: int

    @classmethod
    def start(cls, modules: Sequence[str]) -> "_Server":
        own, other = socket.socketpair()
        with other:
            command = [sys.executable, "-m", __name__, str(other.fileno()), *modules]
            silent = subprocess.DEVNULL
            process = subprocess.Popen(
                command, stdin=silent, stdout=silent, stderr=silent, env=_environment(), pass_fds=[other.fileno()]
            )
        with own:
            server = cls(process, own.makefile("rw", encoding="utf-8"), os.getpid())
        atexit.register(server.end)
        return server

    @property
    def is_mine(self) -> bool:
        """Whether this process started it, and it still runs."""
        return self.owner == os.getpid() and self.process.poll() is None

    def send(self, request: ForkRequest) -> int | None:
        """Returns a fork's exit status; None where the server ended before it made one."""
        fork = 0
        try:
            self.channel.write(msgspec.json.encode(request).decode() + "\n")
            self.channel.flush()
            fork = int(self.channel.readline() or 0)
            return int(self.channel.readline() or -signal.SIGKILL) if fork else None
        except (BrokenPipeError, ConnectionResetError):
            return -signal.SIGKILL if fork else None
        except BaseException:  # interrupted: no fork may continue unseen
            if fork:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(fork, signal.SIGKILL)
            self.end()
            raise

    def end(self) -> None:
        """Ends the server; it does nothing in another process."""
        if self.owner == os.getpid():
            atexit.unregister(self.end)
            self.process.kill()
            self.process.wait()


class ForkServer:
    """Runs a module's `main()` in a new process for each call; the first call alone pays for importing.

    Where forks are not safe (systems other than Linux), each call starts an interpreter.

    Args:
        module: import path of a module with `main(arguments)`, which reads the command line where it is given none.
        preloaded: import paths of modules that `main()` would import each time; what is missing is passed over.
    """

    def __init__(self, module: str, preloaded: Sequence[str] = ()) -> None:
        self._module = module
        self._preloaded = preloaded
        self._lock = threading.Lock()
        self._server: _Server | None = None

    def run(self, arguments: Sequence[str]) -> tuple[int, str]:
        """Returns the exit status of `main()` and what it printed.

        Args:
            arguments: arguments of the command line.
        """
        with self._lock, tempfile.TemporaryDirectory() as scratch:
            output = Path(scratch) / "output"
            request = ForkRequest(
                list(arguments), str(output), str(Path.cwd()), list(sys.path), environment_with_kinds()
            )
            status = self._forked(request) if sys.platform == "linux" else None
            if status is not None:
                return status, output.read_text(encoding="utf-8", errors="replace") if output.is_file() else ""
        return self._started(arguments)

    def _forked(self, request: ForkRequest) -> int | None:
        """Returns a fork's exit status; None where no server can be started."""
        for _ in range(2):  # one that ended after its idle time is started again
            if self._server is None or not self._server.is_mine:
                self._server = _Server.start([self._module, *self._preloaded])
            if (status := self._server.send(request)) is not None:
                return status
            self._server.end()
        return None

    def _started(self, arguments: Sequence[str]) -> tuple[int, str]:
        command = [sys.executable, "-m", self._module, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
        return done.returncode, done.stdout + done.stderr


def _environment() -> dict[str, str]:
    """Returns this process's variables, with the places where it finds modules."""
    return {**environment_with_kinds(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _become(request: ForkRequest, module: ModuleType) -> NoReturn:
    """Runs `main()` as the process that was requested, and ends it."""
    status = 1
    try:
        written = os.open(request.output, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(written, 1)
        os.dup2(written, 2)
        os.chdir(request.folder)
        os.environ.clear()
        os.environ.update(request.environment)
        sys.path[:] = request.path
        module.main(request.arguments)
        status = 0
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        if isinstance(ending.code, str):
            sys.stderr.write(ending.code + "\n")
    except BaseException:  # noqa: BLE001 - whatever it is, this process ends here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _serve(module: ModuleType, own: socket.socket) -> None:
    """Makes forks until no more are requested."""
    channel = own.makefile("rw", encoding="utf-8")
    while select.select([own], [], [], IDLE_S)[0] and (line := channel.readline()):
        fork = os.fork()
        if fork == 0:
            os.close(own.fileno())
            _become(msgspec.json.decode(line, type=ForkRequest), module)
        channel.write(f"{fork}\n")
        channel.flush()
        channel.write(f"{os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])}\n")
        channel.flush()


def main() -> None:
    """Imports the modules, and serves requests."""
    number, name, *preloaded = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    module = import_module(name)
    for other in preloaded:
        with contextlib.suppress(ImportError):
            import_module(other)
    with socket.socket(fileno=int(number)) as own:
        _serve(module, own)


if __name__ == "__main__":
    main()

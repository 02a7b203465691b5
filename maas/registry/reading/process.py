"""A database as one long-lived process of its own reads it: mlflow and what it brings stay out of this one.

The process starts with the first question, is replaced if it ends, and ends with the one that started it.
"""

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
from typing import IO

import msgspec

from maas.errors import RegistryError, shows_chain
from maas.registry.reading.questions import Question, QuestionedRegistry, RegistryReply

BY_MLFLOW, BY_REST = "maas.registry.reading.replying", "maas.registry.reading.rest_replying"
"""What reads any store, and what reads a tracking server without mlflow."""
PATIENCE_FOR_REPLY_S = 300.0
"""Seconds for a reply; importing mlflow, connecting and copying a large bundle are among them."""
_PIECE_BYTES = 2**16


class RegistryProcess(QuestionedRegistry):
    """Reads any store that MLflow opens; several threads may use it, one after the other.

    Args:
        tracking_uri: address of the store.
        module: what the process runs.
    """

    def __init__(self, tracking_uri: str, module: str = BY_MLFLOW) -> None:
        super().__init__(tracking_uri)
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The process's number; None where it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def close(self) -> None:
        """Ends the process, if it runs."""
        with self._turn:
            self._end()

    def reply_to(self, question: Question) -> RegistryReply:
        """Returns the process's reply to a question.

        Raises:
            RegistryError: the process does not run.
        """
        with self._turn:
            return self._exchanged(question)

    def _exchanged(self, question: Question) -> RegistryReply:
        questions, replies = self._pipes()
        try:
            questions.write(msgspec.json.encode(question) + b"\n")
            questions.flush()
            return msgspec.json.decode(_line(replies.fileno()), type=RegistryReply)
        except (OSError, msgspec.DecodeError) as error:
            self._end()
            raise RegistryError(
                f"The process that reads the registry {self.tracking_uri} has ended: {error}. Set MAAS_TRACEBACK=1 to "
                "see what it writes."
            ) from error

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        """Returns what the process reads and what it writes; it is started if it does not run.

        Raises:
            RegistryError: it cannot be started.
        """
        process = self._started()
        if process.stdin is None or process.stdout is None:
            raise RegistryError("The process that reads the registry has no pipes.")
        return process.stdin, process.stdout

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if shows_chain() else subprocess.DEVNULL,
            )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()  # it changes nothing that a kill could leave half done
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was written may wait for a process that has ended
                    pipe.close()


def _line(descriptor: int) -> bytes:
    """Reads a line; several seconds may pass until it comes.

    Raises:
        OSError: it does not come, or its writer has ended.
    """
    deadline, read = time.monotonic() + PATIENCE_FOR_REPLY_S, bytearray()
    while not read.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(f"it did not reply within {PATIENCE_FOR_REPLY_S:.0f} s")
        piece = os.read(descriptor, _PIECE_BYTES)
        if not piece:
            raise BrokenPipeError("its output is closed")
        read += piece
    return bytes(read)

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

from maas.errors import AbsentError, RegistryError, shows_chain
from maas.registry.reading.addresses import LocatedModel
from maas.registry.reading.questions import NamesQuestion, PlaceQuestion, Question, RegistryReply, VersionQuestion

PATIENCE_FOR_REPLY_S = 300.0
"""Seconds for a reply; importing mlflow, connecting and copying a large bundle are among them."""
_PIECE_BYTES = 2**16


class RegistryProcess:
    """Reads any store that MLflow opens; several threads may use it, one after the other.

    Args:
        tracking_uri: address of the store.
    """

    def __init__(self, tracking_uri: str) -> None:
        self.tracking_uri = tracking_uri
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The process's number; None where it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def version_at(self, name: str, alias: str) -> str:
        """Returns the version that an alias points at.

        Raises:
            AbsentError: there is no such model, or it has no such alias.
            RegistryError: the registry cannot be read.
        """
        return self._reply(VersionQuestion(self.tracking_uri, name, alias)).version

    def names_with(self, alias: str) -> list[str]:
        """Returns the names of all models that have an alias, in the order of the alphabet.

        Raises:
            RegistryError: the registry cannot be read.
        """
        return self._reply(NamesQuestion(self.tracking_uri, alias)).names

    def locate(self, address: str) -> LocatedModel:
        """Finds a bundle by its address and returns where it lies, copied to this machine if need be.

        Raises:
            AbsentError: there is no such model or version.
            RegistryError: the address is malformed, or the registry cannot be read.
        """
        found = self._reply(PlaceQuestion(self.tracking_uri, address)).model
        return found or LocatedModel("")

    def close(self) -> None:
        """Ends the process, if it runs."""
        with self._turn:
            self._end()

    def _reply(self, question: Question) -> RegistryReply:
        with self._turn:
            reply = self._exchanged(question)
        if reply.fault:
            raise AbsentError(reply.fault) if reply.is_absent else RegistryError(reply.fault)
        return reply

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
                [sys.executable, "-m", "maas.registry.reading.replying"],
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

"""How processes that serve the same models reach each other: messages, and broadcasts of a server of one process."""

import asyncio
import socket
import subprocess
import sys

import pytest

from maas.errors import InputError, MaasError, OverloadError, ProcessError, RegistryError
from maas.serving.faults import UnknownModelError
from maas.serving.peers import Alone, require_all
from maas.serving.workers.messages import (
    CONTROL_LENGTH,
    ControlMessage,
    ControlReply,
    decoded_frame,
    encoded_frame,
    reply_of_fault,
)
from maas.serving.workers.worker_channel import WorkerChannel, read_frame
from maas.serving.workers.worker_process import WorkerProcess


@pytest.mark.parametrize("frame", [ControlMessage(3, "load", b"\x00digits"), ControlReply(3, b"{}")])
def test_frame_is_the_same_when_it_was_sent(frame):
    encoded = encoded_frame(frame)
    assert CONTROL_LENGTH.unpack(encoded[: CONTROL_LENGTH.size]) == (len(encoded) - CONTROL_LENGTH.size,)
    assert decoded_frame(encoded[CONTROL_LENGTH.size :]) == frame


@pytest.mark.parametrize("error", [RegistryError("no"), UnknownModelError("no"), InputError("no")])
def test_fault_keeps_its_class_when_it_comes_from_another_process(error):
    received = decoded_frame(encoded_frame(reply_of_fault(1, error))[CONTROL_LENGTH.size :]).error
    assert (type(received), str(received)) == (type(error), "no")


def test_fault_is_a_plain_one_when_nobody_thought_of_it():
    received = reply_of_fault(1, KeyError("x")).error
    assert (type(received), str(received)) == (MaasError, "'x'")
    assert str(reply_of_fault(1, KeyError()).error) == "KeyError"


def test_broadcast_reaches_the_own_handler_when_there_is_one_process():
    peers = Alone()

    async def doubled(body):
        if not body:
            raise InputError("nothing to double")
        return body * 2

    peers.handle("double", doubled)
    replies = asyncio.run(peers.broadcast("double", b"ab"))
    assert [(reply.worker, reply.body) for reply in replies] == [(1, b"abab")]
    require_all(replies)
    with pytest.raises(InputError, match=r"^nothing to double$"):
        require_all(asyncio.run(peers.broadcast("double")))


class SupervisorsEnd:
    """The other end of a worker's channel, in this process."""

    def __init__(self) -> None:
        self.connection, self.worker = socket.socketpair()
        self.source = self.connection.makefile("rb")
        self.send(ControlMessage(1, "start"))
        self.channel = WorkerChannel(self.worker)
        assert self.channel.first_message() == ControlMessage(1, "start")

    def send(self, frame: ControlMessage | ControlReply) -> None:
        self.connection.sendall(encoded_frame(frame))

    def close(self) -> None:
        for one in (self.source, self.connection, self.worker):
            one.close()

    async def received(self) -> ControlMessage | ControlReply:
        return await asyncio.to_thread(read_frame, self.source)


def test_worker_replies_to_each_message_with_what_its_handler_gives_or_raises(caplog):
    async def scenario() -> None:
        end, closed = SupervisorsEnd(), asyncio.Event()
        end.channel.attach(closed.set)

        async def handled(body: bytes) -> bytes:
            return {b"a": b"done"}[body]

        end.channel.handle("load", handled)
        end.send(ControlMessage(7, "load", b"a"))
        assert await end.received() == ControlReply(7, b"done")
        end.send(ControlMessage(8, "load", b"b"))
        assert await end.received() == ControlReply(8, fault="b'b'")
        end.send(ControlMessage(9, "unload"))
        assert (await end.received()).fault_kind == "ProcessError"
        end.connection.shutdown(socket.SHUT_WR)
        await closed.wait()
        end.close()

    asyncio.run(scenario())
    assert caplog.messages == ["A message of kind load failed."]


def test_broadcast_is_refused_when_the_supervisor_has_ended():
    async def scenario() -> None:
        end, closed = SupervisorsEnd(), asyncio.Event()
        end.channel.attach(closed.set)
        waiting = asyncio.create_task(end.channel.broadcast("load"))
        assert (await end.received()).kind == "broadcast"
        end.connection.shutdown(socket.SHUT_WR)  # as a supervisor does that lets its workers end
        await closed.wait()
        for broadcast in (waiting, end.channel.broadcast("load")):
            with pytest.raises(OverloadError, match="The server is stopping"):
                await broadcast
        end.close()

    asyncio.run(scenario())


def test_worker_that_cannot_be_started_is_a_fault_of_processes(monkeypatch):
    async def respond(worker: WorkerProcess, message: ControlMessage) -> bytes:
        return message.body

    monkeypatch.setattr(sys, "executable", "/nowhere/python")  # as where the system has no room for a process
    with pytest.raises(ProcessError, match=r"^Worker 2 cannot be started: No such file or directory\.$"):
        asyncio.run(WorkerProcess.started(2, [], respond))


def test_worker_gets_a_reply_when_the_supervisor_fails_in_a_way_that_nobody_thought_of(caplog):
    async def respond(worker: WorkerProcess, message: ControlMessage) -> bytes:
        return {b"a": b"done"}[message.body]

    async def scenario() -> None:
        worker = WorkerProcess(1, process, await asyncio.open_connection(sock=own), respond)
        for number, body, reply in ((3, b"a", ControlReply(3, b"done")), (4, b"b", ControlReply(4, fault="b'b'"))):
            other.sendall(encoded_frame(ControlMessage(number, "registry", body)))
            assert await asyncio.to_thread(read_frame, source) == reply
        other.shutdown(socket.SHUT_RDWR)
        assert await worker.ended() == "status 0"

    own, other = socket.socketpair()
    with subprocess.Popen([sys.executable, "-c", ""]) as process, other, other.makefile("rb") as source:
        asyncio.run(scenario())
    assert caplog.messages == ["A message of kind registry of worker 1 failed."]

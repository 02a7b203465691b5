"""How processes that serve the same models reach each other: messages, and broadcasts of a server of one process."""

import asyncio

import pytest

from maas.errors import InputError, MaasError, RegistryError
from maas.serving.faults import UnknownModelError
from maas.serving.workers.channel import Alone, first_fault
from maas.serving.workers.messages import (
    CONTROL_LENGTH,
    ControlMessage,
    ControlReply,
    decoded_frame,
    encoded_frame,
    reply_of_fault,
)


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
    assert first_fault(replies) is None
    assert str(first_fault(asyncio.run(peers.broadcast("double")))) == "nothing to double"

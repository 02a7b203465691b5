"""What supervisor and workers send each other: messages and their replies, each a length and a record in MessagePack.

Either side sends messages and replies to those of the other. A number joins a reply with its message.
"""

import struct
from typing import TypeAlias

import msgspec

from maas import errors
from maas.errors import MaasError
from maas.serving import faults

CONTROL_LENGTH = struct.Struct("<I")


class ControlMessage(msgspec.Struct, frozen=True, tag=True):
    """What one side wants of the other.

    Args:
        number: of the message, for its reply; each side counts its own.
        kind: which handler takes it.
        body: its content, in a form that the handler knows.
    """

    number: int
    kind: str
    body: bytes = b""


class ControlReply(msgspec.Struct, frozen=True, tag=True):
    """What became of a message.

    Args:
        number: of the message.
        body: what its handler returned.
        fault: one line that says why it returned nothing.
        fault_kind: class of that fault's exception; empty for one that nobody thought of.
    """

    number: int
    body: bytes = b""
    fault: str = ""
    fault_kind: str = ""

    @property
    def error(self) -> MaasError | None:
        """The fault as an exception."""
        return error_of(self.fault, self.fault_kind)


ControlFrame: TypeAlias = ControlMessage | ControlReply
_DECODER = msgspec.msgpack.Decoder(ControlFrame)


def encoded_frame(frame: ControlFrame) -> bytes:
    """Returns a message or a reply with its length before it."""
    encoded = msgspec.msgpack.encode(frame)
    return CONTROL_LENGTH.pack(len(encoded)) + encoded


def decoded_frame(content: bytes) -> ControlFrame:
    """Returns the message or the reply that follows a length."""
    frame: ControlFrame = _DECODER.decode(content)
    return frame


def error_of(fault: str, fault_kind: str) -> MaasError | None:
    """Returns a fault of another process as an exception.

    Args:
        fault: its message; empty for none.
        fault_kind: class of its exception; empty, or not known here, for a plain one.
    """
    if not fault:
        return None
    found = getattr(errors, fault_kind, None) or getattr(faults, fault_kind, None) or MaasError
    error: MaasError = found(fault)
    return error


def reply_of_fault(number: int, error: BaseException) -> ControlReply:
    """Returns the reply to a message whose handler raised."""
    kind = type(error).__name__ if isinstance(error, MaasError) else ""
    return ControlReply(number, fault=str(error) or type(error).__name__, fault_kind=kind)

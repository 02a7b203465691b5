"""Protocols that clients speak: one protocol, one file, which has `operations(snapshot)`.

A protocol parses a request into a call and renders outputs into a reply; it decides nothing else, and captures nothing
of what is served.
"""

from maas.serving.protocols import rest, v2
from maas.serving.protocols.operations import AnyOperation
from maas.serving.repository import Snapshot

PROTOCOLS = (rest, v2)


def operations_of(snapshot: Snapshot) -> list[AnyOperation]:
    """Returns the operations of every protocol for the models of a snapshot."""
    return [operation for protocol in PROTOCOLS for operation in protocol.operations(snapshot)]

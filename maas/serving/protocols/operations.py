"""What a protocol is made of: operations, each one method of one path. It knows no socket and no model.

A protocol parses requests into calls and renders what comes back. Its operations capture nothing of what is served:
each gets the snapshot of the moment.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec
from numpy.typing import NDArray

from maas.runtime.codec import Outputs
from maas.serving.call import Call, GenerationCall, TextChunk
from maas.serving.protocols.operation_documents import OperationDocument
from maas.serving.protocols.streaming import StreamedReply, TextEvents
from maas.serving.repository import Deployment, GeneratingDeployment, PredictingDeployment, Snapshot

Metadata: TypeAlias = Mapping[bytes, bytes]
"""Values by name in lower case; of what was sent several times, the values joined by commas (RFC 9110, section 5.3)."""
JSON, TEXT = b"application/json", b"text/plain; charset=utf-8"
EVENT_STREAM = "text/event-stream"
LARGE_BODY_BYTES = 16 * 2**10
FaultForm: TypeAlias = Callable[[str, str], Mapping[str, object]]
"""Makes what a body says of a fault from its kind and its message."""
C = TypeVar("C", bound=Call)
G = TypeVar("G", bound=GenerationCall)


class Request(msgspec.Struct):
    """One request, read whole.

    Args:
        body: its bytes.
        values: parts of the path that its operation leaves open, by name.
        metadata: what else the caller said; HTTP calls it headers.
        query: parameters beside the path, by name.
        request_id: name of the request, the caller's own or made by the transport.
        timeout: time within which a reply is wanted, as the caller wrote it; empty for none.
        priority: before or after others, as the caller wrote it; empty for neither.
        model: name of the model, written by the protocol once it knows; observers read it.
        version: version of the model that ran, written by the service; observers read it.
    """

    body: bytes | bytearray = b""
    values: Mapping[str, str] = {}
    metadata: Metadata = {}
    query: Mapping[str, str] = {}
    request_id: bytes = b""
    timeout: bytes = b""
    priority: bytes = b""
    model: str = ""
    version: str = ""

    @property
    def media_type(self) -> str:
        """The declared type of the body, in lower case and without parameters; empty where none is declared."""
        return self.metadata.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()


class Reply(msgspec.Struct, frozen=True):
    """One reply, written whole.

    Args:
        body: its bytes.
        media_type: type of the body.
        metadata: pairs of a name in lower case and a value.
        is_unchanged: whether the caller has this body, and is sent the metadata alone.
    """

    body: bytes
    media_type: bytes = JSON
    metadata: tuple[tuple[bytes, bytes], ...] = ()
    is_unchanged: bool = False


AnyReply: TypeAlias = Reply | StreamedReply


class Rendered(msgspec.Struct, frozen=True):
    """The reply to a call, its body not written yet.

    Args:
        parts: of the body, little work each.
        media_type: type of the body.
        metadata: pairs of a name in lower case and a value.
    """

    parts: Iterator[bytes]
    media_type: bytes = JSON
    metadata: tuple[tuple[bytes, bytes], ...] = ()


RepliesMaker: TypeAlias = Callable[[Outputs], Sequence[Reply]]
"""Makes the reply to each of several requests of the outputs for their rows, (N, …) each."""
ReadRow: TypeAlias = tuple[NDArray[Any], RepliesMaker]
"""A row as an array (1, …), and what makes the reply to it."""


class RowReader(NamedTuple):
    """Reads requests that differ in the numbers of one row alone, faster than `parse` does.

    Args:
        deployment: the one that they are for.
        read: returns the row that a body holds; None where the body has to be parsed: whatever else it holds, or
            however it is wrong.
    """

    deployment: PredictingDeployment
    read: Callable[[bytes | bytearray], ReadRow | None]


class Operation(ABC):
    """One method of one path.

    A path is literal, or leaves segments open up to a suffix: `/v2/models/{name}/infer`, `/v1/models/{name}:predict`.
    `protocol` is what observers call the protocol; `server` for what belongs to none. Documents leave out what has no
    answer for any of the models, and exists to say so. What takes a body reads it from the request, a multipart form
    where it takes forms; a reply that says what went wrong is of the type `fault_type`.
    """

    protocol: ClassVar[str] = "server"
    takes_body: ClassVar[bool] = False
    takes_forms: ClassVar[bool] = False
    fault_type: ClassVar[bytes] = JSON
    is_documented: bool = True
    method: ClassVar[str]
    path: str
    summary: str

    @abstractmethod
    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns it as the documentation shows it, for the models of a snapshot."""

    def fault(self, kind: str, message: str) -> Mapping[str, object]:
        """Returns what a body says of a fault, in the protocol's own form.

        Args:
            kind: of the fault, in snake_case.
            message: what was found, what is required, what to do.
        """
        return common_fault(kind, message)


class Page(Operation):
    """An operation that no model runs for.

    `is_readiness` is set where the reply is read by load balancers as readiness to answer.
    """

    method = "GET"
    is_readiness = False

    @abstractmethod
    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns the reply.

        Raises:
            InputError: there is none.
        """


class Action(Operation):
    """An operation that waits for other work than a run of a model: a change of what is served, or other processes."""

    method = "POST"

    @abstractmethod
    async def perform(self, request: Request) -> Reply:
        """Does it, and returns the reply.

        Raises:
            InputError: it cannot be done.
        """


class Compound(Operation):
    """An operation that makes calls of its own to any of the models: none, one or several."""

    method = "POST"
    takes_body = True

    @abstractmethod
    async def respond(self, request: Request, snapshot: Snapshot) -> Reply:
        """Makes the calls, and returns the reply; cancelling it ends them.

        Raises:
            InputError: the request cannot be understood.
        """


class ModelOperation(Operation, Generic[C]):
    """An operation that a model runs for."""

    method = "POST"
    takes_body = True
    call_type: type[C]

    def is_large(self, request: Request, snapshot: Snapshot) -> bool:
        """Whether a request is read and preprocessed by another process."""
        return len(request.body) > LARGE_BODY_BYTES

    @abstractmethod
    def parse(self, request: Request, snapshot: Snapshot) -> C:
        """Returns what a request wants of a model.

        Raises:
            InputError: the request cannot be understood, or no such model is served.
        """


class Inference(ModelOperation[C]):
    """An operation that a model runs once for, or once for each batch."""

    def row_reader(self, request: Request, snapshot: Snapshot) -> RowReader | None:
        """Returns what reads requests with the head of this one, where only the numbers of a row differ; else None.

        A reply to such a request is the same, byte for byte, as if it were parsed and rendered.

        Args:
            request: its body is not looked at.
            snapshot: what is served.

        Raises:
            InputError: no such model is served.
        """
        return None

    @abstractmethod
    def render(self, call: C, deployment: PredictingDeployment, outputs: Outputs) -> Rendered:
        """Returns the reply to a call.

        Args:
            call: as `parse` made it.
            deployment: the one that ran.
            outputs: the graph's outputs, (N, …) each.
        """


class Explaining(ModelOperation[C]):
    """An operation that a model runs many times for, with parts of its rows left out."""

    @abstractmethod
    def render(self, call: C, deployment: Deployment, explanations: Sequence[Mapping[str, Any]]) -> Rendered:
        """Returns the reply to a call.

        Args:
            call: as `parse` made it.
            deployment: the one that ran.
            explanations: of each row, ready for JSON.
        """


class Generating(Operation, Generic[G]):
    """An operation that a model generates texts for; it may write them as events, unless it never does."""

    method = "POST"
    takes_body = True
    may_stream = True
    event_type: ClassVar[bytes] = f"{EVENT_STREAM}; charset=utf-8".encode()
    call_type: type[G]

    @abstractmethod
    def parse(self, request: Request, snapshot: Snapshot) -> G:
        """Returns what a request wants of a model.

        Raises:
            InputError: the request cannot be understood, or no such model is served.
        """

    @abstractmethod
    def render(self, call: G, deployment: GeneratingDeployment, texts: Sequence[TextChunk]) -> bytes:
        """Returns the body of a reply that is written whole.

        Args:
            call: as `parse` made it.
            deployment: the one that generated.
            texts: whole, in their order.
        """

    @abstractmethod
    def events(self, call: G, deployment: GeneratingDeployment) -> TextEvents:
        """Returns what writes the events of a streamed reply."""


def common_fault(kind: str, message: str) -> dict[str, object]:
    """Returns what a body says of a fault where no protocol has a form of its own."""
    return {"error": message, "code": kind}


AnyOperation: TypeAlias = Page | Action | Compound | Inference[Any] | Explaining[Any] | Generating[Any]
"""An operation's own kind of call stays within it: what it parsed, it renders."""

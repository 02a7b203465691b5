"""Methods of the Open Inference Protocol over gRPC: messages in, messages out, by the same calls as over REST.

Outputs are sent as raw contents, as Triton sends them. It knows no server: a transport hands it whole messages.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError

from maas.errors import OverloadError
from maas.runtime.codec import Outputs
from maas.serving.call import RowList
from maas.serving.faults import UnreadableError
from maas.serving.protocols.binary_tensors import binary_data
from maas.serving.protocols.operations import (
    AnyOperation,
    Content,
    Inference,
    OperationDocument,
    Page,
    Rendered,
    Reply,
    Request,
)
from maas.serving.protocols.tensors import rows_of
from maas.serving.protocols.v2 import V2Call
from maas.serving.protocols.v2_extensions import index_of, statistics_of
from maas.serving.protocols.v2_grpc_messages import (
    SERVICE,
    infer_request,
    message_values,
    reply_type,
    request_type,
)
from maas.serving.protocols.v2_messages import deadline_of, require_parameters
from maas.serving.protocols.v2_outputs import as_wanted, wanted_outputs
from maas.serving.protocols.v2_pages import metadata_of, server_record
from maas.serving.repository import Deployment, Snapshot

if TYPE_CHECKING:
    from google.protobuf.message import Message

PROTOBUF = b"application/grpc+proto"
PageContent = Callable[["Message", Request, Snapshot], Mapping[str, object]]


class GrpcPage(Page):
    """A method that no model runs for.

    Args:
        name: name of the method.
        content: returns what its reply says, by the names of the message's fields.
    """

    protocol = "v2_grpc"

    def __init__(self, name: str, content: PageContent) -> None:
        self.path = f"/{SERVICE}/{name}"
        self.summary = f"Answers {name}."
        self._read, self._make, self._content = request_type(name).FromString, reply_type(name), content

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns the method's message."""
        content = self._content(_message(self._read, request), request, snapshot)
        return Reply(ParseDict(content, self._make()).SerializeToString(), PROTOBUF)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns nothing: `open_inference.proto` documents the methods."""
        return OperationDocument(Content({}, None))


class ModelInfer(Inference[V2Call]):
    """Tensors for tensors."""

    protocol = "v2_grpc"
    call_type = V2Call
    path = f"/{SERVICE}/ModelInfer"
    summary = "Answers tensors with tensors."

    def __init__(self) -> None:
        self._read, self._make = request_type("ModelInfer").FromString, reply_type("ModelInfer")

    def is_large(self, request: Request, snapshot: Snapshot) -> bool:
        """Whether another process reads it: a message is read quickly, whatever its size."""
        return False

    def parse(self, request: Request, snapshot: Snapshot) -> V2Call:
        """Returns a call with the rows that a message's tensors hold."""
        message = _message(self._read, request)
        deployment = _named(message.model_name, message.model_version, request, snapshot)
        body = infer_request(message)
        require_parameters(body)
        specs, optional = deployment.signature.inputs, deployment.optional_inputs
        rows = rows_of(body.inputs, specs, deployment.engine.max_rows, partial(message_values, message), optional)
        return V2Call(
            model=deployment.name,
            version=message.model_version or None,
            inputs=RowList(rows),
            size_bytes=len(request.body),
            deadline_s=deadline_of(body),
            identity=body.id,
            outputs=wanted_outputs(body, deployment.signature.outputs),
        )

    def render(self, call: V2Call, deployment: Deployment, outputs: Outputs) -> Rendered:
        """Returns the wanted outputs as raw contents of a message."""
        arrays = deployment.postprocessor.tensors(outputs)
        reply = self._make(model_name=deployment.name, model_version=deployment.version, id=call.identity)
        for one in call.outputs:
            array, datatype = as_wanted(one, deployment, arrays)
            reply.outputs.add(name=one[0], datatype=datatype, shape=array.shape)
            reply.raw_output_contents.append(binary_data(array, datatype))
        return Rendered(iter((reply.SerializeToString(),)), PROTOBUF)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns nothing: `open_inference.proto` documents the methods."""
        return OperationDocument(Content({}, None))


def grpc_methods() -> dict[str, AnyOperation]:
    """Returns the methods of the service, by name."""
    contents: dict[str, PageContent] = {
        "ServerLive": lambda _message, _request, _snapshot: {"live": True},
        "ServerReady": _server_ready,
        "ServerMetadata": lambda _message, _request, _snapshot: server_record(),
        "ModelReady": _model_ready,
        "ModelMetadata": _model_metadata,
        "ModelStatistics": _model_statistics,
        "RepositoryIndex": lambda _message, _request, snapshot: {"models": index_of(snapshot)},
    }
    return {"ModelInfer": ModelInfer(), **{name: GrpcPage(name, content) for name, content in contents.items()}}


def _server_ready(_message: "Message", _request: Request, snapshot: Snapshot) -> dict[str, object]:
    if not snapshot.deployments:
        raise OverloadError("No model is served yet. Try again in a second.")
    return {"ready": True}


def _model_ready(message: "Message", request: Request, snapshot: Snapshot) -> dict[str, object]:
    _named(message.name, message.version, request, snapshot)
    return {"ready": True}


def _model_metadata(message: "Message", request: Request, snapshot: Snapshot) -> dict[str, object]:
    return metadata_of(_named(message.name, message.version, request, snapshot), snapshot)


def _model_statistics(message: "Message", _request: Request, snapshot: Snapshot) -> dict[str, object]:
    return statistics_of(message.name or None, message.version or None, snapshot)


def _named(name: str, version: str, request: Request, snapshot: Snapshot) -> Deployment:
    deployment = snapshot.find(name, version or None)
    request.model = deployment.name
    return deployment


def _message(read: Callable[[bytes], "Message"], request: Request) -> "Message":
    try:
        return read(bytes(request.body))
    except DecodeError as error:
        raise UnreadableError(
            f"The message cannot be read: {error}. Send what open_inference.proto describes."
        ) from None

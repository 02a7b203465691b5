"""Methods of the Open Inference Protocol over gRPC: messages in, messages out, by the same calls as over REST.

Outputs are sent as raw contents, as Triton sends them. It knows no server: a transport hands it whole messages.
"""

from functools import partial
from typing import TYPE_CHECKING

from maas.errors import OverloadError
from maas.runtime.codec import Outputs
from maas.serving.call import RowList
from maas.serving.protocols.binary_tensors import binary_data
from maas.serving.protocols.grpc_methods import PROTOBUF, GrpcMethod, GrpcPage, PageContent
from maas.serving.protocols.open_inference.extensions import index_of, statistics_of
from maas.serving.protocols.open_inference.grpc_messages import infer_request, message_values
from maas.serving.protocols.open_inference.messages import deadline_of, priority_in, require_parameters
from maas.serving.protocols.open_inference.outputs import as_wanted, wanted_outputs
from maas.serving.protocols.open_inference.pages import metadata_of, server_record
from maas.serving.protocols.open_inference.rest import V2Call
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Inference, Rendered, Request
from maas.serving.protocols.tensors import rows_of
from maas.serving.repository import Deployment, PredictingDeployment, Snapshot

if TYPE_CHECKING:
    from google.protobuf.message import Message

SERVICE = "inference.GRPCInferenceService"
MODEL_INFER = GrpcMethod(SERVICE, "ModelInfer")


class V2GrpcPage(GrpcPage):
    """A method that no model runs for."""

    protocol = "v2_grpc"


class ModelInfer(Inference[V2Call]):
    """Tensors for tensors."""

    protocol = "v2_grpc"
    call_type = V2Call
    path = MODEL_INFER.path
    summary = "Answers tensors with tensors."

    def is_large(self, request: Request, snapshot: Snapshot) -> bool:
        """Whether another process reads it: a message is read quickly, whatever its size."""
        return False

    def parse(self, request: Request, snapshot: Snapshot) -> V2Call:
        """Returns a call with the rows that a message's tensors hold."""
        message = MODEL_INFER.read(request)
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
            priority=priority_in(body),
            identity=body.id,
            outputs=wanted_outputs(body, deployment.signature.outputs),
        )

    def render(self, call: V2Call, deployment: PredictingDeployment, outputs: Outputs) -> Rendered:
        """Returns the wanted outputs as raw contents of a message."""
        arrays = deployment.postprocessor.tensors(outputs)
        reply = MODEL_INFER.reply_type(model_name=deployment.name, model_version=deployment.version, id=call.identity)
        for one in call.outputs:
            array = as_wanted(one, deployment, arrays)
            reply.outputs.add(name=one.name, datatype=one.datatype, shape=array.shape)
            reply.raw_output_contents.append(binary_data(array, one.datatype))
        return Rendered(iter((reply.SerializeToString(),)), PROTOBUF)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns nothing: `open_inference.proto` documents the methods."""
        return OperationDocument(Content({}, None))


def v2_grpc_methods() -> dict[str, AnyOperation]:
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
    pages = {name: V2GrpcPage(GrpcMethod(SERVICE, name), content) for name, content in contents.items()}
    return {MODEL_INFER.name: ModelInfer(), **pages}


def _server_ready(_message: "Message", _request: Request, snapshot: Snapshot) -> dict[str, object]:
    if not snapshot.deployments:
        raise OverloadError("No model is served yet. Try again in a second.")
    return {"ready": True}


def _model_ready(message: "Message", request: Request, snapshot: Snapshot) -> dict[str, object]:
    _named_version(message.name, message.version, request, snapshot)
    return {"ready": True}


def _model_metadata(message: "Message", request: Request, snapshot: Snapshot) -> dict[str, object]:
    return metadata_of(_named_version(message.name, message.version, request, snapshot), snapshot)


def _model_statistics(message: "Message", _request: Request, snapshot: Snapshot) -> dict[str, object]:
    return statistics_of(message.name or None, message.version or None, snapshot)


def _named(name: str, version: str, request: Request, snapshot: Snapshot) -> PredictingDeployment:
    deployment = snapshot.find(name, version or None)
    request.model = deployment.name
    return deployment


def _named_version(name: str, version: str, request: Request, snapshot: Snapshot) -> Deployment:
    """Returns what a message names, whatever it does."""
    found = snapshot.find_any(name, version or None)
    request.model = found.name
    return found

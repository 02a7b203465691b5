"""Streams of the Open Inference Protocol over gRPC, as Triton has them: texts that come piece by piece.

A request is a message with the text as its tensor `text_input`; settings of the generation are its parameters. Each
piece is a message with a tensor `text_output`; the last one has true as its parameter `triton_final_response`.
Source: https://github.com/triton-inference-server/server/blob/main/docs/user_guide/decoupled_models.md
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from maas.records.signature import TensorSpec
from maas.serving.call import TextChunk
from maas.serving.protocols.binary_tensors import binary_data
from maas.serving.protocols.grpc_methods import GrpcMethod
from maas.serving.protocols.open_inference.generate import GenerateCall, call_for_a_text
from maas.serving.protocols.open_inference.grpc_messages import infer_request, message_values
from maas.serving.protocols.open_inference.messages import deadline_of, priority_in
from maas.serving.protocols.open_inference.pages import TEXT_TENSORS
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import Generating, Request
from maas.serving.protocols.streaming import TextEvents
from maas.serving.protocols.tensors import rows_of
from maas.serving.repository import GeneratingDeployment, Snapshot

if TYPE_CHECKING:
    from google.protobuf.message import Message

MODEL_STREAM_INFER = GrpcMethod("inference.GRPCInferenceService", "ModelStreamInfer")
FINAL = "triton_final_response"
_TEXT = TensorSpec(TEXT_TENSORS[0], "BYTES", (1,))
_NO_SETTINGS = {"priority", "timeout", "triton_enable_empty_final_response"}


class ModelStreamInfer(Generating[GenerateCall]):
    """Texts for texts, several of them on one stream."""

    protocol = "v2_grpc"
    call_type = GenerateCall
    path = MODEL_STREAM_INFER.path
    summary = "Continues texts, piece by piece."

    def parse(self, request: Request, snapshot: Snapshot) -> GenerateCall:
        """Returns a call with the text of a message."""
        message = MODEL_STREAM_INFER.read(request)
        deployment = snapshot.find_generating(message.model_name, message.model_version or None)
        request.model = deployment.name
        body = infer_request(message)
        (text,) = rows_of(body.inputs, [_TEXT], 1, partial(message_values, message))
        given = {name: value for name, value in (body.parameters or {}).items() if name not in _NO_SETTINGS}
        call = call_for_a_text(
            deployment, str(text), given, identity=body.id or "", size_bytes=len(request.body), is_streamed=True
        )
        return msgspec.structs.replace(call, deadline_s=deadline_of(body), priority=priority_in(body))

    def render(self, call: GenerateCall, deployment: GeneratingDeployment, texts: Sequence[TextChunk]) -> bytes:
        """Returns the last message of a text; the others come before it."""
        return self.events(call, deployment).written(texts[-1])

    def events(self, call: GenerateCall, deployment: GeneratingDeployment) -> "StreamMessages":
        """Returns what writes the messages of a text."""
        return StreamMessages(call, deployment)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns nothing: `open_inference.proto` documents the methods."""
        return OperationDocument(Content({}, None))


class StreamMessages(TextEvents):
    """Messages of one text.

    Args:
        call: whose reply they are.
        deployment: that generates.
    """

    def __init__(self, call: GenerateCall, deployment: GeneratingDeployment) -> None:
        self._call, self._deployment = call, deployment

    def written(self, chunk: TextChunk) -> bytes:
        """Returns a message with what the text gained, unless nothing is whole yet."""
        is_last = chunk.finish_reason is not None
        if not chunk.text and not is_last:
            return b""
        found: bytes = _reply(self._call, self._deployment, chunk.text, is_last=is_last).SerializeToString()
        return found

    def end(self) -> bytes:
        """Returns nothing: the last message says that it is the last."""
        return b""

    def fault(self, body: bytes) -> bytes:
        """Returns a message with the error."""
        return stream_fault(body, self._call.identity)


def stream_fault(body: bytes, identity: str = "") -> bytes:
    """Returns a message of a stream with an error.

    Args:
        body: what a reply that is written whole says of it.
        identity: what the client calls its request.
    """
    reply = MODEL_STREAM_INFER.reply_type(error_message=msgspec.json.decode(body, type=dict[str, str])["error"])
    reply.infer_response.id = identity
    found: bytes = reply.SerializeToString()
    return found


def _reply(call: GenerateCall, deployment: GeneratingDeployment, text: str, *, is_last: bool) -> "Message":
    message = MODEL_STREAM_INFER.reply_type()
    reply = message.infer_response
    reply.model_name, reply.model_version, reply.id = deployment.name, deployment.version, call.identity
    reply.parameters[FINAL].bool_param = is_last
    reply.outputs.add(name=TEXT_TENSORS[1], datatype="BYTES", shape=[1])
    reply.raw_output_contents.append(binary_data(np.array([text], dtype=object), "BYTES"))
    return message

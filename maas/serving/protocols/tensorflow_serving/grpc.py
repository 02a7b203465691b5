"""TensorFlow Serving over gRPC: `PredictionService` and `ModelService`, by the same calls as over REST.

A model is named by its `model_spec`: a name, and a version, a label of one or neither.
Source: https://github.com/tensorflow/serving/blob/master/tensorflow_serving/apis/prediction_service.proto
"""

from typing import TYPE_CHECKING

from google.protobuf.unknown_fields import UnknownFieldSet

from maas.errors import InputError, shortened_value
from maas.runtime.codec import Outputs
from maas.serving.call import RowList
from maas.serving.protocols.grpc_methods import PROTOBUF, GrpcMethod, GrpcPage
from maas.serving.protocols.models import version_status
from maas.serving.protocols.operations import AnyOperation, Rendered, Request
from maas.serving.protocols.tensorflow_serving.grpc_calls import (
    MODEL_SERVICE,
    PREDICTION_SERVICE,
    TfGrpcCall,
    TfGrpcVerb,
    deployment_of_spec,
    set_spec,
    spec_of,
)
from maas.serving.protocols.tensorflow_serving.grpc_examples import GrpcClassify, GrpcRegress
from maas.serving.protocols.tensorflow_serving.grpc_tensors import declared_tensor, tensor_message, tensor_values
from maas.serving.protocols.tensorflow_serving.pages import require_signature, tf_metadata
from maas.serving.protocols.tensors import require_outputs, rows_of
from maas.serving.repository import PredictingDeployment, Snapshot

if TYPE_CHECKING:
    from google.protobuf.message import Message

_SIGNATURES = "signature_def"
_SIGNATURES_TYPE = "type.googleapis.com/tensorflow.serving.SignatureDefMap"


class TfGrpcPage(GrpcPage):
    """A method that no model runs for."""

    protocol = "tf_serving_grpc"


class GrpcPredict(TfGrpcVerb):
    """Tensors for tensors."""

    verb = "predict"

    def parse(self, request: Request, snapshot: Snapshot) -> TfGrpcCall:
        """Returns a call with the rows that a message's tensors hold."""
        message = self.rpc.read(request)
        deployment, wanted = deployment_of_spec(message.model_spec, request, snapshot)
        _require_known(message)
        require_signature(message.model_spec.signature_name or None, self.verb, deployment)
        outputs = tuple(message.output_filter) or tuple(deployment.output_specs)
        require_outputs(outputs, deployment.output_specs)
        tensors = [declared_tensor(name, one) for name, one in message.inputs.items()]
        specs, optional = deployment.signature.inputs, deployment.optional_inputs
        return TfGrpcCall(
            model=deployment.name,
            version=wanted,
            inputs=RowList(rows_of(tensors, specs, deployment.engine.max_rows, tensor_values, optional)),
            size_bytes=len(request.body),
            outputs=outputs,
            signature_name=message.model_spec.signature_name,
        )

    def render(self, call: TfGrpcCall, deployment: PredictingDeployment, outputs: Outputs) -> Rendered:
        """Returns the wanted outputs by name."""
        arrays, specs = deployment.postprocessor.tensors(outputs), deployment.output_specs
        reply = self.rpc.reply_type()
        set_spec(reply.model_spec, deployment, self.signature_of(call))
        for name in call.outputs:
            reply.outputs[name].CopyFrom(tensor_message(arrays[name], specs[name].datatype))
        return Rendered(iter((reply.SerializeToString(),)), PROTOBUF)


def prediction_methods() -> dict[str, AnyOperation]:
    """Returns the methods of `PredictionService`, by name."""
    metadata = GrpcMethod(PREDICTION_SERVICE, "GetModelMetadata")
    return {
        "Predict": GrpcPredict("Predict"),
        "Classify": GrpcClassify("Classify"),
        "Regress": GrpcRegress("Regress"),
        metadata.name: TfGrpcPage(metadata, _metadata),
    }


def model_methods() -> dict[str, AnyOperation]:
    """Returns the methods of `ModelService`, by name."""
    status = GrpcMethod(MODEL_SERVICE, "GetModelStatus")
    return {status.name: TfGrpcPage(status, _status)}


def _metadata(message: "Message", request: Request, snapshot: Snapshot) -> dict[str, object]:
    """Returns the signatures of a model, the only field of metadata that there is."""
    fields = list(message.metadata_field)
    if fields != [_SIGNATURES]:
        found = ", ".join(shortened_value(one, "") for one in fields) or "empty"
        raise InputError(f"metadata_field is {found}; send {_SIGNATURES}, once.")
    deployment, _ = deployment_of_spec(message.model_spec, request, snapshot)
    signatures = tf_metadata(deployment)["metadata"]
    content = signatures[_SIGNATURES] if isinstance(signatures, dict) else {}
    return {"model_spec": spec_of(deployment), "metadata": {_SIGNATURES: {"@type": _SIGNATURES_TYPE, **content}}}


def _status(message: "Message", request: Request, snapshot: Snapshot) -> dict[str, object]:
    """Returns the states of a model's versions, or of the one that is named."""
    deployment, wanted = deployment_of_spec(message.model_spec, request, snapshot)
    found = snapshot.versions(deployment.name) if wanted is None else (deployment,)
    states = [{**version_status(one), "version": one.version if one.version.isdecimal() else 0} for one in found]
    return {"model_version_status": states}


def _require_known(message: "Message") -> None:
    """Refuses fields that are not known here, as their effect would be missing.

    Raises:
        InputError: with their numbers.
    """
    if numbers := sorted({one.field_number for one in UnknownFieldSet(message)}):
        raise InputError(
            f"The request has fields that are not read here, number {', '.join(map(str, numbers))}; leave out options "
            "of streams and of generation."
        )

"""What the methods of TensorFlow Serving over gRPC share: how a model is named, and a call."""

from typing import TYPE_CHECKING, ClassVar

from maas.serving.call import Call
from maas.serving.protocols.grpc_methods import GrpcMethod
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import Inference, Request
from maas.serving.protocols.tensorflow_serving.pages import DEFAULT_SIGNATURE
from maas.serving.repository import PredictingDeployment, Snapshot

if TYPE_CHECKING:
    from google.protobuf.message import Message

PREDICTION_SERVICE, MODEL_SERVICE = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"


class TfGrpcCall(Call, frozen=True, kw_only=True):
    """A call whose outputs are wanted as a message.

    Args:
        outputs: names of those that are wanted.
        signature_name: name of the signature, as the request has it.
    """

    outputs: tuple[str, ...] = ()
    signature_name: str = ""


class TfGrpcVerb(Inference[TfGrpcCall]):
    """A method that a model runs for.

    Args:
        name: name of the method of `PredictionService`.
    """

    protocol = "tf_serving_grpc"
    call_type = TfGrpcCall
    verb: ClassVar[str]

    def __init__(self, name: str) -> None:
        self.rpc = GrpcMethod(PREDICTION_SERVICE, name)
        self.path = self.rpc.path
        self.summary = f"Answers {name}."

    def is_large(self, request: Request, snapshot: Snapshot) -> bool:
        """Whether another process reads it: a message is read quickly, whatever its size."""
        return False

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns nothing: `tf_serving.proto` documents the methods."""
        return OperationDocument(Content({}, None))

    @staticmethod
    def signature_of(call: TfGrpcCall) -> str:
        """Returns the name of the signature that answered."""
        return call.signature_name or DEFAULT_SIGNATURE


def deployment_of_spec(
    spec: "Message", request: Request, snapshot: Snapshot
) -> tuple[PredictingDeployment, str | None]:
    """Returns the deployment that a `ModelSpec` names, and the version or label of one that it wants.

    Raises:
        UnknownModelError: it is not served.
    """
    choice = spec.WhichOneof("version_choice")
    wanted = None if choice is None else str(spec.version.value) if choice == "version" else spec.version_label
    found = snapshot.find(spec.name, wanted)
    request.model = found.name
    return found, wanted


def spec_of(deployment: PredictingDeployment, signature_name: str = "") -> dict[str, str]:
    """Returns what a reply says of who answered; a version that is no number has no place there."""
    version = {"version": deployment.version} if deployment.version.isdecimal() else {}
    return {"name": deployment.name, "signature_name": signature_name, **version}


def set_spec(spec: "Message", deployment: PredictingDeployment, signature_name: str) -> None:
    """Writes who answered into a reply's `ModelSpec`."""
    spec.name, spec.signature_name = deployment.name, signature_name
    if deployment.version.isdecimal():
        spec.version.value = int(deployment.version)

"""TensorFlow Serving's pages: the state of a version, and the signatures of a model; and how both are named.

Source: https://www.tensorflow.org/tfx/serving/api_rest
"""

from collections.abc import Mapping, Sequence

from maas.errors import InputError, shortened_value
from maas.records.signature import Datatype, TensorSpec
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.models import version_status
from maas.serving.protocols.operation_documents import Content, JsonSchema, OperationDocument
from maas.serving.protocols.operations import Page, Reply, Request
from maas.serving.protocols.schemas import object_schema, schema_like
from maas.serving.repository import PredictingDeployment, Snapshot

TF_PATHS = (
    "/v1/models/{name}",
    "/v1/models/{name}/versions/{version}",
    "/v1/models/{name}/labels/{label}",
)
DEFAULT_SIGNATURE = "serving_default"
SIGNATURE_NAMES = {"predict": DEFAULT_SIGNATURE, "classify": "classification", "regress": "regression"}
"""Name of the signature of each verb."""
SIGNATURE_SCHEMA: JsonSchema = {"type": ["string", "null"], "enum": [DEFAULT_SIGNATURE, "", None]}
_TENSOR = {
    "dtype": "DT_FLOAT",
    "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
    "name": "",
}
_TENSORS: JsonSchema = {"type": "object", "additionalProperties": schema_like(_TENSOR)}
_SIGNATURE: JsonSchema = object_schema(inputs=_TENSORS, outputs=_TENSORS, method_name={"type": "string"})
_SIGNATURES = object_schema(signature_def={"type": "object", "additionalProperties": _SIGNATURE})
METADATA_SCHEMA = object_schema(
    model_spec=schema_like({"name": "", "signature_name": "", "version": ""}),
    metadata=object_schema(signature_def=_SIGNATURES),
)
"""Of any model's signatures."""
TF_TYPES: dict[Datatype, str] = {
    "BOOL": "DT_BOOL", "UINT8": "DT_UINT8", "INT8": "DT_INT8", "INT32": "DT_INT32", "INT64": "DT_INT64",
    "FP32": "DT_FLOAT", "FP64": "DT_DOUBLE", "BYTES": "DT_STRING",
}  # fmt: skip
"""TensorFlow's name of each datatype."""


class TfStatusPage(Page):
    """The state of one version.

    Args:
        path: that names it.
    """

    protocol = "tf_serving"
    summary = "Says in which state a version of a model is."

    def __init__(self, path: str) -> None:
        self.path = path

    def fault(self, kind: str, message: str) -> Mapping[str, object]:
        """Returns the message alone."""
        return tf_fault(kind, message)

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns the state."""
        return Reply(encode(_status(tf_deployment(request, snapshot)[0])))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns that of the first model as an example."""
        example = _status(snapshot.first)
        return OperationDocument(Content(schema_like(example), example), values=tf_values(self.path, snapshot.first))


class TfMetadataPage(Page):
    """The signatures of a model.

    Args:
        path: that names it.
    """

    protocol = "tf_serving"
    summary = "Describes a model's signatures as TensorFlow Serving does."

    def __init__(self, path: str) -> None:
        self.path = f"{path}/metadata"

    def fault(self, kind: str, message: str) -> Mapping[str, object]:
        """Returns the message alone."""
        return tf_fault(kind, message)

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns the signatures."""
        return Reply(encode(tf_metadata(tf_deployment(request, snapshot)[0])))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns those of the first model as an example."""
        example = tf_metadata(snapshot.first)
        return OperationDocument(Content(METADATA_SCHEMA, example), values=tf_values(self.path, snapshot.first))


def tf_fault(kind: str, message: str) -> dict[str, object]:  # noqa: ARG001  the protocol's form has no kind
    """Returns what a body says of a fault."""
    return {"error": message}


def tf_deployment(request: Request, snapshot: Snapshot) -> tuple[PredictingDeployment, str | None]:
    """Returns the deployment that the path names, and the version or label of one that it wants."""
    wanted = request.values.get("version") or request.values.get("label")
    found = snapshot.find(request.values["name"], wanted)
    request.model = found.name
    return found, wanted


def tf_values(path: str, deployment: PredictingDeployment) -> tuple[tuple[str, str], ...]:
    """Returns a value that works for each part that a path leaves open."""
    known = {"name": deployment.name, "version": deployment.version, "label": deployment.version}
    return tuple((name, value) for name, value in known.items() if "{" + name + "}" in path)


def is_regression(deployment: PredictingDeployment) -> bool:
    """Whether a model gives one number a row and nothing else."""
    specs = deployment.postprocessor.specs
    return len(specs) == 1 and specs[0].shape == (-1,) and specs[0].datatype != "BYTES"


def require_signature(name: str | None, verb: str, deployment: PredictingDeployment) -> None:
    """Requires that a model has what a verb gives, and a signature of that name.

    Args:
        name: of the signature; null or empty for the default one.
        verb: `predict`, `classify` or `regress`.
        deployment: the model.

    Raises:
        InputError: it has not.
    """
    signatures = _signatures(deployment)
    if SIGNATURE_NAMES[verb] not in signatures:
        missing = "labels" if verb == "classify" else "single value a row"
        raise InputError(f"Model {deployment.name!r} has no {missing}; send {verb} to another, or use :predict.")
    if name and name not in (DEFAULT_SIGNATURE, SIGNATURE_NAMES[verb]):
        known = ", ".join(dict.fromkeys((DEFAULT_SIGNATURE, SIGNATURE_NAMES[verb])))
        raise InputError(f"The signature {shortened_value(name)} is not there for {verb}; there is {known}.")


def tf_metadata(deployment: PredictingDeployment) -> dict[str, object]:
    """Returns a model's signatures in the protocol's form."""
    return {
        "model_spec": {"name": deployment.name, "signature_name": "", "version": deployment.version},
        "metadata": {"signature_def": {"signature_def": _signatures(deployment)}},
    }


def _status(deployment: PredictingDeployment) -> dict[str, object]:
    return {"model_version_status": [version_status(deployment)]}


def _signatures(deployment: PredictingDeployment) -> dict[str, object]:
    inputs, outputs = _tensors(deployment.signature.inputs), _tensors(deployment.signature.outputs)
    verbs = ["predict"]
    verbs += ["classify"] * bool(deployment.postprocessor.labels) + ["regress"] * is_regression(deployment)
    return {
        SIGNATURE_NAMES[verb]: {"inputs": inputs, "outputs": outputs, "method_name": f"tensorflow/serving/{verb}"}
        for verb in verbs
    }


def _tensors(specs: Sequence[TensorSpec]) -> dict[str, object]:
    return {
        spec.name: {
            "dtype": TF_TYPES[spec.datatype],
            "tensor_shape": {"dim": [{"size": str(size), "name": ""} for size in spec.shape], "unknown_rank": False},
            "name": f"{spec.name}:0",
        }
        for spec in specs
    }

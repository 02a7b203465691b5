"""Health and metadata of the Open Inference Protocol, version 2: what a client reads before it infers.

Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from collections.abc import Sequence

from maas.records.signature import TensorSpec
from maas.serving import later
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.health import HealthPage
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Page, Reply, Request
from maas.serving.protocols.schemas import schema_like
from maas.serving.repository import Deployment, PredictingDeployment, Snapshot

EXTENSIONS = (
    "binary_tensor_data", "classification", "generate", "model_configuration", "model_repository", "statistics",
)  # fmt: skip
"""Triton's names of what there is beside the protocol."""


MODEL_PATHS = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")
TEXT_TENSORS = ("text_input", "text_output")
"""Triton's names of the text that goes in and the one that comes out."""


def v2_pages_operations(snapshot: Snapshot) -> list[AnyOperation]:  # noqa: ARG001  the protocol's paths name no model
    """Returns what the protocol says of the server and its models, whatever these do."""
    pages = [kind(path) for path in MODEL_PATHS for kind in (MetadataPage, ReadyPage)]
    return [ServerPage(), V2HealthPage("live"), V2HealthPage("ready"), *pages]


class ServerPage(Page):
    """What the server is."""

    protocol = "v2"
    path = "/v2"
    summary = "Names the server."

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns name, version and extensions."""
        return Reply(encode(server_record()))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns the same as an example."""
        return OperationDocument(Content(schema_like(server_record()), server_record()))


class V2HealthPage(HealthPage):
    """Whether the server runs, or can answer.

    Args:
        name: `live` or `ready`.
    """

    protocol = "v2"

    def __init__(self, name: str) -> None:
        super().__init__(f"/v2/health/{name}", name)


class MetadataPage(Page):
    """The tensors of a model.

    Args:
        path: of the model, or of one version of it.
    """

    protocol = "v2"
    summary = "Describes a model's tensors."

    def __init__(self, path: str) -> None:
        self.path = path

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns the protocol's description of a model."""
        return Reply(encode(metadata_of(_named_version(request, snapshot), snapshot)))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns that of the first model as an example."""
        first = snapshot.default
        example = metadata_of(first, snapshot)
        return OperationDocument(Content(schema_like(example), example), values=path_values(self.path, first))


class ReadyPage(Page):
    """Whether a model can answer.

    Args:
        path: of the model, or of one version of it.
    """

    protocol = "v2"
    summary = "Says that a model can answer."
    is_readiness = True

    def __init__(self, path: str) -> None:
        self.path = f"{path}/ready"

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns that it can: a model that is served is ready."""
        return Reply(encode({"name": _named_version(request, snapshot).name, "ready": True}))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns that of the first model as an example."""
        first = snapshot.default
        example = {"name": first.name, "ready": True}
        return OperationDocument(Content(schema_like(example), example), values=path_values(self.path, first))


def metadata_of(deployment: Deployment, snapshot: Snapshot) -> dict[str, object]:
    """Returns the protocol's description of a model, with all versions of it that are served."""
    inputs, outputs = _tensors_of(deployment)
    return {
        "name": deployment.name,
        "versions": [one.version for one in snapshot.deployments if one.name == deployment.name],
        "platform": "onnxruntime_onnx",
        "inputs": list(map(_described, inputs)),
        "outputs": list(map(_described, outputs)),
    }


def _tensors_of(deployment: Deployment) -> tuple[Sequence[TensorSpec], Sequence[TensorSpec]]:
    """Returns inputs and outputs; a text goes into a model that generates, and its pieces come out."""
    if isinstance(deployment, PredictingDeployment):
        return deployment.signature.inputs, deployment.signature.outputs
    into, out = (TensorSpec(name, "BYTES", (1,)) for name in TEXT_TENSORS)
    return (into,), (out,)


def _described(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def server_record() -> dict[str, object]:
    """Returns name, version and extensions of the server."""
    try:
        own = later.version("maas")
    except later.PackageNotFoundError:  # run from a folder that was never installed
        own = "unknown"
    return {"name": "maas", "version": own, "extensions": list(EXTENSIONS)}


def path_values(path: str, deployment: Deployment) -> tuple[tuple[str, str], ...]:
    """Returns a value that works for each part that a path leaves open."""
    known = {"name": deployment.name, "version": deployment.version}
    return tuple((name, value) for name, value in known.items() if "{" + name + "}" in path)


def named_deployment(request: Request, snapshot: Snapshot) -> PredictingDeployment:
    """Returns the deployment that the path names."""
    found = snapshot.find(request.values["name"], request.values.get("version"))
    request.model = found.name
    return found


def _named_version(request: Request, snapshot: Snapshot) -> Deployment:
    """Returns what the path names, whatever it does."""
    found = snapshot.find_any(request.values["name"], request.values.get("version"))
    request.model = found.name
    return found

"""The models that are served, in one object each that carries what three protocols look for.

`id`, `object`, `created` and `owned_by` are OpenAI's; `model_version_status` is TensorFlow Serving's; `name` and
`ready` are KServe's.
Source: https://platform.openai.com/docs/api-reference/models, https://www.tensorflow.org/tfx/serving/api_rest,
https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from collections.abc import Mapping

from maas.serving.protocols.bodies import encode
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Page, Reply, Request
from maas.serving.protocols.schemas import object_schema, schema_like
from maas.serving.repository import Deployment, DeploymentState, Snapshot

OWNER = "maas"
STATES = {
    DeploymentState.LOADING: "LOADING",
    DeploymentState.READY: "AVAILABLE",
    DeploymentState.DRAINING: "UNLOADING",
    DeploymentState.GONE: "END",
}
"""TensorFlow Serving's word for each state."""


def models_operations(snapshot: Snapshot) -> list[AnyOperation]:  # noqa: ARG001  the paths name no model
    """Returns the list, and the page of each model."""
    return [ModelsPage(), ModelPage()]


class ModelsPage(Page):
    """All models."""

    protocol = "models"
    path = "/v1/models"
    summary = "Lists the models."

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns an object for each name; KServe reads the names alone."""
        return Reply(encode(_listed_models(snapshot)))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns the same as an example."""
        example, one = _listed_models(snapshot), _model_schema(described_model(snapshot.default, snapshot))
        data = {"type": "array", "items": one}
        names = {"type": "array", "items": {"type": "string"}}
        return OperationDocument(Content(object_schema(object={"type": "string"}, data=data, models=names), example))


class ModelPage(Page):
    """One model."""

    protocol = "models"
    path = "/v1/models/{name}"
    summary = "Describes a model and the versions of it that are served."

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns its object."""
        name = request.values["name"]
        found = next((one for one in snapshot.deployments if one.name == name), None) or snapshot.find(name)
        request.model = found.name
        return Reply(encode(described_model(found, snapshot)))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns that of the first model as an example."""
        example = described_model(snapshot.default, snapshot)
        return OperationDocument(Content(_model_schema(example), example), values=(("name", snapshot.default.name),))


def described_model(deployment: Deployment, snapshot: Snapshot) -> dict[str, object]:
    """Returns a model as all three protocols describe it.

    Args:
        deployment: its default version.
        snapshot: its other versions are there.
    """
    versions = [one for one in snapshot.deployments if one.name == deployment.name]
    return {
        "id": deployment.name,
        "object": "model",
        "created": _created(deployment),
        "owned_by": OWNER,
        "name": deployment.name,
        "ready": deployment.state is DeploymentState.READY,
        "task": deployment.task,
        "version": deployment.version,
        "version_labels": {label: one.version for one in versions for label in snapshot.labels_of(one)},
        "model_version_status": list(map(version_status, versions)),
    }


def version_status(deployment: Deployment) -> dict[str, object]:
    """Returns the state of a version as TensorFlow Serving writes it."""
    return {
        "version": deployment.version,
        "state": STATES[deployment.state],
        "status": {"error_code": "OK", "error_message": ""},
    }


def _model_schema(example: Mapping[str, object]) -> dict[str, object]:
    """Returns the schema of a model's object, whose labels may have any names."""
    labels = {"type": "object", "additionalProperties": {"type": "string"}}
    return object_schema(**{name: schema_like(value) for name, value in example.items()} | {"version_labels": labels})


def _listed_models(snapshot: Snapshot) -> dict[str, object]:
    first = {one.name: one for one in reversed(snapshot.deployments)}
    names = list(dict.fromkeys(one.name for one in snapshot.deployments))
    return {"object": "list", "data": [described_model(first[name], snapshot) for name in names], "models": names}


def _created(deployment: Deployment) -> int:
    """Returns when the bundle was written here, in seconds since 1970; 0 where its folder has been removed since."""
    manifest = deployment.bundle.folder / "manifest.json"
    return int(manifest.stat().st_mtime) if manifest.exists() else 0

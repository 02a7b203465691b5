"""Triton's extensions of the Open Inference Protocol that describe models: configuration, index, statistics.

Source: https://github.com/triton-inference-server/server/tree/main/docs/protocol
"""

from maas.errors import InputError
from maas.records.signature import TensorSpec
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.open_inference.pages import named_deployment, path_values
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import Page, Reply, Request
from maas.serving.protocols.schemas import schema_like
from maas.serving.repository import PredictingDeployment, Snapshot
from maas.serving.statistics import ModelStatistics, Tally


class ConfigurationPage(Page):
    """How a model is served, in Triton's words.

    Args:
        path: of the model, or of one version of it.
    """

    protocol = "v2"
    summary = "Gives a model's configuration as Triton writes it."

    def __init__(self, path: str) -> None:
        self.path = f"{path}/config"

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns the configuration."""
        return Reply(encode(configuration_of(named_deployment(request, snapshot))))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns that of the first model as an example."""
        example = configuration_of(snapshot.first)
        return OperationDocument(Content(schema_like(example), example), values=path_values(self.path, snapshot.first))


class IndexPage(Page):
    """Which versions of which models there are."""

    protocol = "v2"
    method = "POST"
    path = "/v2/repository/index"
    summary = "Lists models, their versions and states."

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns what is served; all of it is ready."""
        return Reply(encode(index_of(snapshot)))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns the same as an example."""
        return OperationDocument(Content(schema_like(index_of(snapshot)), index_of(snapshot)))


class LoadingPage(Page):
    """Refuses what an administrator alone may do, at the port that all may reach.

    Args:
        action: `load` or `unload`.
    """

    protocol = "v2"
    method = "POST"
    summary = "Says where models are loaded and unloaded."
    is_documented = False

    def __init__(self, action: str) -> None:
        self.path = f"/v2/repository/models/{{name}}/{action}"

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Refuses.

        Raises:
            InputError: always.
        """
        raise InputError(
            "Models are loaded and unloaded at a port of their own. Start the server with admin_port=8081, and send "
            "the request there."
        )

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns nothing: it has no reply."""
        return OperationDocument(Content({}, None))


_AFTER_THREE_REQUESTS = ModelStatistics(
    succeeded=Tally(3, 1_200_000), runs={1: Tally(1, 200_000), 2: Tally(1, 300_000)}, last_ms=1_800_000_000_000
)
"""An example that is the same however many requests a server has answered."""


class StatisticsPage(Page):
    """How many requests models answered, and how many runs they took.

    Args:
        path: of all models, of one, or of one version of it.
    """

    protocol = "v2"
    summary = "Counts requests and runs of models."

    def __init__(self, path: str) -> None:
        self.path = path

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns the statistics of what the path names: all versions, where it names none."""
        name, version = request.values.get("name"), request.values.get("version")
        return Reply(encode(statistics_of(name, version, snapshot)))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns those that the first model would have after three requests."""
        example = {"model_stats": [_shown_statistics(snapshot.first, _AFTER_THREE_REQUESTS)]}
        return OperationDocument(Content(schema_like(example), example), values=path_values(self.path, snapshot.first))


def configuration_of(deployment: PredictingDeployment) -> dict[str, object]:
    """Returns a model's configuration: what Triton's tools read of it before they send requests."""
    signature = deployment.signature
    optional = deployment.optional_inputs
    inputs = [{**_configured(spec), "optional": spec.name in optional} for spec in signature.inputs]
    return {
        "name": deployment.name,
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "max_batch_size": deployment.engine.max_rows,
        "input": inputs,
        "output": list(map(_configured, signature.outputs)),
    }


def _configured(spec: TensorSpec) -> dict[str, object]:
    """Returns a tensor without its batch axis; Triton has no sizes of nothing, and so a row of one value has [1]."""
    kind = "TYPE_STRING" if spec.datatype == "BYTES" else f"TYPE_{spec.datatype}"
    return {"name": spec.name, "data_type": kind, "dims": list(spec.shape[1:]) or [1]}


def index_of(snapshot: Snapshot) -> list[dict[str, str]]:
    """Returns what is served, with the state of each version."""
    return [{"name": one.name, "version": one.version, "state": "READY", "reason": ""} for one in snapshot.deployments]


def statistics_of(name: str | None, version: str | None, snapshot: Snapshot) -> dict[str, object]:
    """Returns the statistics of one version, of all versions of a model, or of all models.

    Args:
        name: name of the model; null for all.
        version: version of the model; null for all.
        snapshot: what is served.

    Raises:
        UnknownModelError: no such model or version is served.
    """
    if name is None:
        found = snapshot.predicting
    else:
        one = snapshot.find(name, version)
        found = snapshot.versions(name) if version is None else (one,)
    return {"model_stats": [_shown_statistics(one, one.statistics) for one in found]}


def _shown_statistics(deployment: PredictingDeployment, found: ModelStatistics) -> dict[str, object]:
    """Returns one version's statistics; what is not measured here has happened 0 times."""
    runs = sorted(found.runs.items())
    computed = Tally(sum(tally.count for _, tally in runs), sum(tally.time_ns for _, tally in runs))
    none = _duration(Tally())
    return {
        "name": deployment.name,
        "version": deployment.version,
        "last_inference": found.last_ms,
        "inference_count": sum(rows * tally.count for rows, tally in runs),
        "execution_count": computed.count,
        "inference_stats": {
            "success": _duration(found.succeeded),
            "fail": _duration(found.failed),
            "queue": none,
            "compute_input": none,
            "compute_infer": _duration(computed),
            "compute_output": none,
            "cache_hit": none,
            "cache_miss": none,
        },
        "batch_stats": [
            {"batch_size": rows, "compute_input": none, "compute_infer": _duration(tally), "compute_output": none}
            for rows, tally in runs
        ],
    }


def _duration(tally: Tally) -> dict[str, int]:
    return {"count": tally.count, "ns": tally.time_ns}

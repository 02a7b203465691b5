"""Health as probes of Kubernetes and load balancers want it: `/healthz`, `/livez` and `/readyz`.

Other protocols have pages of their own that say the same.
"""

from maas.errors import OverloadError
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Page, Reply, Request
from maas.serving.protocols.schemas import schema_like
from maas.serving.repository import Snapshot

SUMMARIES = {"live": "Says that the server runs.", "ready": "Says that the server can answer."}


def health_operations(snapshot: Snapshot) -> list[AnyOperation]:  # noqa: ARG001  the paths name no model
    """Returns the three pages."""
    return [HealthPage("/healthz", "live"), HealthPage("/livez", "live"), HealthPage("/readyz", "ready")]


class HealthPage(Page):
    """Whether the server runs, or can answer.

    Args:
        path: of the page.
        name: `live` or `ready`.
    """

    protocol = "health"

    def __init__(self, path: str, name: str) -> None:
        self.path = path
        self.name = name
        self.is_readiness = name == "ready"
        self.summary = SUMMARIES[name]

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns that it is so; a server without a model is not ready."""
        if self.name == "ready" and not snapshot.deployments:
            raise OverloadError("No model is served yet. Try again in a second.")
        return Reply(encode({self.name: True}))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns the same as an example."""
        return OperationDocument(Content(schema_like({self.name: True}), {self.name: True}))

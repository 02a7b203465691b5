"""Triton's model repository extension, for administrators: list, load and unload models. It has a port of its own.

Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md
"""

from collections.abc import Sequence

from maas.serving.protocols.administrator_actions import AdministratorAction
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.open_inference.pages import path_values
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Reply, Request
from maas.serving.protocols.schemas import schema_like
from maas.serving.repository import Snapshot
from maas.serving.workers.administration import SharedAdministration

EXAMPLE = [{"name": "digits", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"}]


def administration_operations(administration: SharedAdministration) -> Sequence[AnyOperation]:
    """Returns the operations of an administrator."""
    return [RepositoryIndex(administration), LoadAction(administration), UnloadAction(administration)]


class RepositoryAction(AdministratorAction):
    """What an administrator may do with models.

    Args:
        administration: does it.
    """

    protocol = "v2"

    def __init__(self, administration: SharedAdministration) -> None:
        self._administration = administration


class RepositoryIndex(RepositoryAction):
    """Which versions of which models there are, those as well that were unloaded."""

    path = "/v2/repository/index"
    summary = "Lists models, their versions and states."

    async def _performed(self, request: Request) -> Reply:
        return Reply(encode([one._asdict() for one in await self._administration.index()]))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns an example."""
        return OperationDocument(Content(schema_like(EXAMPLE), EXAMPLE))


class LoadAction(RepositoryAction):
    """Serves a model that was unloaded, or what an entry stands for now."""

    path = "/v2/repository/models/{name}/load"
    summary = "Loads a model, again if its version or its files have changed."

    async def _performed(self, request: Request) -> Reply:
        await self._administration.load(request.values["name"])
        return Reply(b"{}")

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns that the reply is empty."""
        return OperationDocument(Content({"type": "object"}, {}), values=path_values(self.path, snapshot.first))


class UnloadAction(RepositoryAction):
    """Serves a model no more."""

    path = "/v2/repository/models/{name}/unload"
    summary = "Unloads a model once its calls are finished."

    async def _performed(self, request: Request) -> Reply:
        await self._administration.unload(request.values["name"])
        return Reply(b"{}")

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns that the reply is empty."""
        return OperationDocument(Content({"type": "object"}, {}), values=path_values(self.path, snapshot.first))

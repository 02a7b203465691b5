"""GraphQL: `POST /graphql`, and GET with the query beside the path. One query may predict with several models.

    POST /graphql   {"query": "query ($texts: [String!]!) { sentiment(inputs: $texts) { predictions { label } } }",
                     "variables": {"texts": ["…"]}}

Each model is a field that is typed by its row schema and its predictions, where its name is one of GraphQL's;
`predict` takes any of them. The package that reads GraphQL is an extra: it is imported by the first request.
Source: https://graphql.github.io/graphql-over-http/draft/
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from msgspec.structs import replace

from maas.serving.executors import ThreadExecutor
from maas.serving.faults import MissingExtraError
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.graphql.requests import GraphqlRequest, request_in_body, request_in_parameters
from maas.serving.protocols.operation_documents import Content, OperationDocument, QueryParameter
from maas.serving.protocols.operations import JSON, AnyOperation, Compound, Reply, Request
from maas.serving.protocols.schemas import object_schema, schema_like
from maas.serving.repository import Snapshot

if TYPE_CHECKING:
    from maas.serving.protocols.graphql.execution import GraphqlExecutor

GRAPHQL_JSON = b"application/graphql-response+json"
GET_PARAMETERS = (
    QueryParameter("query", {"type": "string"}, "a GraphQL document", required="{ models { name } }"),
    QueryParameter("variables", {"type": "string"}, "its variables, a JSON object"),
    QueryParameter("operationName", {"type": "string"}, "which of its operations is wanted, where it has several"),
)
_PREPARING = ThreadExecutor("graphql")
"""Reads and checks queries: it is slow, and a thread lets others have their turn."""


def graphql_operations(snapshot: Snapshot) -> list[AnyOperation]:  # noqa: ARG001  its path names no model
    """Returns the operation for each of the two methods."""
    executor = _LazyExecutor()
    return [PostGraphql(executor), GetGraphql(executor)]


class _LazyExecutor:
    """What runs queries, imported by the first of them."""

    def __init__(self) -> None:
        self.is_installed = find_spec("graphql") is not None
        self._made: GraphqlExecutor | None = None

    async def get(self) -> "GraphqlExecutor":
        """Returns it.

        Raises:
            MissingExtraError: the extra is not installed.
        """
        if not self.is_installed:
            raise MissingExtraError("GraphQL needs a package that is not installed here: pip install 'maas[graphql]'.")
        if self._made is None:
            self._made = await _PREPARING.run(_imported)
        return self._made


class PostGraphql(Compound):
    """A query in the body.

    Args:
        executor: runs queries.
    """

    protocol = "graphql"
    path = "/graphql"
    summary = "Answers a GraphQL query, which may predict with several models."
    fault_type = GRAPHQL_JSON

    def __init__(self, executor: _LazyExecutor) -> None:
        self._executor = executor
        self.is_documented = executor.is_installed

    async def respond(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns the reply to a query; it names the model where one predicted."""
        query = self.read(request)
        executor = await self._executor.get()
        found = await executor.response(query, request, snapshot)
        metadata = found.deployments[0].reply_metadata if len(found.deployments) == 1 else ()
        return Reply(encode(found.content), _media_type(request), metadata)

    def read(self, request: Request) -> GraphqlRequest:
        """Returns what a request holds."""
        return request_in_body(request)

    def fault(self, kind: str, message: str) -> Mapping[str, object]:
        """Returns a list of one error, with the kind as its code."""
        return {"errors": [{"message": message, "extensions": {"code": kind}}]}

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns the predictions of the first golden row; the schema of queries is GraphQL's own."""
        first = snapshot.first
        golden, which = first.bundle.golden, ""
        if len(snapshot.predicting) > 1:
            which = f", model: {encode(first.name).decode()}, version: {encode(first.version).decode()}"
        query = f"query ($inputs: [JSON!]!) {{ predict(inputs: $inputs{which}) {{ model version predictions }} }}"
        example = {"query": query, "variables": {"inputs": golden.inputs[:1]}}
        found = {"model": first.name, "version": first.version, "predictions": golden.predictions[:1]}
        errors = {"type": "array", "items": schema_like(self.fault("", "")["errors"])["items"]}
        return OperationDocument(
            Content(
                {"type": "object", "properties": {"data": {"type": ["object", "null"]}, "errors": errors}},
                {"data": {"predict": found}},
                GRAPHQL_JSON.decode(),
            ),
            Content(
                {
                    **object_schema(query={"type": "string"}),
                    "properties": {
                        "query": {"type": "string"},
                        "variables": {"type": ["object", "null"]},
                        "operationName": {"type": ["string", "null"]},
                        "extensions": {"type": ["object", "null"]},
                    },
                    "additionalProperties": False,
                },
                example,
            ),
        )


class GetGraphql(PostGraphql):
    """A query beside the path."""

    method = "GET"
    summary = "Answers a GraphQL query beside the path."
    takes_body = False

    def read(self, request: Request) -> GraphqlRequest:
        """Returns what a request holds."""
        return request_in_parameters(request)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns the names of the models, which the example of the parameter wants."""
        named = {"data": {"models": [{"name": one.name} for one in snapshot.predicting]}}
        return OperationDocument(replace(super().document(snapshot).response, example=named), query=GET_PARAMETERS)


def _media_type(request: Request) -> bytes:
    """Returns GraphQL's own type, or JSON where a client takes that and not the other."""
    accepted = request.metadata.get(b"accept", b"")
    return JSON if JSON in accepted and GRAPHQL_JSON not in accepted else GRAPHQL_JSON


def _imported() -> "GraphqlExecutor":
    from maas.serving.protocols.graphql.execution import GraphqlExecutor  # noqa: PLC0415  it is an extra

    return GraphqlExecutor(_PREPARING)

"""GraphQL's requests as HTTP carries them, and what comes back; nothing here needs the package that reads queries.

Source: https://graphql.github.io/graphql-over-http/draft/
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from maas.serving.faults import MediaTypeError, TooLargeError, UnreadableError
from maas.serving.protocols.bodies import decode
from maas.serving.protocols.operations import Request
from maas.serving.repository import PredictingDeployment

MOST_BODY_BYTES = 2**20
_EXAMPLE = '{"query": "{ models { name version } }"}'


class GraphqlRequest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"operation_name": "operationName"}
):
    """One request.

    Args:
        query: a document: operations, and fragments of them.
        variables: values by name.
        operation_name: which of the operations is wanted; null where there is one.
        extensions: what a client adds for servers that know it; not read.
    """

    query: str
    variables: dict[str, object] | None = None
    operation_name: str | None = None
    extensions: dict[str, object] | None = None


@dataclass(frozen=True)
class GraphqlResponse:
    """What comes back.

    Args:
        content: data and errors.
        deployments: those that predicted for it.
    """

    content: Mapping[str, object]
    deployments: Sequence[PredictingDeployment]


_DECODER, _VARIABLES = msgspec.json.Decoder(GraphqlRequest), msgspec.json.Decoder(dict[str, object])


def request_in_body(request: Request) -> GraphqlRequest:
    """Returns what a body holds.

    Raises:
        MediaTypeError: it is a query without the JSON around it.
        UnreadableError: it is not what GraphQL over HTTP takes.
        TooLargeError: it is larger than a query with its variables may be.
    """
    if request.media_type == "application/graphql":
        raise MediaTypeError(f"The body is of type application/graphql; send it as JSON, like {_EXAMPLE}.")
    if len(request.body) > MOST_BODY_BYTES:
        raise TooLargeError(
            f"The body has {len(request.body):,} bytes; a query takes {MOST_BODY_BYTES:,}. Send fewer inputs, or send "
            "them to /v1/predictions."
        )
    try:
        return decode(_DECODER, request.body)
    except UnreadableError as error:
        raise UnreadableError(f"{error} like {_EXAMPLE}") from None


def request_in_parameters(request: Request) -> GraphqlRequest:
    """Returns what the parameters beside a path hold.

    Raises:
        UnreadableError: there is no query, or its variables are no object.
    """
    query, variables = request.query.get("query"), request.query.get("variables")
    if not query:
        raise UnreadableError("The parameter query is missing; send ?query={models{name}}, percent-encoded.")
    try:
        read = decode(_VARIABLES, variables.encode()) if variables else None
    except UnreadableError:
        raise UnreadableError("The parameter variables is not a JSON object; send one, percent-encoded.") from None
    return GraphqlRequest(query, read, request.query.get("operationName") or None)
